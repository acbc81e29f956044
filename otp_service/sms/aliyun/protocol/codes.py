"""The single table of Aliyun's error codes, and the lookup in it."""

from __future__ import annotations

from dataclasses import replace

from otp_service.sms.aliyun.protocol.business_codes import BUSINESS_CODES
from otp_service.sms.aliyun.protocol.error_code_info import (
    ErrorCodeInfo,
    Product,
    ResponsibleParty,
    Retry,
    SendOutcome,
    business_error,
)
from otp_service.sms.aliyun.protocol.gateway_codes import GATEWAY_CODES, GATEWAY_FAMILIES
from otp_service.sms.aliyun.protocol.pnvs import PNVS_CODES

__all__ = [
    "CODES",
    "PNVS_CODES",
    "ErrorCodeInfo",
    "Product",
    "ResponsibleParty",
    "Retry",
    "SendOutcome",
    "lookup",
]

CODES = {row.code: row for row in (*BUSINESS_CODES, *GATEWAY_CODES)}


def lookup(code: str) -> ErrorCodeInfo:
    """Return the meaning of the `Code` in a response.

    A code without a row of its own is explained by its family: `MissingSignName` by `Missing…`. An unknown
    code is also a refusal: log it with the request id and show a general message.
    """
    return CODES.get(code) or _family(code) or _unknown(code)


def _family(code: str) -> ErrorCodeInfo | None:
    for row in GATEWAY_FAMILIES:
        if code.startswith(row.code):
            parameter = code.removeprefix(row.code)
            message = row.message.replace("{parameter}", parameter)
            return replace(row, code=code, message=message)
    return None


def _unknown(code: str) -> ErrorCodeInfo:
    # "isv" is Aliyun's word for its customer: an unknown `isv.` code is an error on our side.
    responsible = ResponsibleParty.OPERATOR if code.startswith("isv.") else ResponsibleParty.PROVIDER
    return business_error(code, responsible, "An unknown error code.", "未知错误码")
