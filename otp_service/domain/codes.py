"""Codes: derived from a salt and a key, and stored only as a keyed digest.

A code is never stored. A resend derives the same code again from the code key and the stored salt. The store
holds only the salt and the digest, which reveal nothing about the code without the keys.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from otp_service.domain import text_normalization
from otp_service.domain.crypto import hmac_fields
from otp_service.domain.errors import InvalidCode

LENGTH = 6
"""Aliyun's verification templates accept 4 to 6 characters; NIST SP 800-63B-4 requires at least 6 digits."""

SALT_BYTES = 16

DIGEST_BYTES = 16
"""HMAC-SHA256 truncated to 128 bits: a wrong code matches with a probability of 2^-128, and each open
verification needs 16 bytes less in the store."""

_SPACE = 2**256


class CodeType(StrEnum):
    """The alphabet of a code; the values are those of the API."""

    DIGITS = "digits"
    ALNUM = "alnum6"

    @property
    def alphabet(self) -> str:
        """The symbols, in the order of their values as digits."""
        return _ALPHABETS[self]


_ALPHABETS = {
    CodeType.DIGITS: "0123456789",
    # 31 symbols that are not easily confused: 0, O, 1, I and L are left out.
    CodeType.ALNUM: "23456789ABCDEFGHJKMNPQRSTUVWXYZ",
}
_PATTERNS = {kind: re.compile(f"[{kind.alphabet}]{{{LENGTH}}}") for kind in CodeType}


@dataclass(frozen=True, slots=True, repr=False)
class Code:
    """A code whose `str` and `repr` are masked. `get_secret_value()` is for the SMS and the digest only."""

    text: str

    def get_secret_value(self) -> str:
        """Return the code itself."""
        return self.text

    def __str__(self) -> str:
        return "******"

    def __repr__(self) -> str:
        return "Code(******)"


@dataclass(frozen=True, slots=True)
class CodeContext:
    """What a code is bound to: one verification of one client for one *phone* (E.164)."""

    verification_id: str
    client: str
    phone: str

    def __repr__(self) -> str:
        return f"CodeContext({self.client})"


def parse(text: str) -> tuple[Code, frozenset[CodeType]]:
    """Parse the code that an end user typed, in any spelling; return it with the code types that it matches.

    Raises:
        InvalidCode: *text* matches no code type. No attempt is used.
    """
    if len(text) > text_normalization.MAX_LENGTH:
        raise InvalidCode
    folded = text_normalization.fold_code(text)
    code_types = frozenset(kind for kind, pattern in _PATTERNS.items() if pattern.fullmatch(folded))
    if not code_types:
        raise InvalidCode
    return Code(folded), code_types


def derive(key: bytes, salt: bytes, context: CodeContext, kind: CodeType, *, length: int = LENGTH) -> Code:
    """Return the code of *context* under *key* and *salt*, uniformly distributed over the alphabet."""
    symbols = kind.alphabet
    number = _uniform(key, (b"code", salt, *_fields(context)), len(symbols) ** length)
    text = ""
    for _ in range(length):
        number, place = divmod(number, len(symbols))
        text = symbols[place] + text
    return Code(text)


def digest(key: bytes, context: CodeContext, code: Code) -> bytes:
    """Return the keyed digest of *code* that is stored, `DIGEST_BYTES` long."""
    return hmac_fields(key, (b"digest", *_fields(context), code.get_secret_value().encode()))[:DIGEST_BYTES]


def _fields(context: CodeContext) -> tuple[bytes, bytes, bytes]:
    return context.verification_id.encode(), context.client.encode(), context.phone.encode()


def _uniform(key: bytes, fields: tuple[bytes, ...], size: int) -> int:
    """Return an unbiased number below *size*, by rejection sampling."""
    limit = _SPACE - _SPACE % size
    for draw in range(256):
        number = int.from_bytes(hmac_fields(key, (*fields, bytes([draw]))), "big")
        if number < limit:
            return number % size
    raise AssertionError("256 draws were rejected: HMAC-SHA256 is broken")  # pragma: no cover
