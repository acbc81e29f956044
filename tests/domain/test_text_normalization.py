"""Typed text: a table of spellings, and every digit, space and invisible character in Unicode."""

from __future__ import annotations

import string
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import spellings

from otp_service.domain import codes, phone, text_normalization
from otp_service.domain.errors import InvalidCode, InvalidPhone

ID = "AbC_-9xyz0123456789abc"
EVERY_CHARACTER = [chr(number) for number in range(sys.maxunicode + 1)]
DECIMAL_DIGITS = [c for c in EVERY_CHARACTER if unicodedata.category(c) == "Nd"]
WHITE_SPACE = [c for c in EVERY_CHARACTER if c.isspace()]
INVISIBLE = [c for c in EVERY_CHARACTER if unicodedata.category(c) == "Cf"]
FILLERS = [
    "\u034f",
    "\u115f",
    "\u1160",
    "\u17b4",
    "\u180b",
    "\u3164",
    "\ufe0e",
    "\ufe0f",
    "\uffa0",
    "\U000e0100",
]
DASHES = [c for c in EVERY_CHARACTER if unicodedata.category(c) == "Pd"]


@pytest.mark.parametrize("row", spellings.CODES, ids=lambda row: row["name"])
def test_code_is_read_in_every_spelling(row: spellings.CodeSpelling) -> None:
    try:
        found = codes.parse(row["typed"])[0].get_secret_value()
    except InvalidCode:
        found = None

    assert found == row["code"]


@pytest.mark.parametrize("row", spellings.PHONES, ids=lambda row: row["name"])
def test_phone_is_read_in_every_spelling(row: spellings.PhoneSpelling) -> None:
    rules = phone.PhoneRules(row["country"], phone.COUNTRIES, frozenset({"mobile"}))
    try:
        found = phone.parse(row["typed"], rules).e164
    except InvalidPhone:
        found = None

    assert found == row["e164"]


def test_digits_of_every_script_become_ascii_digits() -> None:
    assert len(DECIMAL_DIGITS) > 600
    assert [text_normalization.fold(c) for c in DECIMAL_DIGITS] == [
        str(unicodedata.decimal(c)) for c in DECIMAL_DIGITS
    ]


@pytest.mark.parametrize(
    "characters",
    [WHITE_SPACE, INVISIBLE, FILLERS, DASHES],
    ids=["white space", "invisible", "fillers", "dashes"],
)
def test_separators_in_a_code_are_removed(characters: list[str]) -> None:
    left = [c for c in characters if text_normalization.fold_code(f"{c}12{c}3456{c}") != "123456"]

    assert [f"U+{ord(c):04X} {unicodedata.name(c, '')}" for c in left] == []


def test_white_space_and_invisible_characters_are_removed_from_an_id() -> None:
    for c in (*WHITE_SPACE, *INVISIBLE, *FILLERS):
        assert text_normalization.fold_id(f"{c}{ID[:7]}{c}{ID[7:]}{c}") == ID


@pytest.mark.parametrize(
    "other", [ID.upper(), ID.lower(), "Ａ" + ID[1:], ID.replace("-", "\u2010"), ID.replace("_", "")]
)
def test_every_other_character_of_an_id_is_significant(other: str) -> None:
    assert text_normalization.fold_id(other) == other


@given(st.text(max_size=64))
def test_folded_code_contains_no_separators_or_lower_case_letters(text: str) -> None:
    assert not set(text_normalization.fold_code(text)) & {*string.ascii_lowercase, " ", ".", "-"}


@pytest.mark.parametrize(("text", "folded"), [("K7M4ß", "K7M4ß"), ("ıııııı", "ıııııı"), ("k7m4qx", "K7M4QX")])
def test_only_ascii_letters_change_their_case(text: str, folded: str) -> None:
    assert text_normalization.fold_code(text) == folded
