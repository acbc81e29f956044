"""Checks through the public URL whether visitors can forge the IP address that limits count."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from secrets import token_urlsafe
from urllib.parse import urlsplit

from otp_service.cli.doctor.check_result import CheckResult, fail, ok, warn
from otp_service.domain.address_probe import PATH, AddressProbe

SECONDS = 5.0

FORGED = "192.0.2.77"
"""An address reserved for documentation (RFC 5737)."""

_NAME = "X-Forwarded-For"
_ALIASES = ("X_Forwarded_For", "X-Forwarded_For", "X_Forwarded-For")

SPELLINGS: tuple[tuple[str, ...], ...] = (
    (_NAME,),
    (_NAME, _NAME),
    *((alias,) for alias in _ALIASES),
    *((alias, _NAME) for alias in _ALIASES),
    *((_NAME, alias) for alias in _ALIASES),
)
"""The header names of each forged call, in order."""

_CHECK = "address"
_LOOPBACK = ("127.0.0.1", "::1")


def check_forwarded_headers(url: str, probe: AddressProbe) -> Iterator[CheckResult]:
    """Check whether a forged header changes the IP address that the service at *url* uses."""
    nonce = token_urlsafe(16)
    honest = _believed(url, probe, nonce, ())
    if honest is None:
        fix = "Use the public URL of the service, the same configuration, and NTP for both clocks."
        yield fail(_CHECK, "the service did not respond to the probe at this URL", fix)
        return
    forged = probe.ip_hash(nonce, FORGED)
    results = {names: _believed(url, probe, nonce, names) for names in SPELLINGS}
    for names, believed in results.items():
        if believed == forged:
            yield fail(_CHECK, f"a visitor's own {' and '.join(names)} is trusted", _fix(names))
    if forged in results.values():
        return
    if any(believed not in (honest, None) for believed in results.values()):
        fix = "Run the doctor on a machine with one fixed address."
        yield warn(_CHECK, "changes from call to call, although no forged header was trusted", fix)
    elif honest in (probe.ip_hash(nonce, address) for address in _LOOPBACK):
        fix = (
            "Set service.proxy_hops or service.trusted_proxies: all visitors behind this proxy count as one."
        )
        yield warn(_CHECK, "the service sees only the address of a proxy on its own machine", fix)
    else:
        yield ok(_CHECK, f"no forged header was trusted in {len(SPELLINGS)} calls")


def _fix(names: tuple[str, ...]) -> str:
    if set(names) == {_NAME}:
        return f"Make the proxy set {_NAME} or append to it. Set service.proxy_hops to the number of proxies."
    return (
        "Make the proxy drop headers with underscores in their names: see docs/operations.md#reverse-proxies."
    )


def _believed(url: str, probe: AddressProbe, nonce: str, names: tuple[str, ...]) -> str | None:
    """Return the hash of the address that the service uses for a call with these forged headers, or None."""
    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    body = json.dumps({"probe": probe.make(nonce, time.time())}).encode()
    try:
        connection = kind(parts.hostname or "", parts.port, timeout=SECONDS)
        try:
            connection.putrequest("POST", parts.path.rstrip("/") + PATH)
            for name in names:
                connection.putheader(name, FORGED)
            connection.putheader("Content-Type", "application/json")
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            data = json.loads(response.read(4096)) if response.status == 200 else {}  # noqa: PLR2004
        finally:
            connection.close()
    except (OSError, HTTPException, ValueError):
        return None
    believed = data.get("address_hash") if isinstance(data, dict) else None
    return believed if isinstance(believed, str) else None
