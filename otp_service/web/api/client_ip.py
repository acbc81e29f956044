"""The requester's address: who stands behind a connection and the trusted proxies.

By default no proxy is trusted, and no header is looked at. Whoever makes a call writes its headers, so of
`X-Forwarded-For` only the entries count that our own proxies have written, at its right end; what stands left
of those never matters, nor do `X-Real-IP` and `Forwarded`. An entry that is no address ends the trust: then
the connection's own address counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Read = Callable[[str], Address | None]

_WITH_PORT = re.compile(r"(?:([0-9.]+)|\[([0-9A-Fa-f:.]+)\]):[0-9]{1,5}")
"""`v4:port` and `[v6]:port`, which some proxies write into `X-Forwarded-For`."""

UNSPECIFIED = IPv4Address(0)
"""Stands for connections without an address, those of Unix sockets: unless a proxy speaks, all are as one."""


@dataclass(frozen=True, slots=True)
class ProxyTrust:
    """Which entries of `X-Forwarded-For` are believed: the last *hops*, or those written from *networks*."""

    hops: int = 0
    networks: tuple[IPv4Network | IPv6Network, ...] = ()


def address_of(
    environ: Mapping[str, object], trust: ProxyTrust, on_unreadable: Callable[[], object] = int
) -> str:
    """Return the address of the end user behind the call with *environ*.

    *on_unreadable* is called for each entry of a trusted proxy that is no address.
    """

    def read(entry: str) -> Address | None:
        address = _read(entry)
        if address is None and entry.strip(" \t"):
            on_unreadable()
        return address

    connection = _read(str(environ.get("REMOTE_ADDR", ""))) or UNSPECIFIED
    # A server joins the lines of a repeated header in their order, so that the last entry is the nearest.
    entries = str(environ.get("HTTP_X_FORWARDED_FOR", "")).split(",")
    if trust.hops:
        return str(_by_hops(entries, trust.hops, read) or connection)
    return str(_by_networks(connection, entries, trust, read) or connection)


def _by_hops(entries: list[str], hops: int, read: Read) -> Address | None:
    """Return the entry that the outermost of our proxies has written."""
    ours = [read(entry) for entry in entries[-hops:]]
    return None if len(ours) < hops or None in ours else ours[0]


def _by_networks(connection: Address, entries: list[str], trust: ProxyTrust, read: Read) -> Address | None:
    """Return the last address that is no proxy of ours; if all are, the first."""
    known: Address | None = connection
    for entry in reversed(entries):
        if known is None or not any(known in network for network in trust.networks):
            break
        known = read(entry)
    return known


def _read(text: str) -> Address | None:
    """Return the address that *text* spells, with or without a port, IPv4 in IPv6 clothes as IPv4."""
    plain = text.strip(" \t")
    if with_port := _WITH_PORT.fullmatch(plain):
        plain = with_port[1] or with_port[2]
    try:
        address = ip_address(plain.partition("%")[0] if ":" in plain else plain)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
