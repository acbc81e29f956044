from __future__ import annotations

import pytest

from otp_service.store.url import BadRedisUrl, Kind, parse


@pytest.mark.parametrize(
    ("url", "facts"),
    [
        ("redis://cache", {"hosts": (("cache", 6379),)}),
        ("redis://cache:7000/3", {"hosts": (("cache", 7000),), "db": 3}),
        ("redis://[::1]:7000", {"hosts": (("::1", 7000),)}),
        ("rediss://cache", {"hosts": (("cache", 6379),), "is_tls": True}),
        ("redis://:p%40ss@cache", {"hosts": (("cache", 6379),), "password": "p@ss"}),
        ("redis://a%3Ab:p@ss@cache", {"hosts": (("cache", 6379),), "username": "a:b", "password": "p@ss"}),
        ("unix:///run/redis/redis.sock", {"path": "/run/redis/redis.sock"}),
        (
            "unix://otp:pass@/run/a%20b?db=2",
            {"path": "/run/a b", "db": 2, "username": "otp", "password": "pass"},
        ),
        (
            "redis+sentinel://otp:pass@one,two:27000,[::1]/main/4",
            {
                "kind": Kind.SENTINEL,
                "hosts": (("one", 26379), ("two", 27000), ("::1", 26379)),
                "master": "main",
                "db": 4,
                "username": "otp",
                "password": "pass",
            },
        ),
        (
            "rediss+sentinel://one/m",
            {"kind": Kind.SENTINEL, "hosts": (("one", 26379),), "master": "m", "is_tls": True},
        ),
        (
            "redis+cluster://otp@one:7000,two",
            {"kind": Kind.CLUSTER, "hosts": (("one", 7000), ("two", 6379)), "username": "otp"},
        ),
        ("rediss+cluster://one/0", {"kind": Kind.CLUSTER, "hosts": (("one", 6379),), "is_tls": True}),
    ],
)
def test_every_url_form_names_server_and_user(url: str, facts: dict[str, object]) -> None:
    place = parse(url)
    usual = {"kind": Kind.SERVER, "is_tls": False, "hosts": (), "path": "", "master": "", "db": 0}
    usual |= {"username": "", "password": ""}

    assert {name: getattr(place, name) for name in usual} == {**usual, **facts}


@pytest.mark.parametrize(
    "url",
    [
        "http://cache",
        "redis://",
        "redis://one,two",
        "redis://cache/one",
        "redis://cache/-1",
        "redis://cache/1#2",
        "redis://cache?timeout=5",
        "unix://host/run/redis.sock",
        "unix://",
        "redis+sentinel://one,two",
        "redis+sentinel://one/",
        "redis+sentinel://one,/main",
        "redis+cluster://one/1",
        "redis+cluster://",
        "redis+cluster://one:port",
    ],
)
def test_url_that_names_no_redis_is_rejected(url: str) -> None:
    with pytest.raises(BadRedisUrl):
        parse(url)


def test_password_is_not_shown() -> None:
    assert "s3cret" not in repr(parse("redis://otp:s3cret@cache"))
