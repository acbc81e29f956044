"""The address at the other end of a connection, behind proxies that are trusted. Touches nothing.

By default no proxy is: whatever a header says, the connection's own address counts. Malformed entries end the
trust, so that nobody gains by them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address


@dataclass(frozen=True, slots=True)
class Trust:
    """Which entries of `X-Forwarded-For` are believed: the last *hops*, or those written by *networks*."""

    hops: int = 0
    networks: tuple[IPv4Network | IPv6Network, ...] = ()


def address_of(environ: Mapping[str, object], trust: Trust) -> str | None:
    """Return the address of the end user, None when the server tells none."""
    connection = _read(str(environ.get("REMOTE_ADDR", "")))
    if connection is None:
        return None
    entries = [_read(text.strip()) for text in str(environ.get("HTTP_X_FORWARDED_FOR", "")).split(",")]
    find = _by_hops if trust.hops else _by_networks
    return str(find(connection, entries, trust))


Address = IPv4Address | IPv6Address


def _by_hops(connection: Address, entries: list[Address | None], trust: Trust) -> Address:
    """Return the entry that the outermost of our proxies has written."""
    if len(entries) < trust.hops:
        return connection
    return entries[-trust.hops] or connection


def _by_networks(connection: Address, entries: list[Address | None], trust: Trust) -> Address:
    """Return the last address that is no proxy of ours."""
    known = connection
    for entry in reversed(entries):
        if entry is None or not any(known in network for network in trust.networks):
            break
        known = entry
    return known


def _read(text: str) -> Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
