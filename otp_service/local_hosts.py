"""A check of the `Host` header that protects servers for local development against DNS rebinding.

A malicious site can make its own host name resolve to 127.0.0.1. The browser then takes the local server for
that site and lets the site's pages read its responses. The requests still have the site's name as `Host`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_HOST = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[^\[\]:]+))(?::[0-9]{1,5})?")
_LOOPBACK_V4 = IPv4Network("127.0.0.0/8")
_LOOPBACK_V6 = IPv6Address("::1")
_REFUSAL = b"This server answers only on this machine: open it as 127.0.0.1 or localhost.\n"


class LocalHosts:
    """WSGI middleware around *app* that rejects requests whose `Host` is neither loopback nor *bound*.

    If *bound* is the unspecified address, any IP address is accepted: DNS rebinding needs a host name.
    """

    def __init__(self, app: WSGIApplication, bound: str) -> None:
        self._app = app
        self._bound = _canonical(bound)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Call the application, or respond with 403."""
        # Servers join repeated headers with commas, which no valid host contains.
        if self._admits(str(environ.get("HTTP_HOST", ""))):
            return self._app(environ, start_response)
        headers = [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(_REFUSAL))),
            ("Cache-Control", "no-store"),
        ]
        start_response("403 Forbidden", headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [_REFUSAL]

    def _admits(self, header: str) -> bool:
        parts = _HOST.fullmatch(header)
        if parts is None:
            return False
        host = _canonical(parts["v6"] or parts["name"])
        if isinstance(host, str):
            return host in {self._bound, "localhost"} or host.endswith(".localhost")
        return host == self._bound or _is_loopback(host) or self._is_bound_everywhere()

    def _is_bound_everywhere(self) -> bool:
        return not isinstance(self._bound, str) and self._bound.is_unspecified


def _canonical(host: str) -> IPv4Address | IPv6Address | str:
    plain = host.lower().removesuffix(".")
    try:
        return ip_address(plain)
    except ValueError:
        return plain


def _is_loopback(address: IPv4Address | IPv6Address) -> bool:
    return address == _LOOPBACK_V6 or (isinstance(address, IPv4Address) and address in _LOOPBACK_V4)
