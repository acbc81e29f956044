"""The actions of PNVS, `SendSmsVerifyCode` and `CheckSmsVerifyCode`: codes without an approved sign name.

https://help.aliyun.com/zh/pnvs/developer-reference/api-dypnsapi-2017-05-25-sendsmsverifycode

Its own refusals are those of the SMS service without their prefix, and say `Success` too.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from otp_service.sandbox.answers import Answer, RawAnswer, Refused, accepted, is_business, new_request_id
from otp_service.sandbox.credentials import same
from otp_service.sandbox.issued_codes import IssuedCode, Owner
from otp_service.sandbox.magic import behaviour_of
from otp_service.sandbox.sending import send
from otp_service.sandbox.state import SandboxState, demand
from otp_service.sandbox.validation import (
    Draft,
    check_extend_code,
    check_out_id,
    check_sign_name,
    find_template,
    read_number,
)
from otp_service.sms.aliyun.protocol import pnvs, templates

_CODE = re.compile(rf"[A-Za-z0-9]{{{pnvs.MIN_CODE_LENGTH},{pnvs.MAX_CODE_LENGTH}}}")
_VALUE = re.compile(r"[A-Za-z0-9]+")
_ILLEGAL = "isv.INVALID_PARAMETERS"
_DAY_SECONDS = 86_400


@dataclass(frozen=True)
class _Order:
    """A call of `SendSmsVerifyCode` that has passed every check but those of frequency."""

    owner: Owner
    draft: Draft
    #: Whether the code is the service's own, so that it can be checked later.
    drawn: bool
    valid: timedelta
    interval: timedelta
    keeps_older: bool
    shows_code: bool


def send_sms_verify_code(desk: SandboxState, params: Mapping[str, str]) -> Answer | RawAnswer:
    """Send a code: the caller's own, or one that the service draws and can check.

    Raises:
        Refused: A required parameter is missing, or the gateway refuses.
        Dropped: A magic number wants no answer.
    """
    demand(params, "PhoneNumber", "SignName", "TemplateCode", "TemplateParam")
    try:
        order = _read(desk, params)
        behave = behaviour_of([order.draft.number])
        return behave(lambda: _send(desk, order), desk.pause)
    except Refused as error:
        return _refusal(error)


def check_sms_verify_code(desk: SandboxState, params: Mapping[str, str]) -> Answer:
    """Tell whether a code is the one that the service drew, once.

    Raises:
        Refused: A required parameter is missing.
    """
    phone, code = demand(params, "PhoneNumber", "VerifyCode")
    try:
        owner = _owner(phone, params)
        ignores_case = _number(params, "CaseAuthPolicy", 1, 1, 2) == 1
    except Refused as error:
        return _refusal(error)
    found = desk.issued_codes.use(owner, lambda known: _equal(known, code, ignores_case), desk.clock())
    result = "PASS" if found else "UNKNOWN"
    return _success({"OutId": params.get("OutId", ""), "VerifyResult": result})


def _read(desk: SandboxState, params: Mapping[str, str]) -> _Order:
    owner = _owner(params["PhoneNumber"], params)
    template = _template(desk, params["SignName"], params["TemplateCode"])
    values, drawn = _fill(template, params)
    out_id, extend_code = params.get("OutId", ""), params.get("SmsUpExtendCode", "")
    check_out_id(out_id)
    check_extend_code(extend_code)
    draft = Draft(
        number=owner[0],
        sign_name=params["SignName"],
        template_code=params["TemplateCode"],
        text=templates.render(params["SignName"], template, values),
        code=values["code"],
        out_id=out_id,
        extend_code=extend_code,
    )
    return _Order(
        owner=owner,
        draft=draft,
        drawn=drawn,
        valid=_seconds(params, "ValidTime", pnvs.DEFAULT_VALID_SECONDS),
        interval=_seconds(params, "Interval", pnvs.DEFAULT_INTERVAL_SECONDS),
        keeps_older=_number(params, "DuplicatePolicy", 1, 1, 2) == 2,  # noqa: PLR2004 - its own value.
        shows_code=params.get("ReturnVerifyCode", "").lower() == "true",
    )


def _send(desk: SandboxState, order: _Order) -> Answer:
    now = desk.clock()
    if desk.issued_codes.too_soon(order.owner, order.interval, now):
        raise Refused("isv.FREQUENCY_FAIL", "check frequency failed")
    biz_id = send(desk, [order.draft])
    desk.issued_codes.note_send(order.owner, now)
    if order.drawn:
        code = IssuedCode(order.draft.code, now + order.valid)
        desk.issued_codes.issue(order.owner, code, keeps_older=order.keeps_older)
    shown = {"VerifyCode": order.draft.code} if order.shows_code else {}
    return _success({"BizId": biz_id, "OutId": order.draft.out_id, "RequestId": new_request_id(), **shown})


def _owner(phone: str, params: Mapping[str, str]) -> Owner:
    scheme = params.get("SchemeName", "")
    if len(scheme) > pnvs.MAX_SCHEME_NAME:
        raise Refused(_ILLEGAL)
    if params.get("CountryCode", "86") != "86":
        raise Refused("isv.MOBILE_NUMBER_ILLEGAL")
    return read_number(phone), scheme


def _template(desk: SandboxState, sign_name: str, template_code: str) -> str:
    """Find a template; a preset one goes with a preset sign name, one's own with one's own."""
    if sign_name in pnvs.SIGN_NAMES:
        if template_code not in pnvs.TEMPLATES:
            raise Refused("isv.SMS_TEMPLATE_ILLEGAL")
        return pnvs.TEMPLATES[template_code]
    check_sign_name(desk.config, sign_name)
    return find_template(desk.config, template_code)


def _fill(template: str, params: Mapping[str, str]) -> tuple[dict[str, str], bool]:
    """Fill a template; tells as well whether the code is the service's own."""
    given = _texts(params["TemplateParam"])
    names = templates.variables(template)
    if not {*names, "code"} <= set(given):
        raise Refused("isv.TEMPLATE_MISSING_PARAMETERS")
    drawn = given["code"] == pnvs.CODE_PLACEHOLDER
    code = _draw(params) if drawn else given["code"]
    values = {**{name: given[name] for name in names}, "code": code}
    if not (_CODE.fullmatch(code) and all(map(_VALUE.fullmatch, values.values()))):
        raise Refused(_ILLEGAL)
    return values, drawn


