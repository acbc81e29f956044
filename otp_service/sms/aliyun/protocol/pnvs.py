"""The presets and error codes of PNVS, Aliyun's verification service (Dypnsapi).

PNVS provides sign names and templates, so an account needs no approval of its own:
https://help.aliyun.com/zh/pnvs/developer-reference/api-dypnsapi-2017-05-25-sendsmsverifycode
"""

from __future__ import annotations

from dataclasses import replace

from otp_service.sms.aliyun.protocol.error_code_info import (
    ErrorCodeInfo,
    Product,
    ResponsibleParty,
    Retry,
    business_error,
)

_DIGITS = "0123456789"
_LOWER = "abcdefghijklmnopqrstuvwxyz"
_UPPER = _LOWER.upper()

CODE_PLACEHOLDER = "##code##"
"""Placeholder in `TemplateParam` for a code that PNVS generates itself."""

MINUTES = "min"
"""The variable that every template has in addition to the code: the code's lifetime in minutes."""

MIN_CODE_LENGTH, MAX_CODE_LENGTH = 4, 8
DEFAULT_CODE_LENGTH = 4
DEFAULT_VALID_SECONDS = 300
DEFAULT_INTERVAL_SECONDS = 60
MAX_SCHEME_NAME = 20

SIGN_NAMES = frozenset({"速通互联验证码", "速通互联验证平台", "速通互联验证服务"})
"""The preset sign names. They work with the preset templates only."""

TEMPLATES = {
    "100001": "您的验证码为${code}。尊敬的客户，以上验证码${min}分钟内有效，请注意保密，切勿告知他人。",
    "100002": "尊敬的客户，您正在修改绑定手机号，您的验证码为${code}，${min}分钟内有效，请注意保密。",
    "100003": "尊敬的客户，您正在重置密码，您的验证码为${code}，${min}分钟内有效，请注意保密。",
    "100004": "尊敬的客户，您正在绑定新手机号，您的验证码为${code}，${min}分钟内有效，请注意保密。",
    "100005": "尊敬的客户，您正在验证绑定手机号，您的验证码为${code}，${min}分钟内有效，请注意保密。",
}
"""The preset templates. The wording is close to Aliyun's; the variables are the same."""

ALPHABETS = {
    1: _DIGITS,
    2: _UPPER,
    3: _LOWER,
    4: _LOWER + _UPPER,
    5: _DIGITS + _UPPER,
    6: _DIGITS + _LOWER,
    7: _DIGITS + _LOWER + _UPPER,
}
"""The characters from which PNVS generates a code, by `CodeType`."""


def _pnvs(row: ErrorCodeInfo) -> ErrorCodeInfo:
    return replace(row, product=Product.PNVS)


_CODES = (
    _pnvs(
        replace(
            business_error(
                "BUSINESS_LIMIT_CONTROL",
                ResponsibleParty.RECIPIENT_LIMIT,
                "The provider's flow control for this number is full.",
                "触发流控限制",
            ),
            retry=Retry.LATER,
        )
    ),
    _pnvs(
        replace(
            business_error(
                "FREQUENCY_FAIL",
                ResponsibleParty.RECIPIENT_LIMIT,
                "The last SMS to this number is less than `Interval` seconds ago.",
                "发送间隔校验失败",
                "check frequency failed",
            ),
            retry=Retry.LATER,
        )
    ),
    _pnvs(
        business_error(
            "MOBILE_NUMBER_ILLEGAL",
            ResponsibleParty.RECIPIENT,
            "Not a valid mobile number.",
            "手机号码格式错误",
        )
    ),
    _pnvs(
        business_error(
            "FUNCTION_NOT_OPENED",
            ResponsibleParty.OPERATOR,
            "The function is not activated.",
            "没有开通融合认证功能",
            "You have not opened this function.",
        )
    ),
)

PNVS_CODES = {row.code: row for row in _CODES}
"""The error codes, which have no `isv.` prefix.

The table of SendSms lacks them: Aliyun does not document what they would mean there.
"""
