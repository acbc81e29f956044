"""The codes of PNVS (Dypnsapi SendSmsVerifyCode), which bear no `isv.` prefix; touches nothing.

They have a table of their own: should SendSms ever answer with one, nobody has said what it means there.

https://help.aliyun.com/zh/pnvs/developer-reference/api-dypnsapi-2017-05-25-sendsmsverifycode
"""

from __future__ import annotations

from dataclasses import replace

from otp_service.sms.aliyun.protocol.code_row import CodeRow, Product, Retry, Who, refused


def _pnvs(row: CodeRow) -> CodeRow:
    return replace(row, product=Product.PNVS)


_ROWS = (
    _pnvs(
        replace(
            refused(
                "BUSINESS_LIMIT_CONTROL",
                Who.LIMIT,
                "The provider's flow control for this number is full.",
                "触发流控限制",
            ),
            retry=Retry.LATER,
        )
    ),
    _pnvs(
        replace(
            refused(
                "FREQUENCY_FAIL",
                Who.LIMIT,
                "The last SMS to this number is less than `Interval` seconds ago.",
                "发送间隔校验失败",
                "check frequency failed",
            ),
            retry=Retry.LATER,
        )
    ),
    _pnvs(
        refused(
            "MOBILE_NUMBER_ILLEGAL",
            Who.NUMBER,
            "Not a valid mobile number.",
            "手机号码格式错误",
        )
    ),
    _pnvs(
        refused(
            "FUNCTION_NOT_OPENED",
            Who.OPERATOR,
            "The function is not activated.",
            "没有开通融合认证功能",
            "You have not opened this function.",
        )
    ),
)

PNVS_CODES = {row.code: row for row in _ROWS}
