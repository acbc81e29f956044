"""Phones: every spelling of a number is the same phone, and all other text is refused."""

from __future__ import annotations

import re

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otp_service.domain import text_normalization
from otp_service.domain.errors import DestinationBlocked, InvalidPhone
from otp_service.domain.phone import COUNTRIES, Phone, PhoneRules, _canonical, dialing, mask, parse

CHINA = PhoneRules()
WORLD = PhoneRules(
    countries=frozenset({"CN", "DE", "HK", "US", "SB"}), kinds=frozenset({"mobile", "fixed_line"})
)

SPELLINGS = {
    "national": "13800138000",
    "E.164": "+8613800138000",
    "groups of 3-4-4": "138 0013 8000",
    "international with blanks": "+86 138 0013 8000",
    "00 instead of +": "008613800138000",
    "00 and blanks": "00 86 138 0013 8000",
    "country code without +": "8613800138000",
    "country code without +, blanks": "86 138 0013 8000",
    "dashes": "138-0013-8000",
    "non-breaking hyphens": "138\u20110013\u20118000",
    "en dashes": "138\u20130013\u20138000",
    "dots": "138.0013.8000",
    "slashes": "138/0013/8000",
    "parentheses": "(138)00138000",
    "country code in parentheses": "(+86) 138 0013 8000",
    "trunk zero": "013800138000",
    "trunk zero after the country code": "+86 (0) 138 0013 8000",
    "blank between all digits": "1 3 8 0 0 1 3 8 0 0 0",
    "blanks around": "  13800138000  ",
    "tabs around, as spreadsheets paste it": "\t13800138000\t",
    "non-breaking blanks": "138\u00a00013\u00a08000",
    "narrow non-breaking blanks": "138\u202f0013\u202f8000",
    "ideographic blanks": "\u3000138\u30000013\u30008000\u3000",
    "full-width digits": "１３８００１３８０００",
    "full-width plus": "＋８６１３８００１３８０００",
    "full-width dashes and parentheses": "（１３８）００１３－８０００",
    "Arabic-Indic digits": "١٣٨٠٠١٣٨٠٠٠",
    "extended Arabic-Indic digits": "۱۳۸۰۰۱۳۸۰۰۰",
    "Devanagari digits": "१३८००१३८०००",
    "left-to-right marks, as contacts paste it": "\u202a+8613800138000\u202c",
    "right-to-left mark": "\u200f13800138000",
    "isolates": "\u206613800138000\u2069",
    "zero-width blanks": "138\u200b0013\u200b8000",
    "byte order mark": "\ufeff13800138000",
    "soft hyphens": "138\u00ad0013\u00ad8000",
    "variation selectors": "138\ufe0f0013\ufe0f8000",
    "tab inside": "1380013\t8000",
    "newline at the end, as it comes along with a paste": "13800138000\r\n",
    "newline inside": "1380013\n8000",
    "line separator": "1380013\u20288000",
    "next line": "1380013\x858000",
    "tel:": "tel:+8613800138000",
    "TEL: and dashes": "TEL:+86-138-0013-8000",
    "tel: national": "tel: 13800138000",
}

