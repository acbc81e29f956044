"""Normalization of the text that end users type or paste, applied before it is parsed.

Keyboards, input methods, password managers and clipboards write the same code or number in many ways.
Normalization maps them to one text. The parsers then match the whole text against ASCII patterns.
"""

from __future__ import annotations

import unicodedata

MAX_LENGTH = 64
"""Maximum length of a text to normalize, in characters. NFKC expands one character to at most 18."""

_UPPER_CASE = {ord(letter): letter.upper() for letter in "abcdefghijklmnopqrstuvwxyz"}
"""ASCII only: `str.upper` expands ß to two letters and maps other letters (dotless i) to ASCII."""

_SEPARATORS = "PZM"
"""General categories that are removed from codes: punctuation, separators and marks."""

_MINUS = "\u2212"
"""MINUS SIGN: some keyboards produce it for a hyphen, but its category is mathematical symbol."""

_INVISIBLE = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0"
    + "".join(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
)
"""Unicode's Default_Ignorable_Code_Point without the format characters (Cf): fillers and selectors."""


def fold(text: str) -> str:
    """Return *text* in compatibility form (NFKC), with ASCII digits and without invisible characters.

    Every kind of white space becomes a space, and every dash a hyphen. The caller limits the length.
    """
    if _is_plain(text):
        return text
    return "".join(map(_folded, unicodedata.normalize("NFKC", text)))


def fold_code(text: str) -> str:
    """Return the symbols of a code: normalized, in upper case, without spaces, punctuation and marks."""
    folded = fold(text).translate(_UPPER_CASE)
    if folded.isascii() and folded.isalnum():
        return folded
    return "".join(c for c in folded if unicodedata.category(c)[0] not in _SEPARATORS and c != _MINUS)


def fold_id(text: str) -> str:
    """Return an id without white space and invisible characters. All other characters are significant."""
    if _is_plain(text) and " " not in text:
        return text
    return "".join(c for c in text if not (c.isspace() or _is_invisible(c)))


def _is_plain(text: str) -> bool:
    """Return whether *text* is printable ASCII. Most input is, and needs no normalization."""
    return text.isascii() and text.isprintable()


def _folded(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if _is_invisible(character):
        return ""
    if category == "Pd" or character == _MINUS:
        return "-"
    return " " if character.isspace() else character


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) == "Cf" or character in _INVISIBLE
