"""OutIds: what an SMS carries so that its report finds its record.

`<phone tag>.<verification tag>.<send number>.<mac>`: reports arrive unsigned, so the id authenticates itself,
and it names its place, so no look-up key is needed.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from otp_service.domain.codes import hmac_fields

MAC_BYTES = 8
_FORM = re.compile(r"([\w-]{16})\.([\w-]{16})\.([1-9]\d{0,2})\.([\w-]{11})", re.ASCII)


@dataclass(frozen=True, slots=True)
class MessageReference:
    """One send: the tags of its phone and of its verification, and its number from 1."""

    tag: str
    verification_hash: str
    number: int

    def encode(self, key: bytes) -> str:
        """Return the text that travels with the SMS."""
        return f"{self.tag}.{self.verification_hash}.{self.number}.{self._mac(key)}"

    @classmethod
    def decode(cls, text: str, keys: Iterable[bytes]) -> Self | None:
        """Return the send that *text* names, or nothing when none of *keys* signed it."""
        form = _FORM.fullmatch(text)
        if form is None:
            return None
        tag, verification_hash, number, mac = form.groups()
        out_id = cls(tag, verification_hash, int(number))
        if any(hmac.compare_digest(mac, out_id._mac(key)) for key in keys):
            return out_id
        return None

    def _mac(self, key: bytes) -> str:
        fields = (b"out_id", self.tag.encode(), self.verification_hash.encode(), str(self.number).encode())
        return base64.urlsafe_b64encode(hmac_fields(key, fields)[:MAC_BYTES]).decode().rstrip("=")
