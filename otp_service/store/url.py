"""Parses `[redis] url`, which names one server, Sentinels or a cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

PORT = 6379
SENTINEL_PORT = 26_379

Endpoint = tuple[str, int]
"""Host and port."""


class BadRedisUrl(ValueError):
    """The text is not the URL of a Redis. It may contain a password, so the message does not repeat it."""

    def __init__(self) -> None:
        super().__init__(
            "is not the URL of a Redis, like redis://user:password@host:6379/0; "
            "percent-encode @ : / , in the user name and the password"
        )


class Kind(Enum):
    """What the hosts of a URL are."""

    SERVER = "server"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """The parts of a URL. *path* is the path of a Unix socket, *master* the master's name at Sentinels."""

    kind: Kind
    is_tls: bool
    hosts: tuple[Endpoint, ...] = ()
    path: str = ""
    master: str = ""
    db: int = 0
    username: str = ""
    password: str = field(default="", repr=False)


def parse(url: str) -> RedisUrl:
    """Return the parts of *url*; docs/settings.md lists the forms.

    Raises:
        BadRedisUrl: it does not name a Redis, or sets unsupported options.
    """
    try:
        parts = urlsplit(url)
        return _FORMS[parts.scheme](parts)
    except (KeyError, ValueError):
        raise BadRedisUrl from None


def _server(parts: SplitResult) -> RedisUrl:
    hosts = _hosts(parts, PORT)
    if len(hosts) > 1:
        raise BadRedisUrl
    return _url(parts, Kind.SERVER, hosts=hosts, db=_db(parts, parts.path[1:]))


def _unix(parts: SplitResult) -> RedisUrl:
    if parts.netloc.rpartition("@")[2] or not parts.path:
        raise BadRedisUrl
    return _url(parts, Kind.SERVER, path=unquote(parts.path), db=_db(parts, ""))


def _sentinel(parts: SplitResult) -> RedisUrl:
    master, _, db = parts.path[1:].partition("/")
    if not master:
        raise BadRedisUrl
    hosts = _hosts(parts, SENTINEL_PORT)
    return _url(parts, Kind.SENTINEL, hosts=hosts, master=unquote(master), db=_db(parts, db))


def _cluster(parts: SplitResult) -> RedisUrl:
    if _db(parts, parts.path[1:]):
        raise BadRedisUrl  # a cluster has one database
    return _url(parts, Kind.CLUSTER, hosts=_hosts(parts, PORT))


_FORMS: dict[str, Callable[[SplitResult], RedisUrl]] = {
    "redis": _server,
    "rediss": _server,
    "unix": _unix,
    "redis+sentinel": _sentinel,
    "rediss+sentinel": _sentinel,
    "redis+cluster": _cluster,
    "rediss+cluster": _cluster,
}


def _url(parts: SplitResult, kind: Kind, **facts: Any) -> RedisUrl:
    username, _, password = parts.netloc.rpartition("@")[0].partition(":")
    is_tls = parts.scheme.startswith("rediss")
    return RedisUrl(kind, is_tls, username=unquote(username), password=unquote(password), **facts)


def _hosts(parts: SplitResult, usual_port: int) -> tuple[Endpoint, ...]:
    texts = parts.netloc.rpartition("@")[2].split(",")
    return tuple(_endpoint(text, usual_port) for text in texts)


def _endpoint(text: str, usual_port: int) -> Endpoint:
    found = urlsplit(f"//{text}")
    if not found.hostname:
        raise BadRedisUrl
    return found.hostname, found.port or usual_port


def _db(parts: SplitResult, text: str) -> int:
    """Return the number of the database, from the path or from `?db=`, the only option."""
    options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    text = options.pop("db", text)
    if options or parts.fragment or not (text or "0").isdecimal():
        raise BadRedisUrl
    return int(text or "0")
