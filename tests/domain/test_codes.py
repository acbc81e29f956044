"""Codes: uniformly distributed, bound to their context, and hidden in every string conversion."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otp_service.domain import codes, crypto
from otp_service.domain.codes import Code, CodeContext, CodeType
from otp_service.domain.errors import InvalidCode

KEY = b"k" * 32
SALT = b"s" * codes.SALT_BYTES
CONTEXT = CodeContext("v" * 22, "shop", "+8613800138000")
DRAWS = 200_000

CHANGES = {
    "verification_id": replace(CONTEXT, verification_id="w" * 22),
    "client": replace(CONTEXT, client="mall"),
    "phone": replace(CONTEXT, phone="+8613800138001"),
    "a character moved from one field to the next": replace(CONTEXT, client="sho", phone="p+8613800138000"),
    "a character moved back": replace(CONTEXT, verification_id="v" * 22 + "s", client="hop"),
}

ODD_CODES = {
    "nothing": "",
    "too short": "12345",
    "too long": "1234567",
    "newline and a seventh digit": "123456\n7",
    "NUL at the end": "123456\x00",
    "NUL inside": "123\x00456",
    "circled digit, which is no decimal digit": "12345➏",
    "Roman numeral": "12345Ⅰ",
    "Chinese numeral": "12345六",
    "plus sign": "+12345",
    "minus sign": "-12345",
    "decimal point": "1234.5",
    "exponent": "1e0005",
    "hexadecimal": "0x1234",
    "letters that are left out": "ABCDOI",
    "zero in letters": "ABCDE0",
    "letter whose capital is ASCII": "abcdeı",
    "letter that folds to two": "abcdß2",
    "letter that doubles in upper case": "abcdß",
    "Cyrillic letters": "АВСЕНК",
    "wildcard": "1234.*",
    "list": "123456,123457",
    "lone surrogate": "12345\ud800",
    "ten kilobytes": "1" * 10_240,
    "65 characters": " " * 59 + "123456",
    "one character that folds to eighteen": "\ufdfa" * 64,
}


def derive(number: int, kind: CodeType = CodeType.DIGITS, length: int = 6) -> str:
    salt = number.to_bytes(codes.SALT_BYTES, "big")
    return codes.derive(KEY, salt, CONTEXT, kind, length=length).get_secret_value()


@pytest.fixture(scope="module")
def many() -> list[str]:
    return [derive(number) for number in range(DRAWS)]


def test_every_position_of_a_code_is_uniform(many: list[str]) -> None:
    """Chi² with nine degrees of freedom exceeds 33.7 once in ten thousand; the draws are deterministic."""
    expected = DRAWS / 10
    for place in range(6):
        seen = Counter(code[place] for code in many)

        assert sum((seen[digit] - expected) ** 2 / expected for digit in "0123456789") < 33.7


def test_codes_cover_their_whole_range(many: list[str]) -> None:
    numbers = [int(code) for code in many]

    assert min(numbers) < 50
    assert max(numbers) > 999_950
    # 200,000 draws of a million: 181,269 distinct values are expected.
    assert 180_000 < len(set(numbers)) < 182_500


def test_leading_zeros_are_kept(many: list[str]) -> None:
    assert {len(code) for code in many} == {6}
    assert any(code.startswith("000") for code in many)


def test_two_digit_codes_take_every_value() -> None:
    assert {derive(n, length=2) for n in range(2_000)} == {f"{n:02}" for n in range(100)}


def test_alnum_codes_use_31_unambiguous_symbols() -> None:
    seen = set("".join(derive(n, CodeType.ALNUM) for n in range(2_000)))

    assert seen == set(CodeType.ALNUM.alphabet)
    assert len(CodeType.ALNUM.alphabet) == 31
    assert not seen & set("01OIL")


@pytest.mark.parametrize(
    ("kind", "code"), [(CodeType.DIGITS, "049350"), (CodeType.ALNUM, "FCHZ7P")], ids=["digits", "alnum"]
)
def test_derived_code_is_the_same_in_every_version(kind: CodeType, code: str) -> None:
    """Old and new processes run at the same time and must derive the same codes."""
    assert codes.derive(KEY, SALT, CONTEXT, kind).get_secret_value() == code


def test_digest_is_the_same_in_every_version() -> None:
    digest = codes.digest(KEY, CONTEXT, Code("123456")).hex()

    assert digest == "a7c1e151ed028259faa2313afffc82af"


def test_draw_that_would_bias_the_code_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = iter([b"\xff" * 32, (1_000_007).to_bytes(32, "big")])
    monkeypatch.setattr(codes, "hmac_fields", lambda _key, _fields: next(draws))

    assert codes.derive(KEY, SALT, CONTEXT, CodeType.DIGITS).get_secret_value() == "000007"


@pytest.mark.parametrize("other", CHANGES.values(), ids=CHANGES.keys())
def test_every_field_of_the_context_changes_code_and_digest(other: CodeContext) -> None:
    kind, right = CodeType.ALNUM, Code("123456")

    assert codes.derive(KEY, SALT, other, kind) != codes.derive(KEY, SALT, CONTEXT, kind)
    assert codes.digest(KEY, other, right) != codes.digest(KEY, CONTEXT, right)


def test_key_and_salt_change_the_code() -> None:
    code = codes.derive(KEY, SALT, CONTEXT, CodeType.ALNUM)

    assert codes.derive(b"x" * 32, SALT, CONTEXT, CodeType.ALNUM) != code
    assert codes.derive(KEY, b"x" * codes.SALT_BYTES, CONTEXT, CodeType.ALNUM) != code


def test_key_and_code_change_the_digest() -> None:
    digest = codes.digest(KEY, CONTEXT, Code("123456"))

    assert codes.digest(b"x" * 32, CONTEXT, Code("123456")) != digest
    assert codes.digest(KEY, CONTEXT, Code("123457")) != digest
    assert len(digest) == 16


FIELDS = st.lists(st.binary(max_size=6), max_size=4).map(tuple)


@given(FIELDS, FIELDS)
def test_different_lists_of_fields_have_different_hashes(
    one: tuple[bytes, ...], other: tuple[bytes, ...]
) -> None:
    assert (crypto.hmac_fields(KEY, one) == crypto.hmac_fields(KEY, other)) == (one == other)


def test_digits_match_both_types_unless_they_contain_zero_or_one() -> None:
    assert codes.parse("234567") == (Code("234567"), frozenset(CodeType))
    assert codes.parse("012345") == (Code("012345"), frozenset({CodeType.DIGITS}))


def test_lower_case_letters_become_upper_case() -> None:
    assert codes.parse("abc234") == (Code("ABC234"), frozenset({CodeType.ALNUM}))


@given(st.binary(min_size=16, max_size=16), st.sampled_from(CodeType))
def test_every_derived_code_can_be_parsed(salt: bytes, kind: CodeType) -> None:
    code = codes.derive(KEY, salt, CONTEXT, kind)
    typed, code_types = codes.parse(code.get_secret_value())

    assert typed == code
    assert kind in code_types


@pytest.mark.parametrize("text", ODD_CODES.values(), ids=ODD_CODES.keys())
def test_text_that_cannot_be_a_code_is_refused(text: str) -> None:
    with pytest.raises(InvalidCode):
        codes.parse(text)


@given(st.text(max_size=12))
def test_any_text_is_parsed_as_six_symbols_or_refused(text: str) -> None:
    try:
        code, code_types = codes.parse(text)
    except InvalidCode:
        return
    assert any(set(code.get_secret_value()) <= set(kind.alphabet) for kind in code_types)
    assert len(code.get_secret_value()) == 6


def test_no_string_conversion_shows_a_code() -> None:
    code = Code("123456")

    assert f"{code} {code!s} {code!r} {[code]} {code:}" == "****** ****** Code(******) [Code(******)] ******"


def test_repr_of_a_context_hides_the_phone() -> None:
    assert repr(CONTEXT) == str(CONTEXT) == "CodeContext(shop)"
