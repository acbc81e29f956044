"""The actions of PNVS, `SendSmsVerifyCode` and `CheckSmsVerifyCode`, which need no approved sign name.

https://help.aliyun.com/zh/pnvs/developer-reference/api-dypnsapi-2017-05-25-sendsmsverifycode

Its error codes are those of the SMS service without their prefix. Its responses have a field `Success`.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from otp_service.sandbox.api.issued_codes import CodeScope, IssuedCode
from otp_service.sandbox.api.responses import (
    ApiError,
    ApiResponse,
    RawResponse,
    is_business_error,
    new_request_id,
    success,
)
from otp_service.sandbox.api.send_sms import deliver
from otp_service.sandbox.api.validation import (
    ValidatedSms,
    check_extend_code,
    check_out_id,
    check_sign_name,
    get_template,
    parse_number,
)
from otp_service.sandbox.credentials import secrets_equal
from otp_service.sandbox.magic import behavior_of
from otp_service.sandbox.state import SandboxState, require_params
from otp_service.sms.aliyun.protocol import pnvs, templates

_CODE = re.compile(rf"[A-Za-z0-9]{{{pnvs.MIN_CODE_LENGTH},{pnvs.MAX_CODE_LENGTH}}}")
_VALUE = re.compile(r"[A-Za-z0-9]+")
_INVALID = "isv.INVALID_PARAMETERS"
_DAY_SECONDS = 86_400
#: The value of `DuplicatePolicy` that keeps older codes valid.
_KEEP_OLDER = 2


@dataclass(frozen=True)
class _SendRequest:
    """A `SendSmsVerifyCode` request that has passed every check except those of frequency."""

    scope: CodeScope
    sms: ValidatedSms
    #: Whether the service generated the code, so that it can be checked later.
    is_generated: bool
    valid_for: timedelta
    interval: timedelta
    keep_older: bool
    return_code: bool


def send_sms_verify_code(state: SandboxState, params: Mapping[str, str]) -> ApiResponse | RawResponse:
    """Send a code that the caller chose, or one that the service generates and can check.

    Raises:
        ApiError: A required parameter is missing, or the gateway refuses the request.
        ConnectionDropped: A magic number drops the connection.
    """
    require_params(params, "PhoneNumber", "SignName", "TemplateCode", "TemplateParam")
    try:
        send_request = _parse_send_request(state, params)
        behavior = behavior_of([send_request.sms.number])
        return behavior(lambda: _send(state, send_request), state.pause)
    except ApiError as error:
        return _pnvs_error(error)


def check_sms_verify_code(state: SandboxState, params: Mapping[str, str]) -> ApiResponse:
    """Check a code that the service generated. A code can be checked successfully only once.

    Raises:
        ApiError: A required parameter is missing.
    """
    phone, code = require_params(params, "PhoneNumber", "VerifyCode")
    try:
        scope = _parse_scope(phone, params)
        ignore_case = _parse_int(params, "CaseAuthPolicy", 1, 1, 2) == 1
    except ApiError as error:
        return _pnvs_error(error)
    found = state.issued_codes.consume(
        scope, lambda issued: _codes_equal(issued, code, ignore_case), state.clock()
    )
    result = "PASS" if found else "UNKNOWN"
    return _pnvs_success({"OutId": params.get("OutId", ""), "VerifyResult": result})


def _parse_send_request(state: SandboxState, params: Mapping[str, str]) -> _SendRequest:
    scope = _parse_scope(params["PhoneNumber"], params)
    template = _find_template(state, params["SignName"], params["TemplateCode"])
    values, is_generated = _fill_template(template, params)
    out_id, extend_code = params.get("OutId", ""), params.get("SmsUpExtendCode", "")
    check_out_id(out_id)
    check_extend_code(extend_code)
    sms = ValidatedSms(
        number=scope[0],
        sign_name=params["SignName"],
        template_code=params["TemplateCode"],
        text=templates.render(params["SignName"], template, values),
        code=values["code"],
        out_id=out_id,
        extend_code=extend_code,
    )
    return _SendRequest(
        scope=scope,
        sms=sms,
        is_generated=is_generated,
        valid_for=_parse_seconds(params, "ValidTime", pnvs.DEFAULT_VALID_SECONDS),
        interval=_parse_seconds(params, "Interval", pnvs.DEFAULT_INTERVAL_SECONDS),
        keep_older=_parse_int(params, "DuplicatePolicy", 1, 1, 2) == _KEEP_OLDER,
        return_code=params.get("ReturnVerifyCode", "").lower() == "true",
    )


def _send(state: SandboxState, send_request: _SendRequest) -> ApiResponse:
    now = state.clock()
    sms, scope = send_request.sms, send_request.scope
    if state.issued_codes.is_too_soon(scope, send_request.interval, now):
        raise ApiError("isv.FREQUENCY_FAIL", "check frequency failed")
    biz_id = deliver(state, [sms])
    state.issued_codes.record_send(scope, now)
    if send_request.is_generated:
        code = IssuedCode(sms.code, now + send_request.valid_for)
        state.issued_codes.issue(scope, code, keep_older=send_request.keep_older)
    returned = {"VerifyCode": sms.code} if send_request.return_code else {}
    return _pnvs_success({"BizId": biz_id, "OutId": sms.out_id, "RequestId": new_request_id(), **returned})


def _parse_scope(phone: str, params: Mapping[str, str]) -> CodeScope:
    scheme = params.get("SchemeName", "")
    if len(scheme) > pnvs.MAX_SCHEME_NAME:
        raise ApiError(_INVALID)
    if params.get("CountryCode", "86") != "86":
        raise ApiError("isv.MOBILE_NUMBER_ILLEGAL")
    return parse_number(phone), scheme


def _find_template(state: SandboxState, sign_name: str, template_code: str) -> str:
    """Find a template. Preset sign names go with preset templates, the account's own with its own."""
    if sign_name in pnvs.SIGN_NAMES:
        if template_code not in pnvs.TEMPLATES:
            raise ApiError("isv.SMS_TEMPLATE_ILLEGAL")
        return pnvs.TEMPLATES[template_code]
    check_sign_name(state.config, sign_name)
    return get_template(state.config, template_code)


