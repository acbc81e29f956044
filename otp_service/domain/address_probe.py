"""The address probe, with which `doctor --url` checks which client IP address the service sees.

The doctor reads the same configuration and therefore has the pseudonym key. A probe is signed with a key
derived from it and is valid for a minute. The response contains a keyed hash of the IP address, which the
doctor compares with its own hashes.
"""

from __future__ import annotations

import hmac

from otp_service.domain.crypto import Keyring, hmac_fields

PATH = "/otp/address-probe"

SECONDS = 60
"""Maximum difference between the clocks of the doctor and the service, and the lifetime of a probe."""


class AddressProbe:
    """Signs and verifies probes with a key of *keyring*."""

    def __init__(self, keyring: Keyring) -> None:
        self._key = keyring.pseudonym_key_for(b"address_probe")

    def make(self, nonce: str, now: float) -> str:
        """Return a signed probe with this *nonce*."""
        return f"{int(now)}.{nonce}.{self._mac(str(int(now)), nonce)}"

    def verified_nonce(self, probe: str, now: float) -> str | None:
        """Return the nonce of *probe*, or None if its signature is invalid or it is too old."""
        if not probe.isascii():
            return None
        made, _, rest = probe.partition(".")
        nonce, _, mac = rest.partition(".")
        if not hmac.compare_digest(mac.encode(), self._mac(made, nonce).encode()):
            return None
        return nonce if abs(now - int(made)) <= SECONDS else None

    def ip_hash(self, nonce: str, client_ip: str) -> str:
        """Return the keyed hash of *client_ip* for the response to the probe with this *nonce*."""
        return hmac_fields(self._key, (b"address", nonce.encode(), client_ip.encode())).hex()

    def _mac(self, made: str, nonce: str) -> str:
        return hmac_fields(self._key, (b"probe", made.encode(), nonce.encode())).hex()
