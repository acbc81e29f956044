"""The base URL of a provider's API."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Self
from urllib.parse import SplitResult, urlsplit

_PORTS = {"http": 80, "https": 443}


class BadEndpoint(ValueError):
    """A URL that is not allowed; the message says why, without the URL."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The *url* of an API, whose path is `/`, and its *host* as in the `Host` header."""

    url: str
    host: str

    @classmethod
    def read(cls, text: str) -> Self:
        """Parse a URL.

        Raises:
            BadEndpoint: *text* is not `https://host[:port]`, or `http://` to this machine.
        """
        try:
            parts = urlsplit(text)
            name, port = parts.hostname, parts.port
        except ValueError:
            raise BadEndpoint("is not a URL") from None
        if parts.scheme not in _PORTS or not name:
            raise BadEndpoint("is not an https URL")
        if parts.path not in ("", "/") or parts.query or parts.fragment or "@" in parts.netloc:
            raise BadEndpoint("has more than scheme, host and port")
        if parts.scheme == "http" and not _is_this_machine(name):
            raise BadEndpoint("is plain http to another machine: anyone on the way could read the SMS")
        host = _host(parts, name, port)
        return cls(f"{parts.scheme}://{host}/", host)


def _is_this_machine(name: str) -> bool:
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _host(parts: SplitResult, name: str, port: int | None) -> str:
    """Return the host as signed and as sent, without a default port."""
    bracketed = f"[{name}]" if ":" in name else name
    return bracketed if port in (None, _PORTS[parts.scheme]) else f"{bracketed}:{port}"