def _texts(param_text: str) -> dict[str, str]:
    try:
        params = templates.parse_params(param_text)
    except templates.BadParam as error:
        raise Refused(error.rule.code, error.rule.message) from error
    texts = {name: value for name, value in params.items() if isinstance(value, str)}
    if len(texts) != len(params):
        raise Refused(templates.ParamRule.STRINGS_ONLY.code, templates.ParamRule.STRINGS_ONLY.message)
    return texts


def _draw(params: Mapping[str, str]) -> str:
    length = _number(
        params, "CodeLength", pnvs.DEFAULT_CODE_LENGTH, pnvs.MIN_CODE_LENGTH, pnvs.MAX_CODE_LENGTH
    )
    alphabet = pnvs.ALPHABETS[_number(params, "CodeType", 1, 1, max(pnvs.ALPHABETS))]
    return "".join(secrets.choice(alphabet) for _ in range(length))


def _seconds(params: Mapping[str, str], name: str, default: int) -> timedelta:
    return timedelta(seconds=_number(params, name, default, 1, _DAY_SECONDS))


def _number(params: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = params.get(name) or str(default)
    if not (text.isascii() and text.isdecimal() and least <= int(text[:9]) <= most):
        raise Refused(_ILLEGAL)
    return int(text)


def _equal(known: str, code: str, ignores_case: bool) -> bool:  # noqa: FBT001 - private.
    return same(known.lower(), code.lower()) if ignores_case else same(known, code)


def _success(model: Mapping[str, object]) -> Answer:
    return accepted({"Success": True, "Model": model})


def _refusal(error: Refused) -> Answer:
    """Answer as PNVS does; what the gateway refuses is the gateway's to say.

    Raises:
        Refused: By the gateway.
    """
    if not is_business(error.code):
        raise error
    code = error.code.partition(".")[2]
    return Answer({"Code": code, "Message": error.message, "Success": False})
