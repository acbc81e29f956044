"""Messages: which template serves which SMS."""

from __future__ import annotations

import pytest

from otp_service.codes import Code, CodeType
from otp_service.messages import Sms, Template, choose
from otp_service.phone import Phone

PHONE = Phone("+8613800138000", "CN", "mobile", 86)

EXACT = Template("login", "SMS_1", locale="zh-CN", country="CN")
COUNTRY = Template("login", "SMS_2", country="CN")
LOCALE = Template("login", "SMS_3", locale="zh-CN")
PURPOSE = Template("login", "SMS_4")
ANYTHING = Template("*", "SMS_5")
ELSEWHERE = [
    Template("signup", "SMS_6"),
    Template("login", "SMS_7", country="DE"),
    Template("login", "SMS_8", locale="en"),
]


def sms(**changes: object) -> Sms:
    facts: dict[str, object] = {
        "phone": PHONE,
        "client": "shop",
        "purpose": "login",
        "locale": "zh-CN",
        "code": Code("012345"),
        "code_type": CodeType.DIGITS,
        "out_id": "",
    }
    return Sms(**(facts | changes))  # type: ignore[arg-type]


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
def test_the_closest_template_is_chosen(templates: list[Template], chosen: Template | None) -> None:
    assert choose([*templates, *ELSEWHERE], sms()) == chosen
    if len({t.template_code for t in templates}) == len(templates) and chosen is not PURPOSE:
        assert choose([*ELSEWHERE, *reversed(templates)], sms()) == chosen


def test_no_locale_takes_a_template_of_no_locale() -> None:
    assert choose([EXACT, LOCALE, COUNTRY], sms(locale="")) == COUNTRY


def test_the_template_param_is_exactly_the_templates_variables() -> None:
    template = Template("login", "SMS_1", param="captcha", params={"product": "otp"})

    assert template.template_param(Code("012345")) == {"product": "otp", "captcha": "012345"}


def test_a_fixed_variable_never_takes_the_place_of_the_code() -> None:
    template = Template("login", "SMS_1", params={"code": "000000"})

    assert template.template_param(Code("012345")) == {"code": "012345"}


def test_a_printed_sms_shows_neither_number_nor_code() -> None:
    printed = repr(sms())

    assert "00138000" not in printed
    assert "012345" not in printed
