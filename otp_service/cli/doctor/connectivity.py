"""Checks whether a host can be reached: name resolution, IPv4, IPv6 and TLS."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from otp_service.cli.doctor.check_result import CheckResult, fail, ok, warn
from otp_service.sms.http import tls_context

SECONDS = 3.0
"""Timeout of each step. A slower network is too slow for sending SMS."""

SLOW_SECONDS = 1.0

_PORTS = {"http": 80, "https": 443}
_FAMILIES = {socket.AF_INET: "IPv4", socket.AF_INET6: "IPv6"}

Address = tuple[socket.AddressFamily, str]


def check_connectivity(url: str, route: str) -> Iterator[CheckResult]:
    """Check each step of a connection to *url*."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    began = time.monotonic()
    addresses = _resolved(host, port)
    took = time.monotonic() - began
    if addresses is None:
        yield fail("dns", f"{host} has no address", "Check the resolver of this machine.", route)
        return
    if took > SLOW_SECONDS:
        yield warn(
            "dns", f"{host} took {took:.1f} s to resolve", "Check the resolver of this machine.", route
        )
    else:
        yield ok("dns", f"{host} resolves in {took * 1000:.0f} ms", route)
    yield from _connections(addresses, port, route)
    if parts.scheme == "https":
        yield _tls(host, port, route)


def _resolved(host: str, port: int) -> list[Address] | None:
    """Return the first address of each family. A thread bounds the wait: the resolver has no timeout."""
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
            yield ok(name, "connects", route)
        elif any(reached.values()):
            fix = f"Every send may first wait for {name}: repair its route, or disable it on this machine."
            yield warn(name, "does not connect, although the name has such an address", fix, route)
        else:
            yield fail(name, "does not connect", "Check firewalls and routes of this machine.", route)


def _connects(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), SECONDS):
            return True
    except OSError:
        return False


def _tls(host: str, port: int, route: str) -> CheckResult:
    context = tls_context()  # that of the service: this machine may trust other CAs
    try:
        with (
            socket.create_connection((host, port), SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host) as secure,
        ):
            return ok("tls", f"{secure.version()}, the certificate is valid", route)
    except ssl.SSLCertVerificationError as error:
        fix = "Look for a proxy in between. The service trusts only public CAs, none added to this machine."
        return fail("tls", f"the certificate is not valid: {error.verify_message}", fix, route)
    except (OSError, ssl.SSLError) as error:
        return fail("tls", f"no TLS: {type(error).__name__}", "Look for a proxy in between.", route)