NOT_A_PHONE = {
    "nothing": "",
    "blanks": "   ",
    "plus": "+",
    "tel:": "tel:",
    "comma list": "13800138000,13800138001",
    "comma list, same number": "13800138000,13800138000",
    "comma at the end": "13800138000,",
    "full-width comma list": "13800138000，13800138001",
    "Arabic comma list": "13800138000،13800138001",
    "semicolon list": "13800138000;13800138001",
    "slash list": "13800138000/13800138001",
    "blank list": "13800138000 13800138001",
    "two pluses": "++8613800138000",
    "plus inside": "+86+13800138000",
    "extension ext": "13800138000 ext 5",
    "extension ext.": "13800138000ext.5",
    "extension #": "13800138000#1",
    "extension x": "13800138000x5",
    "extension ;ext=": "+8613800138000;ext=5",
    "extension ~": "13800138000~5",
    "extension in Chinese": "13800138000转5",
    "phone-context": "tel:13800138000;phone-context=+86",
    "one digit short": "1380013800",
    "one digit long": "138001380000",
    "E.164, one digit short": "+861380013800",
    "E.164, one digit long": "+86138001380000",
    "no mobile prefix": "12800138000",
    "short code": "95588",
    "emergency": "110",
    "country code twice": "868613800138000",
    "unknown country": "+9991234567",
    "letters": "1380013800O",
    "words for digits": "1800-FLOWERS",
    "text before": "my phone 13800138000",
    "text after": "13800138000 thanks",
    "quotes": '"13800138000"',
    "brackets": "[13800138000]",
    "wildcard": "1380013800*",
    "URL": "sms:13800138000",
    "tel: twice": "tel:tel:13800138000",
    "NUL inside": "1380013\x008000",
    "NUL at the end": "13800138000\x00",
    "two lines": "13800138000\n13800138001",
    "two lines of Unicode": "13800138000\u202813800138001",
    "backspace": "1380013\x088000",
    "lone surrogate": "13800138000\ud800",
    "escape": "\x1b[2J13800138000",
    "minus as number": "1.3800138e10",
    "hexadecimal": "0x3365B4A40",
    "65 characters": " " * (text_normalization.MAX_LENGTH + 1 - 11) + "13800138000",
    "ten kilobytes of digits": "1" * 10_240,
    "ten kilobytes of marks": "\u200f" * 10_240 + "13800138000",
    "marks that fold to many": "\ufdfa" * text_normalization.MAX_LENGTH,
}

NOT_SERVED = {
    "landline": "010 6552 9988",
    "landline, international": "+86 10 6552 9988",
    "landline, other city": "0755-26988888",
    "400 number": "400 810 8888",
    "800 number": "800 810 0888",
    "Hong Kong": "+852 5123 4567",
    "Macau": "+853 6612 3456",
    "Taiwan": "+886 912 345 678",
    "United States": "+1 650 253 0000",
    "United States, 862": "+1 862 555 0100",
    "Germany": "+49 1512 3456789",
    "international freephone": "+800 1234 5678",
    "satellite": "+870 773 111 632",
}


@pytest.mark.parametrize("text", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_every_spelling_is_the_same_phone(text: str) -> None:
    assert parse(text, CHINA) == Phone("+8613800138000", "CN", "mobile", 86)


@pytest.mark.parametrize("text", NOT_A_PHONE.values(), ids=NOT_A_PHONE.keys())
def test_text_that_is_not_one_phone_is_refused(text: str) -> None:
    with pytest.raises(InvalidPhone):
        parse(text, CHINA)


@pytest.mark.parametrize("text", NOT_SERVED.values(), ids=NOT_SERVED.keys())
def test_other_countries_and_number_types_are_blocked(text: str) -> None:
    with pytest.raises(DestinationBlocked):
        parse(text, CHINA)


NEAR_PHONES = st.lists(
    st.sampled_from(
        [*"0123456789", *"+-., ;/#()x\n", "86", "0086", "138", "tel:", "ext", "\u200f", "１", "٣"]
    ),
    max_size=20,
).map("".join)


@given(st.one_of(st.text(max_size=80), NEAR_PHONES, st.from_regex(r"\A[+0]{0,3}(86)?\s?1\d{9,11}\Z")))
def test_any_text_is_a_chinese_mobile_number_or_refused(text: str) -> None:
    try:
        phone = parse(text, CHINA)
    except (InvalidPhone, DestinationBlocked):
        return
    assert re.fullmatch(r"\+861[3-9][0-9]{9}", phone.e164)


@given(st.text(max_size=40))
def test_any_text_is_a_phone_of_some_country_or_refused(text: str) -> None:
    try:
        phone = parse(text, WORLD)
    except (InvalidPhone, DestinationBlocked):
        return
    assert parse(phone.e164, WORLD) == phone


def test_numbers_without_a_prefix_belong_to_the_default_region() -> None:
    rules = PhoneRules("HK", frozenset({"HK"}), frozenset({"mobile"}))

    assert parse("5123 4567", rules).e164 == "+85251234567"


def test_landline_is_accepted_where_allowed() -> None:
    landline = parse("010 6552 9988", WORLD)

    assert (landline.e164, landline.kind) == ("+861065529988", "fixed_line")


def test_american_number_that_begins_with_862_stays_american() -> None:
    phone = parse("+1 862 555 0100", WORLD)

    assert (phone.country, phone.country_code, phone.national) == ("US", 1, "8625550100")


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("13800138000", "+86 138****8000"),
        ("+852 5123 4567", "+852 51****67"),
        ("+677 74 21234", "+677 7****34"),
        ("+49 1512 3456789", "+49 151****6789"),
    ],
)
def test_phone_is_displayed_masked(text: str, masked: str) -> None:
    phone = parse(text, WORLD)

    assert phone.masked() == str(phone) == f"{phone}" == mask(phone.e164) == masked


