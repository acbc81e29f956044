"""The address probe: how `doctor --url` learns which address the service believes.

The doctor has the configuration, and so the tag key; a probe is signed with a sub-key of it and is good for a
minute. The answer holds a keyed hash of the address, which only the doctor can compare.
"""

from __future__ import annotations

import hmac

from otp_service.domain.crypto import Keyring, hmac_fields

PATH = "/otp/address-probe"

SECONDS = 60
"""How far the clocks of the doctor and of the service may be apart, and how long a probe is accepted."""


class AddressProbe:
    """Signs and reads probes under *keyring*."""

    def __init__(self, keyring: Keyring) -> None:
        self._key = keyring.pseudonym_key_for(b"address_probe")

    def make(self, nonce: str, now: float) -> str:
        """Return what opens the probe with this *nonce*."""
        return f"{int(now)}.{nonce}.{self._mac(str(int(now)), nonce)}"

    def verified_nonce(self, probe: str, now: float) -> str | None:
        """Return the nonce of *probe*; none where it is not ours, or too old."""
        if not probe.isascii():
            return None
        made, _, rest = probe.partition(".")
        nonce, _, mac = rest.partition(".")
        if not hmac.compare_digest(mac.encode(), self._mac(made, nonce).encode()):
            return None
        return nonce if abs(now - int(made)) <= SECONDS else None

    def ip_hash(self, nonce: str, address: str) -> str:
        """Return what stands for *address* in the answer to the probe with this *nonce*."""
        return hmac_fields(self._key, (b"address", nonce.encode(), address.encode())).hex()

    def _mac(self, made: str, nonce: str) -> str:
        return hmac_fields(self._key, (b"probe", made.encode(), nonce.encode())).hex()
