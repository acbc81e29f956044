"""Checks what is to be sent, as Aliyun does, and writes it down; touches nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from otp_service.sandbox.answers import Refused
from otp_service.sandbox.config import SandboxConfig
from otp_service.sms.aliyun.protocol import templates
from otp_service.sms.aliyun.protocol.numbers import (
    NotInternational,
    NotMainlandMobile,
    international,
    national,
)

_MAX_OUT_ID = 255
_EXTEND_CODE = re.compile(r"[0-9]{0,7}")
_LENIENT = (templates.ParamRule.STRINGS_ONLY, templates.ParamRule.NO_OTHER_KEYS)


@dataclass(frozen=True)
class Draft:
    """One SMS that has passed every check but flow control."""

    number: str
    sign_name: str
    template_code: str
    text: str
    code: str
    out_id: str
    extend_code: str


@dataclass(frozen=True)
class Filling:
    """An approved template with its variables filled in, still without a sign name."""

    template: str
    values: Mapping[str, str]

    @property
    def code(self) -> str:
        """The value that is the code; empty if the template has no variable."""
        name = templates.code_variable(templates.variables(self.template))
        return self.values.get(name or "", "")

    def signed(self, sign_name: str) -> str:
        """Write the SMS as the phone gets it."""
        return templates.render(sign_name, self.template, self.values)


def read_number(text: str) -> str:
    """Read one number in any of Aliyun's spellings as eleven digits.

    Raises:
        Refused: It is not a mainland mobile number.
    """
    try:
        return national(text)
    except NotMainlandMobile as error:
        raise _illegal(error.number) from error


def read_any_number(text: str) -> str:
    """Read a mainland number as eleven digits, and any other as its country code and number.

    Raises:
        Refused: It is neither.
    """
    try:
        return national(text)
    except NotMainlandMobile:
        return _read_international(text)


def read_recipient(config: SandboxConfig, template_code: str, text: str) -> str:
    """Read a number that a template is sent to: international templates go outside the mainland only.

    Raises:
        Refused: The template is not for such a number, or it is none.
    """
    if template_code not in config.international_templates:
        return read_number(text)
    number = read_any_number(text)
    if _is_mainland(number):
        raise Refused("isv.DOMESTIC_NUMBER_NOT_SUPPORTED")
    return number


def _is_mainland(number: str) -> bool:
    try:
        national(number)
    except NotMainlandMobile:
        return False
    return True


def _read_international(text: str) -> str:
    try:
        return international(text)
    except NotInternational as error:
        raise _illegal(error.number) from error


def _illegal(number: str) -> Refused:
    return Refused("isv.MOBILE_NUMBER_ILLEGAL", f"{number}invalid mobile number")


def check_sign_name(config: SandboxConfig, sign_name: str) -> None:
    """Check that the account may sign with that name.

    Raises:
        Refused: It has no such name, or it is not approved.
    """
    if not config.may_sign(sign_name):
        raise Refused("isv.SMS_SIGNATURE_ILLEGAL")


def find_template(config: SandboxConfig, template_code: str) -> str:
    """Find the text of one of the account's templates.

    Raises:
        Refused: It has no such template, or it is not approved.
    """
    template = config.template(template_code)
    if template is None:
        raise Refused("isv.SMS_TEMPLATE_ILLEGAL")
    return template


def fill(config: SandboxConfig, template: str, param_text: str) -> Filling:
    """Fill a *template* with the JSON of `TemplateParam`.

    Raises:
        Refused: The values break a rule for verification templates.
    """
    names = templates.variables(template)
    if not (names or param_text):
        return Filling(template, {})
    try:
        params = templates.parse_params(param_text or "{}")
        waived = () if config.strict else _LENIENT
        templates.check_params(names, params, waived=waived)
    except templates.BadParam as error:
        raise Refused(error.rule.code, error.rule.message) from error
    return Filling(template, {name: templates.param_text(params[name]) for name in names})


def check_out_id(out_id: str) -> None:
    """Check that `OutId` is not too long.

    Raises:
        Refused: It is.
    """
    if len(out_id) > _MAX_OUT_ID:
        raise Refused("isv.PARAM_LENGTH_LIMIT", f"参数超过长度限制:{_MAX_OUT_ID}")


def check_extend_code(extend_code: str) -> None:
    """Check that an extension code consists of at most seven digits.

    Raises:
        Refused: It does not.
    """
    if not _EXTEND_CODE.fullmatch(extend_code):
        raise Refused("isv.EXTEND_CODE_ERROR")
