"""Phone numbers: parsing of untrusted text into a `Phone`.

All spellings of a number give the same E.164 text, so that keys, limits and sends agree on it. Only this text
is used for hashes and sent to providers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, PhoneNumberType

from otp_service.domain import text_normalization
from otp_service.domain.errors import DestinationBlocked, InvalidPhone

_SPELLING = re.compile(r"(?:[Tt][Ee][Ll]:)? *\(?\+?[0-9 ().\-/]+")
"""Digits and the separators that people write. The parser alone would also accept letters, extensions and
parameters, and a number inside other text."""

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")

_DECIDED_BY_PATTERN = frozenset({"CN"})
"""Countries for which a test proves, prefix by prefix, that the mobile pattern agrees with the parser."""

_RENUMBERED = (
    # Mexico dropped the 1 of mobile numbers, and the prefixes 01, 044 and 045, on 2019-08-03.
    # Source: ITU-T E.129, National Numbering Plan of Mexico.
    (re.compile(r"\+52(?:1|01|044|045)([2-9][0-9]{9})"), r"+52\1"),
    # Benin prefixed all eight-digit numbers with 01 on 2024-11-30.
    # Source: ITU-T E.129, National Numbering Plan of Benin.
    (re.compile(r"\+229([0-9]{8})"), r"+22901\1"),
    # Argentina: only calls from abroad to mobile numbers use the 9. Without it, a mobile number cannot be
    # distinguished from a landline number; an SMS is sent to the number with the 9.
    # Source: ITU-T E.129, National Numbering Plan of Argentina.
    (re.compile(r"\+54([123][0-9]{9})"), r"+549\1"),
)
"""Obsolete or alternative spellings of a country's numbers, and the canonical spelling."""

_OBSOLETE = re.compile(r"\+241(?:0[0-9]{7}|[0-9]{7})")
"""Gabon's numbers before 2019-07-11. The parser accepts them, but as numbers that differ from the eight-digit
numbers that replaced them. Source: ITU-T E.129, National Numbering Plan of Gabon."""

_TRUNKS = ("044", "045", "01", "06", "0", "1", "8")
"""Trunk prefixes that people also write after the calling code, the longest first."""

_KINDS = {
    PhoneNumberType.MOBILE: "mobile",
    PhoneNumberType.FIXED_LINE_OR_MOBILE: "mobile",
    PhoneNumberType.FIXED_LINE: "fixed_line",
}
KINDS = ("mobile", "fixed_line")
"""The number types that settings may allow. No SMS is sent to any other type."""

COUNTRIES = frozenset(phonenumbers.SUPPORTED_REGIONS)
"""All countries that a number can belong to."""


@dataclass(frozen=True, slots=True, repr=False)
class Phone:
    """One valid number: *e164* (`+8613800138000`), ISO *country* and *kind*.

    `str` and `repr` are masked. Use `.e164` where the number itself is needed.
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
        """Return the number with at least four digits hidden: `+86 138****8000`."""
        return _masked(self.country_code, self.national)

    __str__ = masked

    def __repr__(self) -> str:
        return f"Phone({self.masked()})"


def mask(number: str) -> str:
    """Return an E.164 *number* masked as by `Phone.masked`, or `****` if it is not a number."""
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
    """How numbers of an ISO *country* are written: the calling *code*, then groups of digits.

    *groups* are the sizes of these groups. *lengths* are the possible lengths of a mobile number without the
    calling code. *repeats_code* says whether such a number can begin with the digits of the calling code.
    *trunk* are trunk prefixes that people write between calling code and number, the longest first; no mobile
    number begins with them.
    """

    country: str
    code: int
    groups: tuple[int, ...]
    lengths: tuple[int, ...]
    repeats_code: bool
    trunk: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PhoneRules:
    """ISO *countries* and *kinds* that may get SMS, and the region of numbers without a calling code."""

    default_region: str = "CN"
    countries: frozenset[str] = frozenset({"CN"})
    kinds: frozenset[str] = frozenset({"mobile"})


def calling_code(country: str) -> int:
    """Return the calling code of *country*, one of `COUNTRIES`."""
    return int(phonenumbers.country_code_for_region(country))


@cache
def dialing(country: str) -> Dialing:
    """Return how numbers of *country*, one of `COUNTRIES`, are written."""
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
    """Return whether *digits* before the national part of *number* make no difference."""
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
    """Return whether *pattern* matches a number that begins with *start*, by trying continuations."""
    compiled = re.compile(pattern)
    texts = [f"{start}{head:03d}555555555555" for head in range(1000)]
    return any(compiled.fullmatch(text, 0, length) for length in lengths for text in texts)


def parse(text: str, rules: PhoneRules) -> Phone:
    """Parse one phone number in any spelling.

    Raises:
        InvalidPhone: *text* is not a single valid number without extension.
        DestinationBlocked: the number is valid, but *rules* do not allow its country or type.
    """
    if phone := _canonical(text, rules):
        return phone
    plain = _plain(text)
    number = _current(_number(plain, rules.default_region))
    # UNKNOWN means that the number is invalid; is_valid_number() takes twice the time.
    number_type = phonenumbers.number_type(number)
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
    """Return the phone if *text* is already E.164 and a pattern decides; otherwise None, for the parser.

    This is a fast path: most texts are E.164, and parsing takes a third of the time of a verify call. The
    patterns are the parser's own.
    """
    if not _E164.fullmatch(text):
        return None
    for country in rules.countries:
        mobile = _mobile_format(country)
        if mobile and text.startswith(mobile.prefix) and mobile.national.fullmatch(text, len(mobile.prefix)):
            return Phone(text, country, "mobile", mobile.code) if "mobile" in rules.kinds else None
    return None


@dataclass(frozen=True, slots=True)
class _MobileFormat:
    code: int
    prefix: str
    national: re.Pattern[str]


@cache
def _mobile_format(country: str) -> _MobileFormat | None:
    """Return the format of mobile numbers of *country* if it alone decides whether a number is one."""
    if country not in _DECIDED_BY_PATTERN:
        return None
    code = phonenumbers.country_code_for_region(country)
    metadata: Any = phonenumbers.PhoneMetadata.metadata_for_region(country)
    return _MobileFormat(code, f"+{code}", re.compile(metadata.mobile.national_number_pattern))


def _plain(text: str) -> str:
    """Normalize *text*; raise InvalidPhone if it is not a spelling of a number."""
    if len(text) > text_normalization.MAX_LENGTH:
        raise InvalidPhone
    folded = text_normalization.fold(text).strip(" ")
    if not _SPELLING.fullmatch(folded):
        raise InvalidPhone
    return folded


def _without_zero(text: str, rules: PhoneRules) -> str:
    """Return `0971…` as `+971…`: people also write the zero of a national number before the calling code."""
    digits = re.sub(r"[^0-9+]", "", text)
    code = calling_code(rules.default_region)
    return f"+{digits[1:]}" if digits.startswith(f"0{code}") else ""


def _current(number: phonenumbers.PhoneNumber) -> phonenumbers.PhoneNumber:
    """Return *number* in its country's current numbering plan, so that a number has one spelling only."""
    e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    if _OBSOLETE.fullmatch(e164):
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
