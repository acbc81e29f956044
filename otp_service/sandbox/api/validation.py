"""Checks the numbers, sign names, templates and template parameters of an SMS as Alibaba Cloud does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from otp_service.sandbox.api.responses import ApiError
from otp_service.sandbox.config import SandboxConfig
from otp_service.sms.aliyun.protocol import templates
from otp_service.sms.aliyun.protocol.phone_numbers import (
    NotInternational,
    NotMainlandMobile,
    international,
    national,
)

_MAX_OUT_ID = 255
_EXTEND_CODE = re.compile(r"[0-9]{0,7}")
#: The rules that do not apply unless the sandbox is strict.
_STRICT_ONLY = (templates.ParamRule.STRINGS_ONLY, templates.ParamRule.NO_OTHER_KEYS)


@dataclass(frozen=True)
class ValidatedSms:
    """An SMS that has passed every check except flow control."""

    number: str
    sign_name: str
    template_code: str
    text: str
    code: str
    out_id: str
    extend_code: str


@dataclass(frozen=True)
class FilledTemplate:
    """An approved template and the values of its variables."""

    template: str
    values: Mapping[str, str]

    @property
    def code(self) -> str:
        """The value of the code variable; empty if the template has no variable."""
        name = templates.code_variable(templates.variables(self.template))
        return self.values.get(name or "", "")

    def render(self, sign_name: str) -> str:
        """Return the text of the SMS."""
        return templates.render(sign_name, self.template, self.values)


def parse_number(text: str) -> str:
    """Parse a mainland number in any format that Alibaba Cloud accepts, and return its eleven digits.

    Raises:
        ApiError: It is not a mainland mobile number.
    """
    try:
        return national(text)
    except NotMainlandMobile as error:
        raise _illegal_number(error.number) from error


def parse_any_number(text: str) -> str:
    """Parse a number. Return eleven digits if it is a mainland number, else country code and number.

    Raises:
        ApiError: It is neither.
    """
    try:
        return national(text)
    except NotMainlandMobile:
        return _parse_international(text)


def parse_recipient(config: SandboxConfig, template_code: str, text: str) -> str:
    """Parse the recipient of a template. International templates go only to numbers outside the mainland.

    Raises:
        ApiError: It is not a number, or the template cannot be sent to it.
    """
    if template_code not in config.international_templates:
        return parse_number(text)
    number = parse_any_number(text)
    if _is_mainland(number):
        raise ApiError("isv.DOMESTIC_NUMBER_NOT_SUPPORTED")
    return number


def _is_mainland(number: str) -> bool:
    try:
        national(number)
    except NotMainlandMobile:
        return False
    return True


def _parse_international(text: str) -> str:
    try:
        return international(text)
    except NotInternational as error:
        raise _illegal_number(error.number) from error


def _illegal_number(number: str) -> ApiError:
    return ApiError("isv.MOBILE_NUMBER_ILLEGAL", f"{number}invalid mobile number")


def check_sign_name(config: SandboxConfig, sign_name: str) -> None:
    """Check that the account may use a sign name.

    Raises:
        ApiError: The account does not have this sign name, or it is not approved.
    """
    if not config.has_approved_sign_name(sign_name):
        raise ApiError("isv.SMS_SIGNATURE_ILLEGAL")


def get_template(config: SandboxConfig, template_code: str) -> str:
    """Return the text of one of the account's templates.

    Raises:
        ApiError: The account does not have this template, or it is not approved.
    """
    template = config.approved_template(template_code)
    if template is None:
        raise ApiError("isv.SMS_TEMPLATE_ILLEGAL")
    return template


def fill_template(config: SandboxConfig, template: str, param_text: str) -> FilledTemplate:
    """Fill a *template* with the JSON of `TemplateParam`.

    Raises:
        ApiError: The values break a rule for verification templates.
    """
    names = templates.variables(template)
    if not (names or param_text):
        return FilledTemplate(template, {})
    try:
        params = templates.parse_params(param_text or "{}")
        waived = () if config.strict else _STRICT_ONLY
        templates.check_params(names, params, waived=waived)
    except templates.BadParam as error:
        raise ApiError(error.rule.code, error.rule.message) from error
    return FilledTemplate(template, {name: templates.param_text(params[name]) for name in names})


def check_out_id(out_id: str) -> None:
    """Check the length of `OutId`.

    Raises:
        ApiError: It is too long.
    """
    if len(out_id) > _MAX_OUT_ID:
        raise ApiError("isv.PARAM_LENGTH_LIMIT", f"参数超过长度限制:{_MAX_OUT_ID}")


def check_extend_code(extend_code: str) -> None:
    """Check that an extension code consists of at most seven digits.

    Raises:
        ApiError: It does not.
    """
    if not _EXTEND_CODE.fullmatch(extend_code):
        raise ApiError("isv.EXTEND_CODE_ERROR")
