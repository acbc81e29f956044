"""Checks the text of a template against the settings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from otp_service.cli.doctor.check_result import CheckResult, fail, ok, warn
from otp_service.domain.messages import MAINLAND, Template
from otp_service.sms.aliyun.protocol.templates import BadTemplate, check_template, render, sms_size, variables

MAX_VARIABLES = 2
"""New templates may have one variable. Older ones that were approved with two still work."""

_VERIFICATION = "0"
_INTERNATIONAL, _INTERNATIONAL_VERIFICATION = "3", "2"
_MINUTES = re.compile(r"([0-9]+|[一二两三四五六七八九十]+)\s*(?:分钟|minutes?)", re.IGNORECASE)
_NUMERALS = {**dict(zip("一二三四五六七八九", range(1, 10), strict=True)), "两": 2}


def check_template_text(
    template: Template, fields: Mapping[str, object], *, sign_name: str, ttl: int, route: str
) -> Iterator[CheckResult]:
    """Check the type, text and variables of a template, and whether its minutes match *ttl* (seconds)."""
    code, text = template.template_code, str(fields.get("TemplateContent", ""))
    if not _is_verification(fields):
        fix = "Use a template of the type 验证码: notices are slower and may be rejected at night."
        yield fail("template", f"{code} is not a verification template", fix, route)
    yield _variables(template, text, route)
    yield from _minutes(code, text, ttl, route)
    if template.country_specificity(MAINLAND):  # the rules and the lengths of the mainland
        yield from _rules(code, text, route)
        yield from _size(code, sign_name, text, route)


def _is_verification(fields: Mapping[str, object]) -> bool:
    """Return whether a template is for codes. International templates have a type of their own."""
    kind = str(fields.get("TemplateType", _VERIFICATION))
    if kind == _INTERNATIONAL:
        return str(fields.get("IntlType", _INTERNATIONAL_VERIFICATION)) == _INTERNATIONAL_VERIFICATION
    return kind == _VERIFICATION


def _rules(code: str, text: str, route: str) -> Iterator[CheckResult]:
    try:
        check_template(text, max_variables=MAX_VARIABLES)
    except BadTemplate as error:
        fix = "Apply for a text that follows docs/aliyun-setup.md. This one may be rejected at any time."
        yield warn("template", f"{code}: breaks a rule for verification texts: {error}", fix, route)


def _size(code: str, sign_name: str, text: str, route: str) -> Iterator[CheckResult]:
    values = dict.fromkeys(variables(text), "123456")
    if (size := sms_size(render(sign_name, text, values))) > 1:
        fix = "Shorten it to 70 characters including the sign name and 【】."
        yield warn("template", f"{code}: each code is billed as {size} SMS", fix, route)


def _variables(template: Template, text: str, route: str) -> CheckResult:
    ours, theirs = {template.code_variable, *template.extra_variables}, set(variables(text))
    missing, foreign = sorted(theirs - ours), sorted(ours - theirs)
    if not missing and not foreign:
        return ok("template", f"{template.template_code}: the variables match the text", route)
    only = f"only in the text: {_names(missing)}; only in the settings: {_names(foreign)}"
    message = f"{template.template_code}: {only}"
    fix = "Set code_variable and extra_variables to exactly the variables of the text."
    return fail("template", message, fix, route)


def _number(text: str) -> int:
    """Return the number that 5, 五, 十五 or 三十 stands for."""
    if text.isdecimal():
        return int(text)
    tens, ten, ones = text.rpartition("十")
    return (_NUMERALS.get(tens, 1) * 10 if ten else 0) + _NUMERALS.get(ones, 0)


def _names(names: list[str]) -> str:
    return " ".join(f"${{{name}}}" for name in names) or "none"


def _minutes(code: str, text: str, ttl: int, route: str) -> Iterator[CheckResult]:
    found = _MINUTES.search(text)
    if found is None:
        return
    minutes = _number(found[1])
    if minutes * 60 == ttl:
        yield ok("template", f"{code}: the minutes in the text match codes.ttl", route)
        return
    message = f"{code}: the text says {minutes} minutes, codes.ttl is {ttl} s"
    yield warn("template", message, f"Set codes.ttl to {minutes * 60}, or use another template.", route)