@pytest.mark.parametrize("text", ["", "+", "no number", "+999"])
def test_text_that_is_not_a_number_is_masked_completely(text: str) -> None:
    assert mask(text) == "****"


def test_no_string_conversion_shows_the_number() -> None:
    phone = parse("13800138000", CHINA)
    printed = f"{phone} {phone!r} {phone!s} {[phone]} {phone:}"

    assert "00138000" not in printed
    assert repr(phone) == "Phone(+86 138****8000)"


@pytest.mark.parametrize("text", [*SPELLINGS.values(), "+852 5123 4567", "+677 74 21234", "+86 10 6552 9988"])
def test_mask_hides_at_least_four_digits(text: str) -> None:
    assert parse(text, WORLD).masked().count("*") >= 4


@pytest.mark.parametrize("text", ["13800138000,13800138001", "4008108888"])
def test_error_does_not_contain_the_text(text: str) -> None:
    with pytest.raises((InvalidPhone, DestinationBlocked)) as refusal:
        parse(text, CHINA)

    assert text not in repr(refusal.value)
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None


def test_e164_shortcut_agrees_with_the_parser() -> None:
    """Tests every prefix of four digits in every plausible length; the patterns examine no more digits."""
    for prefix in range(1_000, 10_000):
        for length in (10, 11, 12):
            text = f"+86{prefix}".ljust(3 + length, "7")
            short = _canonical(text, CHINA)
            if short is not None or prefix % 10 == 0:
                assert short == parsed_without_shortcut(text)


def parsed_without_shortcut(text: str) -> Phone | None:
    try:
        return parse(f"{text[:3]} {text[3:]}", CHINA)  # text with a space is not E.164
    except (InvalidPhone, DestinationBlocked):
        return None


EVERYWHERE = frozenset({"mobile", "fixed_line"})
SUBSCRIBERS = {
    "Mexico": (
        "MX",
        "+525512345678",
        [
            "+52 1 55 1234 5678",
            "044 55 1234 5678",
            "045 55 1234 5678",
            "01 55 1234 5678",
            "+52 044 55 1234 5678",
            "55 1234 5678",
            "1 55 1234 5678",
            "5215512345678",
        ],
    ),
    "Benin": ("BJ", "+2290190011234", ["+229 90 01 12 34", "90011234", "0190011234", "+229 01 90 01 12 34"]),
    "Argentina": (
        "AR",
        "+5491123456789",
        [
            "+54 11 2345-6789",
            "011 15 2345-6789",
            "11 2345 6789",
            "011 2345 6789",
            "9 11 2345 6789",
            "+54 11 15 2345 6789",
            "+54 9 11 2345 6789",
        ],
    ),
    "Brazil": ("BR", "+5511961234567", ["(11) 96123-4567", "011 96123 4567", "0 15 11 96123 4567"]),
    "Italy": ("IT", "+393123456789", ["312 345 6789", "39 312 345 6789", "0039 312 345 6789"]),
    "Russia": ("RU", "+79123456789", ["8 912 345 67 89", "912 345 67 89", "7 912 345 67 89"]),
    "Kazakhstan": ("KZ", "+77710009998", ["8 771 000 9998", "771 000 9998", "7 771 000 9998"]),
    "United Kingdom": ("GB", "+447400123456", ["+44 0 7400 123456", "+44 (0)7400 123456", "07400 123456"]),
    "Hungary": ("HU", "+36201234567", ["06 20 123 4567", "+36 06 20 123 4567", "20 123 4567"]),
}
OLD_PLANS = {
    "Brazil without the ninth digit": "+55 11 9612 3456",
    "Ivory Coast before 2021": "+225 07 12 34 56",
    "Gabon before 2019": "+241 06 03 12 34",
    "Gabon before 2019, without zero": "+241 6 03 12 34",
    "Vietnam before 2018": "+84 121 234 5678",
    "Mauritius before 2013": "+230 251 2345",
    "Cameroon before 2014": "+237 71 23 45 67",
}