def _fill_template(template: str, params: Mapping[str, str]) -> tuple[dict[str, str], bool]:
    """Return the values of a template, and whether the code was generated here."""
    given = _parse_string_params(params["TemplateParam"])
    names = templates.variables(template)
    if not {*names, "code"} <= set(given):
        raise ApiError("isv.TEMPLATE_MISSING_PARAMETERS")
    is_generated = given["code"] == pnvs.CODE_PLACEHOLDER
    code = _generate_code(params) if is_generated else given["code"]
    values = {**{name: given[name] for name in names}, "code": code}
    if not (_CODE.fullmatch(code) and all(map(_VALUE.fullmatch, values.values()))):
        raise ApiError(_INVALID)
    return values, is_generated


def _parse_string_params(param_text: str) -> dict[str, str]:
    try:
        params = templates.parse_params(param_text)
    except templates.BadParam as error:
        raise ApiError(error.rule.code, error.rule.message) from error
    strings = {name: value for name, value in params.items() if isinstance(value, str)}
    if len(strings) != len(params):
        raise ApiError(templates.ParamRule.STRINGS_ONLY.code, templates.ParamRule.STRINGS_ONLY.message)
    return strings


def _generate_code(params: Mapping[str, str]) -> str:
    length = _parse_int(
        params, "CodeLength", pnvs.DEFAULT_CODE_LENGTH, pnvs.MIN_CODE_LENGTH, pnvs.MAX_CODE_LENGTH
    )
    alphabet = pnvs.ALPHABETS[_parse_int(params, "CodeType", 1, 1, max(pnvs.ALPHABETS))]
    return "".join(secrets.choice(alphabet) for _ in range(length))


def _parse_seconds(params: Mapping[str, str], name: str, default: int) -> timedelta:
    return timedelta(seconds=_parse_int(params, name, default, 1, _DAY_SECONDS))


def _parse_int(params: Mapping[str, str], name: str, default: int, minimum: int, maximum: int) -> int:
    text = params.get(name) or str(default)
    if not (text.isascii() and text.isdecimal() and minimum <= int(text[:9]) <= maximum):
        raise ApiError(_INVALID)
    return int(text)


def _codes_equal(one: str, other: str, ignore_case: bool) -> bool:  # noqa: FBT001 - private.
    return secrets_equal(one.lower(), other.lower()) if ignore_case else secrets_equal(one, other)


def _pnvs_success(model: Mapping[str, object]) -> ApiResponse:
    return success({"Success": True, "Model": model})


def _pnvs_error(error: ApiError) -> ApiResponse:
    """Create an error response in PNVS's format. Errors of the gateway keep the gateway's format.

    Raises:
        ApiError: It is an error of the gateway.
    """
    if not is_business_error(error.code):
        raise error
    code = error.code.partition(".")[2]
    return ApiResponse({"Code": code, "Message": error.message, "Success": False})
