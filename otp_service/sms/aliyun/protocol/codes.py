"""The one table of what Aliyun's answer codes mean; touches nothing."""

from __future__ import annotations

from dataclasses import replace

from otp_service.sms.aliyun.protocol.business_codes import BUSINESS_CODES
from otp_service.sms.aliyun.protocol.code_row import CodeRow, Outcome, Product, Retry, Who, refused
from otp_service.sms.aliyun.protocol.gateway_codes import GATEWAY_CODES, GATEWAY_FAMILIES
from otp_service.sms.aliyun.protocol.pnvs_codes import PNVS_CODES

__all__ = ["CODES", "PNVS_CODES", "CodeRow", "Outcome", "Product", "Retry", "Who", "lookup"]

CODES = {row.code: row for row in (*BUSINESS_CODES, *GATEWAY_CODES)}


def lookup(code: str) -> CodeRow:
    """Tell what the `Code` of an answer means.

    Codes without a row of their own are explained by their family, such as
    `MissingSignName` by `Missing…`. An answer with a code that nobody knows is a
    refusal too: log it with its request id and show a general message.
    """
    return CODES.get(code) or _family(code) or _unknown(code)


def _family(code: str) -> CodeRow | None:
    for row in GATEWAY_FAMILIES:
        if code.startswith(row.code):
            parameter = code.removeprefix(row.code)
            message = row.message.replace("{parameter}", parameter)
            return replace(row, code=code, message=message)
    return None


def _unknown(code: str) -> CodeRow:
    # "isv" is Aliyun's word for its customer, so that its unknown errors are ours.
    who = Who.OPERATOR if code.startswith("isv.") else Who.PROVIDER
    return refused(code, who, "A code that this table does not know.", "未知错误码")
