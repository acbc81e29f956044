"""Aliyun's rules for verification templates and `TemplateParam`.

https://help.aliyun.com/document_detail/463237.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from enum import Enum

KEYWORDS = ("验证码", "注册码", "校验码", "动态码", "动态密码")
"""A verification template must contain one of these."""

MAX_TEMPLATE_LENGTH = 500
MIN_CODE_LENGTH, MAX_CODE_LENGTH = 4, 6

_SINGLE_SMS, _SMS_PART = 70, 67

_VARIABLE = re.compile(r"\$\{([^{}]*)\}")
_VARIABLE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_VALUE = re.compile(r"[A-Za-z0-9]+")
_URL = re.compile(r"https?://|www\.", re.IGNORECASE)


class BadTemplate(ValueError):
    """A text that cannot be a verification template; the message says why."""


class ParamRule(Enum):
    """The rules for `TemplateParam`, in the order in which they are checked.

    The value of a rule is the code and the message of Aliyun's refusal.
    """

    JSON_OBJECT = (
        "isv.INVALID_JSON_PARAM",
        "模板变量JSON格式错误",
    )
    EVERY_VARIABLE = (
        "isv.TEMPLATE_MISSING_PARAMETERS",
        "模板变量缺少对应参数值",
    )
    STRINGS_ONLY = (
        "isv.INVALID_JSON_PARAM",
        "参数格式错误，请修改为字符串值",
    )
    NO_URL = (
        "isv.PARAM_NOT_SUPPORT_URL",
        "变量不支持传入URL",
    )
    LETTERS_AND_DIGITS = (
        "isv.INVALID_PARAMETERS",
        "params must be [a-zA-Z0-9] for verification sms",
    )
    CODE_LENGTH = (
        "isv.PARAM_LENGTH_LIMIT",
        f"参数超过长度限制:{MAX_CODE_LENGTH}",
    )
    NO_OTHER_KEYS = (
        "isv.INVALID_JSON_PARAM",
        "JSON变量属性与模板占位符不一致",
    )

    @property
    def code(self) -> str:
        """The code of Aliyun's refusal."""
        return self.value[0]

    @property
    def message(self) -> str:
        """The message of Aliyun's refusal."""
        return self.value[1]


class BadParam(ValueError):
    """A `TemplateParam` that breaks a *rule*; the message does not contain the offending value."""

    def __init__(self, rule: ParamRule) -> None:
        super().__init__(f"template param breaks {rule.name}: {rule.message}")
        self.rule = rule


def variables(text: str) -> tuple[str, ...]:
    """Return the variables of a template in order of appearance."""
    return tuple(_VARIABLE.findall(text))


def code_variable(names: Collection[str]) -> str | None:
    """Return the template variable for the code: `code`, or else the first one."""
    return "code" if "code" in names else next(iter(names), None)


def check_template(text: str, *, max_variables: int = 1) -> None:
    """Check whether Aliyun could approve *text* as a verification template.

    Args:
        text: The template without its sign name.
        max_variables: One for the account's own templates, two for preset templates.

    Raises:
        BadTemplate: *text* breaks a rule.
    """
    for broken, why in _template_faults(text, max_variables):
        if broken:
            raise BadTemplate(why)


def _template_faults(text: str, max_variables: int) -> list[tuple[bool, str]]:
    names = variables(text)
    return [
        (not 0 < len(text) <= MAX_TEMPLATE_LENGTH, "is not 1 to 500 characters long"),
        (not any(word in text for word in KEYWORDS), "lacks a word such as 验证码"),
        (not 0 < len(names) <= max_variables, "has the wrong number of variables"),
        (len(set(names)) < len(names), "uses a variable twice"),
        (not all(map(_VARIABLE_NAME.fullmatch, names)), "has an invalid variable name"),
        ("}${" in text, "has adjacent variables"),
        ("【" in text or "】" in text, "contains 【 or 】"),
        (_URL.search(text) is not None, "contains a link"),
    ]


def parse_params(text: str) -> dict[str, object]:
    """Parse the JSON of `TemplateParam`.

    Raises:
        BadParam: *text* is not a JSON object.
    """
    try:
        params = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BadParam(ParamRule.JSON_OBJECT) from error
    if not isinstance(params, dict):
        raise BadParam(ParamRule.JSON_OBJECT)
    return params


def check_params(
    names: Collection[str],
    params: Mapping[str, object],
    *,
    waived: Collection[ParamRule] = (),
) -> None:
    """Check that *params* have exactly the variables *names* of a template.

    Aliyun also checks values of keys that the template lacks, so a stray `"locale": "zh-CN"` makes it refuse
    the message. Rules in *waived* are not checked.

    Raises:
        BadParam: *params* break a rule. The first one in the order of `ParamRule` is reported.
    """
    given = list(params.values())
    scalars = [value for value in given if not isinstance(value, Mapping | list)]
    texts = [param_text(value) for value in scalars if value is not None]
    code = params.get(code_variable(names) or "")
    checks = (
        (ParamRule.EVERY_VARIABLE, all(params.get(name) is not None for name in names)),
        (ParamRule.STRINGS_ONLY, all(isinstance(value, str) for value in given)),
        (ParamRule.JSON_OBJECT, len(scalars) == len(given)),
        (ParamRule.NO_URL, not any(map(_URL.search, texts))),
        (ParamRule.LETTERS_AND_DIGITS, all(map(_VALUE.fullmatch, texts))),
        (ParamRule.CODE_LENGTH, not names or _has_code_length(code)),
        (ParamRule.NO_OTHER_KEYS, set(params) <= set(names)),
    )
    for rule, kept in checks:
        if not kept and rule not in waived:
            raise BadParam(rule)


def param_text(value: object) -> str:
    """Return a value of `TemplateParam` as an SMS shows it: a text unchanged, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def _refuse_constant(name: str) -> object:
    raise ValueError(name)  # NaN and Infinity are not JSON


def _has_code_length(code: object) -> bool:
    return MIN_CODE_LENGTH <= len(param_text(code)) <= MAX_CODE_LENGTH


def render(sign_name: str, text: str, params: Mapping[str, str]) -> str:
    """Return the SMS as the phone receives it: `【SignName】` and the rendered template."""
    filled = _VARIABLE.sub(lambda match: params[match[1]], text)
    return f"【{sign_name}】{filled}"


def sms_size(text: str) -> int:
    """Return the number of SMS that a rendered *text* is billed as."""
    return 1 if len(text) <= _SINGLE_SMS else -(-len(text) // _SMS_PART)
