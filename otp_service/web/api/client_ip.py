"""The client's IP address: that of the connection, or the one that trusted proxies report.

By default no proxy is trusted and no header is read. A client can put anything into the headers of its
request, so only the entries that trusted proxies have appended at the right end of `X-Forwarded-For` count.
Entries to the left of them are ignored, as are `X-Real-IP` and `Forwarded`. If an entry of a trusted proxy is
not an IP address, the address of the connection is used.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Parse = Callable[[str], Address | None]

_WITH_PORT = re.compile(r"(?:([0-9.]+)|\[([0-9A-Fa-f:.]+)\]):[0-9]{1,5}")
"""`v4:port` and `[v6]:port`, which some proxies write into `X-Forwarded-For`."""

UNSPECIFIED = IPv4Address(0)
"""Placeholder for Unix-socket peers, which have no address; without a trusted proxy they share one quota."""


@dataclass(frozen=True, slots=True)
class ProxyTrust:
    """Which entries of `X-Forwarded-For` are trusted: the last *hops*, or those appended by *networks*."""

    hops: int = 0
    networks: tuple[IPv4Network | IPv6Network, ...] = ()


def client_ip(
    environ: Mapping[str, object], trust: ProxyTrust, on_unreadable: Callable[[], object] = int
) -> str:
    """Return the IP address of the end user who sent the request.

    Args:
        environ: the WSGI environment of the request.
        trust: which proxies are trusted.
        on_unreadable: called for each entry of a trusted proxy that is not an IP address.
    """

    def parse(entry: str) -> Address | None:
        address = _parse(entry)
        if address is None and entry.strip(" \t"):
            on_unreadable()
        return address

    connection = _parse(str(environ.get("REMOTE_ADDR", ""))) or UNSPECIFIED
    # WSGI servers join repeated headers in order, so the last entry is the one of the nearest proxy.
    entries = str(environ.get("HTTP_X_FORWARDED_FOR", "")).split(",")
    if trust.hops:
        return str(_by_hops(entries, trust.hops, parse) or connection)
    return str(_by_networks(connection, entries, trust, parse) or connection)


def _by_hops(entries: list[str], hops: int, parse: Parse) -> Address | None:
    """Return the entry that the outermost trusted proxy has written."""
    trusted = [parse(entry) for entry in entries[-hops:]]
    return None if len(trusted) < hops or None in trusted else trusted[0]


def _by_networks(connection: Address, entries: list[str], trust: ProxyTrust, parse: Parse) -> Address | None:
    """Return the last address that is not a trusted proxy, or the first one if all are."""
    current: Address | None = connection
    for entry in reversed(entries):
        if current is None or not any(current in network for network in trust.networks):
            break
        current = parse(entry)
    return current


def _parse(text: str) -> Address | None:
    """Parse an address with or without a port. IPv4-mapped IPv6 addresses are treated as IPv4."""
    plain = text.strip(" \t")
    if with_port := _WITH_PORT.fullmatch(plain):
        plain = with_port[1] or with_port[2]
    try:
        address = ip_address(plain.partition("%")[0] if ":" in plain else plain)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
