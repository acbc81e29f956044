"""Typed text: what people type or paste is folded here, before anything reads it.

Keyboards, input methods, password managers and clipboards write the same code or number in many ways. All of
them are one text from here on. What is read afterwards is matched against ASCII, whole.
"""

from __future__ import annotations

import unicodedata

MAX_LENGTH = 64
"""Characters of the longest text that is folded. NFKC makes at most 18 characters out of one."""

_UPPER_CASE = {ord(letter): letter.upper() for letter in "abcdefghijklmnopqrstuvwxyz"}
"""ASCII only: `str.upper` makes two letters out of one (ß), and ASCII letters out of others (dotless i)."""


_SEPARATING = "PZM"
"""Categories of characters that stand between the symbols of a code: punctuation, separators, marks."""

_MINUS = "\u2212"
"""Some keyboards type it for a hyphen; to Unicode it is a mathematical symbol."""

_INVISIBLE = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0"
    + "".join(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
)
"""What Unicode calls Default_Ignorable_Code_Point beside the format characters (Cf): fillers, selectors."""


def fold(text: str) -> str:
    """Return *text* in compatibility form (NFKC), with ASCII digits, and without invisible characters.

    White space of every kind is a space, and every dash a hyphen. The caller bounds the length.
    """
    if _is_plain(text):
        return text
    return "".join(map(_folded, unicodedata.normalize("NFKC", text)))


def fold_code(text: str) -> str:
    """Return the symbols of a code: folded, in upper case, without spaces, punctuation and marks."""
    folded = fold(text).translate(_UPPER_CASE)
    if folded.isascii() and folded.isalnum():
        return folded
    return "".join(one for one in folded if unicodedata.category(one)[0] not in _SEPARATING and one != _MINUS)


def fold_id(text: str) -> str:
    """Return an id without white space and invisible characters. Every other character is significant."""
    if _is_plain(text) and " " not in text:
        return text
    return "".join(c for c in text if not (c.isspace() or _is_invisible(c)))


def _is_plain(text: str) -> bool:
    """Tell whether *text* is printable ASCII, which is most of what comes and is folded already."""
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
