"""Phone numbers: a stranger's text becomes one `Phone` or is refused.

Every spelling of a number ends as the same E.164 text, so that all keys, limits and sends agree on it;
only this text may reach a store key or a provider.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, PhoneNumberType

from otp_service.domain import typed_text
from otp_service.domain.errors import DestinationBlocked, InvalidPhone

_SPELLING = re.compile(r"(?:[Tt][Ee][Ll]:)? *\(?\+?[0-9 ().\-/]+")
"""Digits and what people put between them. The parser alone would also take letters, extensions and
parameters, and finds a number inside other text."""

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")

_DECIDED_BY_SHAPE = frozenset({"CN"})
"""Countries of which a test shows, prefix by prefix, that the mobile pattern decides as the parser does."""

_RENUMBERED = (
    # Mexico dropped the 1 of mobile numbers, and the prefixes 01, 044 and 045, on 2019-08-03.
    # Source: ITU-T E.129, National Numbering Plan of Mexico.
    (re.compile(r"\+52(?:1|01|044|045)([2-9][0-9]{9})"), r"+52\1"),
    # Benin put 01 before all numbers of eight digits on 2024-11-30.
    # Source: ITU-T E.129, National Numbering Plan of Benin.
    (re.compile(r"\+229([0-9]{8})"), r"+22901\1"),
    # Argentina: only calls from abroad to mobiles have the 9. Without it, nobody can tell a mobile number
    # from a landline, and an SMS goes to the number with the 9.
    # Source: ITU-T E.129, National Numbering Plan of Argentina.
    (re.compile(r"\+54([123][0-9]{9})"), r"+549\1"),
)
"""Spellings that a country has given up or uses beside others, and the one that we keep."""

_GIVEN_UP = re.compile(r"\+241(?:0[0-9]{7}|[0-9]{7})")
"""Gabon's numbers before 2019-07-11. The parser takes them beside the eight digits that they became, as other
numbers. Source: ITU-T E.129, National Numbering Plan of Gabon."""

_TRUNKS = ("044", "045", "01", "06", "0", "1", "8")
"""What people put before national numbers, and take along behind the calling code. The longest come first."""

_KINDS = {
    PhoneNumberType.MOBILE: "mobile",
    PhoneNumberType.FIXED_LINE_OR_MOBILE: "mobile",
    PhoneNumberType.FIXED_LINE: "fixed_line",
}
KINDS = ("mobile", "fixed_line")
"""The number types that settings may allow; every other type is never sent to."""

COUNTRIES = frozenset(phonenumbers.SUPPORTED_REGIONS)
"""Every country that a number can be of."""


@dataclass(frozen=True, slots=True, repr=False)
class Phone:
    """One valid number: `e164` (`+8613800138000`), ISO `country` and `kind`.

    `str` and `repr` are masked; whoever needs the number itself must write `.e164`.
    """

    e164: str
    country: str
    kind: str
    country_code: int

    @property
    def national(self) -> str:
        """The digits after the country code."""
        return self.e164[len(str(self.country_code)) + 1 :]

    def masked(self) -> str:
        """Return the number for people, at least four digits hidden: `+86 138****8000`."""
        return _masked(self.country_code, self.national)

    __str__ = masked

    def __repr__(self) -> str:
        return f"Phone({self.masked()})"


def mask(number: str) -> str:
    """Return any E.164 *number* as `Phone.masked` shows it; of what is no number, nothing."""
    try:
        parsed = phonenumbers.parse(number)
    except NumberParseException:
        return "****"
    return _masked(parsed.country_code or 0, phonenumbers.national_significant_number(parsed))


def _masked(country_code: int, digits: str) -> str:
    hidden = max(4, len(digits) - 7)
    head = max(0, len(digits) - hidden) // 2
    return f"+{country_code} {digits[:head]}{'*' * hidden}{digits[head + hidden :]}"


@dataclass(frozen=True, slots=True)
class Dialing:
    """How people write numbers of an ISO *country*: the calling *code*, then *groups* of so many digits.

    *lengths* are the numbers of digits that a mobile number may have after the calling code. *repeats_code*:
    such a number may begin with the digits of the calling code once more. *trunk*: digits that many write
    between calling code and number, the longest first; no mobile number begins with them.
    """

    country: str
    code: int
    groups: tuple[int, ...]
    lengths: tuple[int, ...]
    repeats_code: bool
    trunk: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PhoneRules:
    """Where this service sends: allowed ISO *countries* and *kinds*, and the region of bare numbers."""

    default_region: str = "CN"
    countries: frozenset[str] = frozenset({"CN"})
    kinds: frozenset[str] = frozenset({"mobile"})


def calling_code(country: str) -> int:
    """Return the calling code of *country*, one of `COUNTRIES`."""
    return int(phonenumbers.country_code_for_region(country))


@cache
def dialing(country: str) -> Dialing:
    """Return how numbers of *country*, one of `COUNTRIES`, are written after their calling code."""
    code = phonenumbers.country_code_for_region(country)
    example: Any = phonenumbers.example_number_for_type(
        country, PhoneNumberType.MOBILE
    ) or phonenumbers.example_number(country)
    written = phonenumbers.format_number(example, PhoneNumberFormat.INTERNATIONAL)
    groups = tuple(map(len, re.findall(r"\d+", written)))[1:]
    metadata: Any = phonenumbers.PhoneMetadata.metadata_for_region(country)
    mobile = metadata.mobile
    possible = mobile.possible_length if mobile else ()
    lengths = tuple(sorted({sum(groups), *(length for length in possible if length > 0)}))
    pattern = (mobile and mobile.national_number_pattern) or ""
    trunk = tuple(
        digits
        for digits in _TRUNKS
        if _is_dropped(digits, example) and not _matches_beginning(pattern, digits, lengths)
    )
    return Dialing(country, code, groups, lengths, _matches_beginning(pattern, str(code), lengths), trunk)


def _is_dropped(digits: str, number: phonenumbers.PhoneNumber) -> bool:
    """Tell whether *number* is the same one with *digits* before its national part."""
    e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    prefix = f"+{number.country_code}"
    try:
        other = parse(
            f"{prefix}{digits}{e164[len(prefix) :]}", PhoneRules(countries=COUNTRIES, kinds=frozenset(KINDS))
        )
    except (InvalidPhone, DestinationBlocked):
        return False
    return other.e164 == e164


def _matches_beginning(pattern: str, start: str, lengths: tuple[int, ...]) -> bool:
    """Tell whether *pattern* matches a number that begins with *start*, by trying what may follow."""
    shape = re.compile(pattern)
    texts = [f"{start}{head:03d}555555555555" for head in range(1000)]
    return any(shape.fullmatch(text, 0, length) for length in lengths for text in texts)


def parse(text: str, rules: PhoneRules) -> Phone:
    """Read one phone number in any spelling.

    Raises:
        InvalidPhone: not one valid number without extension.
        DestinationBlocked: a valid number of a country or type that *rules* do not allow.
    """
    if phone := _canonical(text, rules):
        return phone
    plain = _plain(text)
    number = _current(_number(plain, rules.default_region))
    number_type = phonenumbers.number_type(number)  # UNKNOWN: what is_valid_number() asks, at twice the price
    if number_type == PhoneNumberType.UNKNOWN and (international := _without_zero(plain, rules)):
        number = _current(_number(international, rules.default_region))
        number_type = phonenumbers.number_type(number)
    if number.extension or number_type == PhoneNumberType.UNKNOWN:
        raise InvalidPhone
    country = phonenumbers.region_code_for_number(number) or ""
    kind = _KINDS.get(number_type, "")
    if country not in rules.countries or kind not in rules.kinds:
        raise DestinationBlocked
    e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    return Phone(e164=e164, country=country, kind=kind, country_code=number.country_code or 0)


def _canonical(text: str, rules: PhoneRules) -> Phone | None:
    """Return the phone of a text that is E.164 already, as most are; None leaves it to the parser.

    The parser's own patterns are asked, without its search for a number: that takes a third of a verify.
    """
    if not _E164.fullmatch(text):
        return None
    for country in rules.countries:
        shape = _shape_of(country)
        if shape and text.startswith(shape.prefix) and shape.national.fullmatch(text, len(shape.prefix)):
            return Phone(text, country, "mobile", shape.code) if "mobile" in rules.kinds else None
    return None


@dataclass(frozen=True, slots=True)
class _Shape:
    code: int
    prefix: str
    national: re.Pattern[str]


@cache
def _shape_of(country: str) -> _Shape | None:
    """Return what mobile numbers of *country* look like, if that alone decides what they are."""
    if country not in _DECIDED_BY_SHAPE:
        return None
    code = phonenumbers.country_code_for_region(country)
    metadata: Any = phonenumbers.PhoneMetadata.metadata_for_region(country)
    return _Shape(code, f"+{code}", re.compile(metadata.mobile.national_number_pattern))


def _plain(text: str) -> str:
    """Fold what was typed; refuse what is no spelling of a number."""
    if len(text) > typed_text.MAX_LENGTH:
        raise InvalidPhone
    folded = typed_text.fold(text).strip(" ")
    if not _SPELLING.fullmatch(folded):
        raise InvalidPhone
    return folded


def _without_zero(text: str, rules: PhoneRules) -> str:
    """Return `0971…` as `+971…`: people put the zero of a national number before the calling code, too."""
    digits = re.sub(r"[^0-9+]", "", text)
    code = calling_code(rules.default_region)
    return f"+{digits[1:]}" if digits.startswith(f"0{code}") else ""


def _current(number: phonenumbers.PhoneNumber) -> phonenumbers.PhoneNumber:
    """Return *number* as its country writes it today, so that two spellings are never two numbers."""
    e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    if _GIVEN_UP.fullmatch(e164):
        raise InvalidPhone
    for old, new in _RENUMBERED:
        if not number.extension and old.fullmatch(e164):
            return _number(old.sub(new, e164), "ZZ")
    return number


def _number(text: str, region: str) -> phonenumbers.PhoneNumber:
    try:
        return phonenumbers.parse(text, region)
    except NumberParseException:
        raise InvalidPhone from None
