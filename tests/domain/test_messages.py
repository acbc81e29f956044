"""Messages: which template an SMS uses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from otp_service.domain.codes import Code, CodeType
from otp_service.domain.messages import SmsMessage, Template, select_template
from otp_service.domain.phone import Phone

PHONE = Phone("+8613800138000", "CN", "mobile", 86)
HONG_KONG = Phone("+85251234567", "HK", "mobile", 852)

EXACT = Template("login", "SMS_1", locale="zh-CN", countries=("CN",))
COUNTRY = Template("login", "SMS_2", countries=("CN",))
LOCALE = Template("login", "SMS_3", locale="zh-CN")
PURPOSE = Template("login", "SMS_4")
ANYTHING = Template("*", "SMS_5")
ELSEWHERE = [
    Template("signup", "SMS_6"),
    Template("login", "SMS_7", countries=("DE", "FR")),
    Template("login", "SMS_10", countries=("international",)),
    Template("login", "SMS_8", locale="en"),
]


def sms(**changes: object) -> SmsMessage:
    facts: dict[str, object] = {
        "phone": PHONE,
        "client": "shop",
        "purpose": "login",
        "locale": "zh-CN",
        "code": Code("012345"),
        "code_type": CodeType.DIGITS,
        "reference": "",
    }
    return SmsMessage(**(facts | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("templates", "chosen"),
    [
        ([ANYTHING, PURPOSE, LOCALE, COUNTRY, EXACT], EXACT),
        ([ANYTHING, PURPOSE, LOCALE, COUNTRY], COUNTRY),
        ([ANYTHING, PURPOSE, LOCALE], LOCALE),
        ([ANYTHING, PURPOSE], PURPOSE),
        ([ANYTHING], ANYTHING),
        ([PURPOSE, Template("login", "SMS_9")], PURPOSE),
        (ELSEWHERE, None),
        ([], None),
    ],
    ids=["exact", "country", "locale", "purpose", "anything", "first of equals", "none fits", "none at all"],
)
def test_closest_template_is_selected(templates: list[Template], chosen: Template | None) -> None:
    assert select_template([*templates, *ELSEWHERE], sms()) == chosen
    if len({t.template_code for t in templates}) == len(templates) and chosen is not PURPOSE:
        assert select_template([*ELSEWHERE, *reversed(templates)], sms()) == chosen


NAMED = Template("*", "SMS_1", countries=("MO", "HK"))
ABROAD = Template("*", "SMS_2", countries=("international",))
WORLD = Template("*", "SMS_3")


@pytest.mark.parametrize(
    ("phone", "order"),
    [
        (HONG_KONG, [NAMED, ABROAD, WORLD]),
        (replace(HONG_KONG, country="DE"), [ABROAD, WORLD]),
        (PHONE, [WORLD]),
    ],
    ids=["named", "of the group", "of the mainland"],
)
def test_country_beats_its_group_and_its_group_beats_the_wildcard(
    phone: Phone, order: list[Template]
) -> None:
    left = [WORLD, ABROAD, NAMED]
    chosen = []
    while best := select_template(left, sms(phone=phone)):
        chosen.append(best)
        left.remove(best)

    assert chosen == order


def test_purpose_beats_country_and_country_beats_locale() -> None:
    purpose = Template("login", "SMS_1")
    country = Template("*", "SMS_2", countries=("international",))
    locale = Template("*", "SMS_3", locale="zh-CN")
    message = sms(phone=HONG_KONG)

    assert select_template([locale, country, purpose], message) == purpose
    assert select_template([locale, country], message) == country


@pytest.mark.parametrize(
    ("template", "served"),
    [(NAMED, True), (ABROAD, True), (WORLD, True), (COUNTRY, False), (Template("signup", "SMS_1"), False)],
    ids=["by name", "by group", "as any", "another country", "another purpose"],
)
def test_template_serves_its_purpose_and_countries(template: Template, *, served: bool) -> None:
    assert replace(template, locale="en").serves("login", "HK") is served


CHINESE, TAIWAN, OTHERS = (Template("*", f"SMS_{locale}", locale=locale) for locale in ("zh", "zh-TW", "*"))


@pytest.mark.parametrize(
    ("locale", "chosen"),
    [
        ("zh-TW", TAIWAN),
        ("ZH-tw", TAIWAN),
        ("zh-CN", CHINESE),
        ("zh", CHINESE),
        ("zhx", OTHERS),
        ("en", OTHERS),
        ("", OTHERS),
    ],
)
def test_language_template_serves_regions_without_their_own_template(locale: str, chosen: Template) -> None:
    assert select_template([OTHERS, CHINESE, TAIWAN], sms(locale=locale)) == chosen
    assert select_template([TAIWAN, CHINESE, OTHERS], sms(locale=locale)) == chosen


def test_request_without_a_locale_gets_a_template_without_one() -> None:
    assert select_template([EXACT, LOCALE, COUNTRY], sms(locale="")) == COUNTRY


def test_template_param_has_exactly_the_templates_variables() -> None:
    template = Template("login", "SMS_1", code_variable="captcha", extra_variables={"product": "otp"})

    assert template.template_param(Code("012345")) == {"product": "otp", "captcha": "012345"}


def test_extra_variable_never_replaces_the_code() -> None:
    template = Template("login", "SMS_1", extra_variables={"code": "000000"})

    assert template.template_param(Code("012345")) == {"code": "012345"}


def test_repr_of_an_sms_hides_phone_and_code() -> None:
    printed = repr(sms())

    assert "00138000" not in printed
    assert "012345" not in printed


@pytest.mark.parametrize(
    ("locale", "is_served"),
    [
        ("zh-CN", True),
        ("zh_CN", True),
        ("ZH-cn", True),
        ("zh-Hans-CN", True),
        ("zh_Hans_CN", True),
        ("zh-TW", False),
        ("zh", False),
        ("en-CN", False),
    ],
)
def test_locale_in_any_spelling_finds_its_template(locale: str, *, is_served: bool) -> None:
    assert (select_template([LOCALE], sms(locale=locale)) == LOCALE) == is_served