@pytest.mark.parametrize(("country", "e164", "texts"), SUBSCRIBERS.values(), ids=SUBSCRIBERS.keys())
def test_all_spellings_of_a_subscriber_are_one_phone(country: str, e164: str, texts: list[str]) -> None:
    rules = PhoneRules(country, frozenset({country}), EVERYWHERE)

    assert {text: parse(text, rules).e164 for text in texts} == dict.fromkeys(texts, e164)
    assert parse(e164, rules).kind == "mobile"


@pytest.mark.parametrize("text", OLD_PLANS.values(), ids=OLD_PLANS.keys())
def test_number_of_an_old_numbering_plan_is_refused(text: str) -> None:
    with pytest.raises(InvalidPhone):
        parse(text, PhoneRules("CN", COUNTRIES, EVERYWHERE))


KINDS_OF_NUMBERS = [phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE]


@pytest.mark.parametrize("country", sorted(COUNTRIES))
def test_trunk_digits_do_not_lead_to_another_number(country: str) -> None:
    """The widget drops these digits when it compares two numbers."""
    dialed = dialing(country)
    rules = PhoneRules(country, COUNTRIES, frozenset({"mobile", "fixed_line"}))
    others = {}
    for kind in KINDS_OF_NUMBERS:
        example = phonenumbers.example_number_for_type(country, kind)
        national = example and phonenumbers.national_significant_number(example)
        for text in [f"+{dialed.code}{digits}{national}" for digits in dialed.trunk if national]:
            try:
                others[text] = parse(text, rules).e164 == parse(f"+{dialed.code}{national}", rules).e164
            except (InvalidPhone, DestinationBlocked):
                continue

    assert all(others.values()), others


@pytest.mark.parametrize(
    ("country", "trunk"),
    [("CN", "0"), ("GB", "0"), ("MX", "044 045 01 1"), ("RU", "8"), ("HU", "06"), ("IT", ""), ("CI", "")],
)
def test_digits_that_belong_to_the_number_are_not_trunk_digits(country: str, trunk: str) -> None:
    assert " ".join(dialing(country).trunk) == trunk


@pytest.mark.parametrize("country", sorted(COUNTRIES))
def test_every_format_of_an_example_number_is_the_same_phone(country: str) -> None:
    dialed = dialing(country)
    example = phonenumbers.example_number_for_type(country, phonenumbers.PhoneNumberType.MOBILE)
    if example is None:
        pytest.skip("has no mobile numbers")
    rules = PhoneRules(country, COUNTRIES, frozenset({"mobile"}))
    forms = phonenumbers.PhoneNumberFormat
    texts = [
        phonenumbers.format_number(example, form)
        for form in (forms.E164, forms.INTERNATIONAL, forms.NATIONAL)
    ]
    texts.append(f"+{dialed.code} {texts[-1]}")
    found = set()
    for text in texts:
        try:
            found.add(parse(text, rules).e164)
        except (InvalidPhone, DestinationBlocked):
            continue

    assert len(found) == 1 or country == "GA"
    assert {parse(e164, rules).e164 for e164 in found} == found
