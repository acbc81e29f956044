"""Phone numbers: a stranger's text becomes one `Phone` or is refused. Touches nothing.

Every spelling of a number ends as the same E.164 text, so that all keys, limits and sends agree on it;
only this text may reach a store key or a provider.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Any

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, PhoneNumberType

from otp_service.errors import DestinationBlocked, InvalidPhone

MAX_TEXT = 64
"""Characters of the longest spelling looked at; E.164 itself has at most 16."""

_SPELLING = re.compile(r"(?:tel:)? *\(?\+?[\d ().\-\u2010-\u2015/]+", re.IGNORECASE)
"""Digits and what people put between them, on one line. The parser alone would also take letters, extensions
and parameters, and finds a number inside other text."""

_SHORT = 9
"""Characters of a number of which a mask shows nothing."""

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")

_DECIDED_BY_SHAPE = frozenset({"CN"})
"""Countries of which a test shows, prefix by prefix, that the mobile pattern decides as the parser does."""

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
        digits = self.national
        hidden = max(4, len(digits) - 7)
        head = (len(digits) - hidden) // 2
        return f"+{self.country_code} {digits[:head]}{'*' * hidden}{digits[head + hidden :]}"

    __str__ = masked

    def __repr__(self) -> str:
        return f"Phone({self.masked()})"


def mask(number: str) -> str:
    """Return any E.164 *number* for people, at least four digits hidden: `+86138****8000`."""
    return f"{number[:-8]}****{number[-4:]}" if len(number) > _SHORT else "****"


@dataclass(frozen=True, slots=True)
class Dialing:
    """How people write numbers of an ISO *country*: the calling *code*, then *groups* of so many digits."""

    country: str
    code: int
    groups: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PhoneRules:
    """Where this service sends: allowed ISO *countries* and *kinds*, and the region of bare numbers."""

    default_region: str = "CN"
    countries: frozenset[str] = frozenset({"CN"})
    kinds: frozenset[str] = frozenset({"mobile"})


def dialing(country: str) -> Dialing:
    """Return how numbers of *country*, one of `COUNTRIES`, are written after their calling code."""
    code = phonenumbers.country_code_for_region(country)
    example: Any = phonenumbers.example_number_for_type(
        country, PhoneNumberType.MOBILE
    ) or phonenumbers.example_number(country)
    written = phonenumbers.format_number(example, PhoneNumberFormat.INTERNATIONAL)
    return Dialing(country, code, tuple(map(len, re.findall(r"\d+", written)))[1:])


def parse(text: str, rules: PhoneRules) -> Phone:
    """Read one phone number in any spelling.

    Raises:
        InvalidPhone: not one valid number without extension.
        DestinationBlocked: a valid number of a country or type that *rules* do not allow.
    """
    if phone := _canonical(text, rules):
        return phone
    number = _number(_plain(text), rules.default_region)
    number_type = phonenumbers.number_type(number)  # UNKNOWN: what is_valid_number() asks, at twice the price
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
    """Fold full-width forms and drop invisible direction marks; refuse what is no spelling of a number."""
    if len(text) > MAX_TEXT:
        raise InvalidPhone
    folded = unicodedata.normalize("NFKC", text)
    visible = "".join(c for c in folded if unicodedata.category(c) != "Cf").strip(" \t\u3000")
    if not _SPELLING.fullmatch(visible):
        raise InvalidPhone
    return visible


def _number(text: str, region: str) -> phonenumbers.PhoneNumber:
    try:
        return phonenumbers.parse(text, region)
    except NumberParseException:
        raise InvalidPhone from None
