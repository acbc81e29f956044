"""Codes: derived from a salt and a key, kept only as a keyed digest.

A code is never stored. Whoever holds the code key and the salt can derive it again, which is how a resend
repeats the same code; whoever holds only the store sees a salt and a digest and learns nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from otp_service.domain import typed_text
from otp_service.domain.crypto import hmac_fields
from otp_service.domain.errors import InvalidCode

LENGTH = 6
"""Aliyun's verification templates take 4 to 6 characters; NIST SP 800-63B-4 asks for at least six digits."""

SALT_BYTES = 16

DIGEST_BYTES = 16
"""HMAC-SHA256 cut to 128 bits: a wrong code passes for a right one once in 2^128, and each live verification
costs the store 16 bytes less."""

_SPACE = 2**256


class CodeType(StrEnum):
    """What a code is made of; the value is what the API calls it."""

    DIGITS = "digits"
    ALNUM = "alnum6"

    @property
    def alphabet(self) -> str:
        """The symbols, in the order of their value."""
        return _ALPHABETS[self]


_ALPHABETS = {
    CodeType.DIGITS: "0123456789",
    # 31 symbols that cannot be taken for one another: no 0 O, 1 I L.
    CodeType.ALNUM: "23456789ABCDEFGHJKMNPQRSTUVWXYZ",
}
_PATTERNS = {kind: re.compile(f"[{kind.alphabet}]{{{LENGTH}}}") for kind in CodeType}


@dataclass(frozen=True, slots=True, repr=False)
class Code:
    """A code that cannot be printed; `reveal()` is for the SMS and the digest only."""

    text: str

    def get_secret_value(self) -> str:
        """Return the characters themselves."""
        return self.text

    def __str__(self) -> str:
        return "******"

    def __repr__(self) -> str:
        return "Code(******)"


@dataclass(frozen=True, slots=True)
class CodeContext:
    """What a code belongs to: one verification of one client for one phone (E.164)."""

    verification_id: str
    client: str
    phone: str

    def __repr__(self) -> str:
        return f"CodeContext({self.client})"


def parse(text: str) -> tuple[Code, frozenset[CodeType]]:
    """Read what a person typed, in any spelling; return it with the code types it could belong to.

    Raises:
        InvalidCode: no code of any type looks like this; no attempt is used.
    """
    if len(text) > typed_text.MAX_LENGTH:
        raise InvalidCode
    folded = typed_text.fold_code(text)
    code_types = frozenset(kind for kind, pattern in _PATTERNS.items() if pattern.fullmatch(folded))
    if not code_types:
        raise InvalidCode
    return Code(folded), code_types


def derive(key: bytes, salt: bytes, context: CodeContext, kind: CodeType, *, length: int = LENGTH) -> Code:
    """Return the one code of *context* under *key* and *salt*, uniform over the alphabet."""
    symbols = kind.alphabet
    number = _uniform(key, (b"code", salt, *_fields(context)), len(symbols) ** length)
    text = ""
    for _ in range(length):
        number, place = divmod(number, len(symbols))
        text = symbols[place] + text
    return Code(text)


def digest(key: bytes, context: CodeContext, code: Code) -> bytes:
    """Return the `DIGEST_BYTES` that stand for *code* in the store."""
    return hmac_fields(key, (b"digest", *_fields(context), code.get_secret_value().encode()))[:DIGEST_BYTES]


def _fields(context: CodeContext) -> tuple[bytes, bytes, bytes]:
    return context.verification_id.encode(), context.client.encode(), context.phone.encode()


def _uniform(key: bytes, fields: tuple[bytes, ...], size: int) -> int:
    """Return a number below *size*, unbiased: what lies beyond the last whole multiple is drawn again."""
    limit = _SPACE - _SPACE % size
    for draw in range(256):
        number = int.from_bytes(hmac_fields(key, (*fields, bytes([draw]))), "big")
        if number < limit:
            return number % size
    raise AssertionError("256 draws beyond the limit: HMAC-SHA256 is broken")  # pragma: no cover
