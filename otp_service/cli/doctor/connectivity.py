"""Whether a host can be reached: name, addresses of both kinds, TLS. Touches the network."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from otp_service.cli.doctor.check_result import CheckResult, fail, ok, warn

SECONDS = 3.0
"""For each step. Who needs longer here needs too long for an SMS."""

SLOW_SECONDS = 1.0

_PORTS = {"http": 80, "https": 443}
_FAMILIES = {socket.AF_INET: "IPv4", socket.AF_INET6: "IPv6"}

Address = tuple[socket.AddressFamily, str]


def reach(url: str, route: str) -> Iterator[CheckResult]:
    """Tell how far one gets towards *url*."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    began = time.monotonic()
    addresses = _resolved(host, port)
    took = time.monotonic() - began
    if addresses is None:
        yield fail("dns", f"{host} has no address", "Look at the resolver of this machine.", route)
        return
    if took > SLOW_SECONDS:
        yield warn(
            "dns", f"{host} took {took:.1f} s to resolve", "Look at the resolver of this machine.", route
        )
    else:
        yield ok("dns", f"{host} resolves in {took * 1000:.0f} ms", route)
    yield from _connections(addresses, port, route)
    if parts.scheme == "https":
        yield _tls(host, port, route)


def _resolved(host: str, port: int) -> list[Address] | None:
    """Return the first address of each family; the resolver has no time-out of its own."""
    pool = ThreadPoolExecutor(1)
    try:
        found = pool.submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM).result(SECONDS)
    except (OSError, TimeoutError):
        return None
    finally:
        pool.shutdown(wait=False)
    first: dict[socket.AddressFamily, str] = {}
    for family, _, _, _, address in found:
        first.setdefault(family, str(address[0]))
    return [(family, address) for family, address in first.items() if family in _FAMILIES]


def _connections(addresses: list[Address], port: int, route: str) -> Iterator[CheckResult]:
    reached = {family: _connects(address, port) for family, address in addresses}
    for family, name in _FAMILIES.items():
        if family not in reached:
            continue
        if reached[family]:
            yield ok(name, "can be connected", route)
        elif any(reached.values()):
            fix = f"Every send may first wait for {name}: give it a working way out by that, or none."
            yield warn(name, "cannot be connected, though the name has such an address", fix, route)
        else:
            yield fail(name, "cannot be connected", "Look at firewalls and routes out of here.", route)


def _connects(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), SECONDS):
            return True
    except OSError:
        return False


def _tls(host: str, port: int, route: str) -> CheckResult:
    context = ssl.create_default_context()
    try:
        with (
            socket.create_connection((host, port), SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host) as secure,
        ):
            return ok("tls", f"{secure.version()}, the certificate is good", route)
    except ssl.SSLCertVerificationError as error:
        fix = "Look for a proxy in between, and at the certificates that this machine trusts."
        return fail("tls", f"the certificate is not good: {error.verify_message}", fix, route)
    except (OSError, ssl.SSLError) as error:
        return fail("tls", f"no TLS: {type(error).__name__}", "Look for a proxy in between.", route)
