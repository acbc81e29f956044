"""Where an API of Aliyun's is."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Self
from urllib.parse import SplitResult, urlsplit

_PORTS = {"http": 80, "https": 443}


class BadEndpoint(ValueError):
    """A URL that is no endpoint; the message says why, without the URL."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The *url* of the API, always with the path `/`, and the *host* as it stands in the `Host` header."""

    url: str
    host: str

    @classmethod
    def read(cls, text: str) -> Self:
        """Read a URL.

        Raises:
            BadEndpoint: it is not `https://host[:port]`, or `http://` to this machine.
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
            raise BadEndpoint("is plain http to another machine: the SMS would travel for all to read")
        host = _host(parts, name, port)
        return cls(f"{parts.scheme}://{host}/", host)


def _is_this_machine(name: str) -> bool:
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _host(parts: SplitResult, name: str, port: int | None) -> str:
    """Return the host as signed and as sent: a default port is left out."""
    bracketed = f"[{name}]" if ":" in name else name
    return bracketed if port in (None, _PORTS[parts.scheme]) else f"{bracketed}:{port}"
