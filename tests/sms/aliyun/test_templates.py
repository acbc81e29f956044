from __future__ import annotations

import pytest

from otp_service.sms.aliyun.protocol import templates
from otp_service.sms.aliyun.protocol.templates import BadParam, BadTemplate, ParamRule

LOGIN = "您正在登录，验证码${code}，5分钟内有效，请勿泄露给他人。"


@pytest.mark.parametrize(
    ("text", "names"),
    [(LOGIN, ("code",)), ("${a}和${b}", ("a", "b")), ("验证码", ()), ("$code {code}", ())],
)
def test_variables_are_listed_in_order(text: str, names: tuple[str, ...]) -> None:
    assert templates.variables(text) == names


@pytest.mark.parametrize(
    ("names", "code"), [(("code",), "code"), (("min", "code"), "code"), (("yzm",), "yzm"), ((), None)]
)
def test_code_variable_is_code_or_the_first(names: tuple[str, ...], code: str | None) -> None:
    assert templates.code_variable(names) == code


@pytest.mark.parametrize("code", ["1234", "12345", "123456", "aB3x"])
def test_good_params_pass(code: str) -> None:
    templates.check_params(("code",), {"code": code})


BAD_PARAMS = [
    ({}, ParamRule.EVERY_VARIABLE),
    ({"product": "x"}, ParamRule.EVERY_VARIABLE),
    ({"code": 123456}, ParamRule.STRINGS_ONLY),
    ({"code": None}, ParamRule.EVERY_VARIABLE),
    ({"code": True}, ParamRule.STRINGS_ONLY),
    ({"code": ["123456"]}, ParamRule.STRINGS_ONLY),
    ({"code": "123456", "n": None}, ParamRule.STRINGS_ONLY),
    ({"code": "123456", "n": 1}, ParamRule.STRINGS_ONLY),
    ({"code": "http://a"}, ParamRule.NO_URL),
    ({"code": ""}, ParamRule.LETTERS_AND_DIGITS),
    ({"code": "12 34"}, ParamRule.LETTERS_AND_DIGITS),
    ({"code": "1234\n"}, ParamRule.LETTERS_AND_DIGITS),
    ({"code": "１２３４"}, ParamRule.LETTERS_AND_DIGITS),
    ({"code": "123456", "locale": "zh-CN"}, ParamRule.LETTERS_AND_DIGITS),
    ({"code": "123456", "product": ""}, ParamRule.LETTERS_AND_DIGITS),
    ({"code": "123"}, ParamRule.CODE_LENGTH),
    ({"code": "1234567"}, ParamRule.CODE_LENGTH),
    ({"code": "123456", "product": "ytx"}, ParamRule.NO_OTHER_KEYS),
]


@pytest.mark.parametrize(("params", "rule"), BAD_PARAMS, ids=[str(params) for params, _ in BAD_PARAMS])
def test_bad_params_are_refused_by_their_rule(params: dict[str, object], rule: ParamRule) -> None:
    with pytest.raises(BadParam) as caught:
        templates.check_params(("code",), params)

    assert caught.value.rule is rule


LENIENT = (ParamRule.STRINGS_ONLY, ParamRule.NO_OTHER_KEYS)


@pytest.mark.parametrize("params", [{"code": 123456}, {"code": True}, {"code": "1234", "n": None}], ids=str)
def test_other_values_pass_if_the_rule_for_texts_is_waived(params: dict[str, object]) -> None:
    templates.check_params(("code",), params, waived=LENIENT)


@pytest.mark.parametrize(
    ("params", "rule"),
    [
        ({"code": None}, ParamRule.EVERY_VARIABLE),
        ({"code": {"a": "b"}}, ParamRule.JSON_OBJECT),
        ({"code": "123456", "n": []}, ParamRule.JSON_OBJECT),
        ({"code": -123}, ParamRule.LETTERS_AND_DIGITS),
        ({"code": 1234567}, ParamRule.CODE_LENGTH),
    ],
    ids=str,
)
def test_other_rules_apply_if_the_rule_for_texts_is_waived(
    params: dict[str, object], rule: ParamRule
) -> None:
    with pytest.raises(BadParam) as caught:
        templates.check_params(("code",), params, waived=LENIENT)

    assert caught.value.rule is rule


@pytest.mark.parametrize(("value", "text"), [("a", "a"), (1234, "1234"), (True, "true"), (1.5, "1.5")])
def test_values_are_written_as_json_spells_them(value: object, text: str) -> None:
    assert templates.param_text(value) == text


@pytest.mark.parametrize("text", ['{"code":NaN}', '{"code":Infinity}', '{"code":-Infinity}'])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(BadParam):
        templates.parse_params(text)


def test_error_does_not_reveal_the_value() -> None:
    with pytest.raises(BadParam) as caught:
        templates.check_params(("code",), {"code": "98765432"})

    assert "98765432" not in str(caught.value) + repr(caught.value)


def test_waived_rule_is_not_checked() -> None:
    templates.check_params(("code",), {"code": "1234", "x": "y"}, waived=[ParamRule.NO_OTHER_KEYS])


@pytest.mark.parametrize("text", ["", "{", "[]", '"1"', "null", "[" * 100_000])
def test_text_that_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(BadParam) as caught:
        templates.parse_params(text)

    assert caught.value.rule is ParamRule.JSON_OBJECT


def test_render_puts_the_sign_name_in_front() -> None:
    text = templates.render("云通信", "验证码${code}。", {"code": "123456"})

    assert text == "【云通信】验证码123456。"


def test_render_does_not_fill_a_value_twice() -> None:
    assert templates.render("x", "${a}${b}", {"a": "${b}", "b": "1"}) == "【x】${b}1"


@pytest.mark.parametrize(("length", "size"), [(1, 1), (70, 1), (71, 2), (134, 2), (135, 3)])
def test_sms_size_is_as_billed(length: int, size: int) -> None:
    assert templates.sms_size("字" * length) == size


def test_approved_forms_pass_as_templates() -> None:
    templates.check_template(LOGIN)
    templates.check_template("您的验证码为:${code},请勿泄露于他人!")
    templates.check_template("您的验证码为${code},${min}分钟内有效。", max_variables=2)


BAD_TEMPLATES = {
    "empty": "",
    "too_long": "验证码${code}" + "字" * 500,
    "no_keyword": "您的数字是${code}，请勿泄露。",
    "no_variable": "您的验证码是123456。",
    "two_variables": "验证码${code}，${min}分钟内有效。",
    "repeated": "验证码${code}，${code}。",
    "bad_name": "验证码${验证码}。",
    "brackets": "【我们】验证码${code}。",
    "link": "验证码${code}，见https://example.com。",
}


@pytest.mark.parametrize("text", BAD_TEMPLATES.values(), ids=BAD_TEMPLATES)
def test_bad_template_is_refused(text: str) -> None:
    with pytest.raises(BadTemplate):
        templates.check_template(text)


@pytest.mark.parametrize("text", ["验证码${a}${b}。", "验证码${a}，${a}。"], ids=["adjacent", "twice"])
def test_bad_preset_template_is_refused(text: str) -> None:
    with pytest.raises(BadTemplate):
        templates.check_template(text, max_variables=2)
