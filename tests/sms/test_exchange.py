from __future__ import annotations

import pytest

from otp_service.sms.exchange import written


def test_request_is_one_head_and_its_body() -> None:
    told = written("POST", "example.org:8443", "/a?b=c%20d", {"Content-Type": "text/plain"}, b"\x00body")

    assert told == (
        b"POST /a?b=c%20d HTTP/1.1\r\n"
        b"Host: example.org:8443\r\n"
        b"Content-Length: 5\r\n"
        b"Accept-Encoding: identity\r\n"
        b"User-Agent: otp-service\r\n"
        b"Content-Type: text/plain\r\n"
        b"\r\n"
        b"\x00body"
    )


@pytest.mark.parametrize("name", ["Host", "host"])
def test_host_that_was_signed_is_the_only_one(name: str) -> None:
    told = written("POST", "example.org", "/", {name: "signed.example"}, b"")

    assert told.lower().count(b"\r\nhost: ") == 1
    assert f"\r\n{name}: signed.example\r\n".encode() in told


def test_own_header_takes_the_place_of_the_usual_one() -> None:
    told = written("POST", "example.org", "/", {"User-Agent": "other"}, b"")

    assert told.count(b"User-Agent") == 1
    assert b"User-Agent: other" in told


@pytest.mark.parametrize(("method", "says"), [("POST", True), ("GET", False), ("DELETE", False)])
def test_only_a_post_says_that_its_body_is_empty(method: str, says: bool) -> None:  # noqa: FBT001
    assert (b"Content-Length: 0" in written(method, "example.org", "/", {}, b"")) is says


@pytest.mark.parametrize("target", ["/a b", "/a\r\nX: y", "/a\n", "/\x00", "/\x7f"])
def test_target_cannot_begin_another_line(target: str) -> None:
    with pytest.raises(ValueError, match=r"^$"):
        written("POST", "example.org", target, {}, b"")


@pytest.mark.parametrize("name", ["X", "X\r\nY"])
@pytest.mark.parametrize("value", ["a\r\nEvil: b", "a\nEvil: b", "a\rEvil: b", "a\x00"])
def test_header_cannot_begin_another_line(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=r"^$"):
        written("POST", "example.org", "/", {name: value}, b"")


def test_header_beyond_latin_1_is_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        written("POST", "example.org", "/", {"X": "\u4e91"}, b"")
