"""The codes of receipts, which say whether an accepted SMS reached the phone.

They are in `err_code` of a pushed report and in `ErrCode` of `QuerySendDetails`:
https://help.aliyun.com/document_detail/101347.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from otp_service.sms.aliyun.protocol.error_code_info import ResponsibleParty

_CODE = re.compile(r"[A-Za-z0-9_.:-]{1,40}")


class Delivery(StrEnum):
    """What a receipt says about an accepted SMS."""

    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    WAITING = "waiting"
    """The carrier has not reported anything."""


@dataclass(frozen=True)
class ReceiptCodeInfo:
    """The meaning of one receipt code, and the party that can act on it."""

    code: str
    delivery: Delivery
    responsible: ResponsibleParty
    english: str
    chinese: str


def _failed(code: str, responsible: ResponsibleParty, english: str, chinese: str) -> ReceiptCodeInfo:
    return ReceiptCodeInfo(code, Delivery.UNDELIVERED, responsible, english, chinese)


_ROWS = (
    ReceiptCodeInfo("DELIVERED", Delivery.DELIVERED, ResponsibleParty.NONE, "Delivered.", "短信送达"),
    ReceiptCodeInfo("DELIVRD", Delivery.DELIVERED, ResponsibleParty.NONE, "Delivered.", "短信送达"),
    ReceiptCodeInfo(
        "REQUEST_SUCCESS",
        Delivery.WAITING,
        ResponsibleParty.PROVIDER,
        "Accepted; the carrier's receipt is missing.",
        "请求成功，运营商回执未返回",
    ),
    _failed(
        "MOBILE_NOT_ON_SERVICE",
        ResponsibleParty.RECIPIENT,
        "The number is switched off, suspended or not in use.",
        "停机、空号、暂停服务或关机",
    ),
    _failed(
        "MOBILE_SEND_LIMIT",
        ResponsibleParty.RECIPIENT_LIMIT,
        "The number has reached its limit of SMS for the day or the month.",
        "单个号码日、月发送上限或频繁发送超限",
    ),
    _failed(
        "MOBILE_ACCOUNT_ABNORMAL",
        ResponsibleParty.RECIPIENT,
        "Something is wrong with the account of the number.",
        "用户账户异常",
    ),
    _failed("MOBILE_IN_BLACK", ResponsibleParty.RECIPIENT, "The number is blacklisted.", "黑名单号码"),
    # The vendor's spelling.
    _failed("MOBLLE_TERMINAL_ERROR", ResponsibleParty.RECIPIENT, "The phone failed.", "手机终端问题"),
    _failed("INVALID_NUMBER", ResponsibleParty.RECIPIENT, "The number is not valid.", "号码状态异常"),
    _failed("USER_REJECT", ResponsibleParty.RECIPIENT, "The holder rejects SMS.", "用户手机退订或拒收"),
    _failed(
        "CONTENT_KEYWORD",
        ResponsibleParty.OPERATOR,
        "A word in the text was blocked.",
        "关键字拦截",
    ),
    _failed(
        "CONTENT_ERROR",
        ResponsibleParty.OPERATOR,
        "The text was blocked; use an approved one.",
        "内容错误",
    ),
    _failed("PARAMS_ILLEGAL", ResponsibleParty.DEVELOPER, "A parameter is not valid.", "参数错误"),
    _failed(
        "PORT_NOT_REGISTERED",
        ResponsibleParty.OPERATOR,
        "The sign name is not registered with the carrier.",
        "签名未完成实名报备",
    ),
    _failed(
        "SP_NOT_BY_INTER_SMS",
        ResponsibleParty.RECIPIENT,
        "The phone can't get international SMS.",
        "未开通国际短信",
    ),
    _failed("IS_CLOSE", ResponsibleParty.PROVIDER, "The carrier's channel is down.", "通道被关停"),
    _failed("NO_ROUTE", ResponsibleParty.PROVIDER, "No channel leads to the number.", "无可用通道"),
    # The states of SMPP 3.4, §5.2.28: carriers pass them on as they are.
    _failed(
        "UNDELIV",
        ResponsibleParty.PROVIDER,
        "The carrier could not deliver it and does not say why; often the phone was off or out of reach.",
        "运营商投递失败，未说明原因，多为手机关机或无信号",
    ),
    _failed(
        "EXPIRED", ResponsibleParty.RECIPIENT, "The phone was not reached in time.", "在有效期内未能送达手机"
    ),
    _failed("REJECTD", ResponsibleParty.PROVIDER, "The carrier rejected it.", "运营商拒绝"),
    _failed("DELETED", ResponsibleParty.PROVIDER, "The carrier deleted it.", "短信被运营商删除"),
    _failed(
        "UNKNOWN",
        ResponsibleParty.PROVIDER,
        "The carrier reported an unknown status.",
        "运营商返回状态未知",
    ),
    ReceiptCodeInfo(
        "ACCEPTD", Delivery.WAITING, ResponsibleParty.PROVIDER, "Accepted by the carrier.", "运营商已接收"
    ),
    _failed(
        "SP_UNKNOWN_ERROR",
        ResponsibleParty.PROVIDER,
        "The carrier failed without saying why.",
        "运营商未知错误",
    ),
)

RECEIPTS = {row.code: row for row in _ROWS}

_SPELLINGS = {"SP_UNKNOW_ERROR": "SP_UNKNOWN_ERROR"}
"""Spellings in Aliyun's examples, and their spelling in Aliyun's tables."""


def plain_code(value: object) -> str:
    """Return *value* if it has the form of a receipt's code, else an empty text: untrusted text is not kept.

    Carriers' own codes are often numbers, and some reports contain them as JSON numbers.
    """
    text = plain_text(value)
    if text is None or not _CODE.fullmatch(text):
        return ""
    return _SPELLINGS.get(text, text)


def plain_text(value: object) -> str | None:
    """Return a text, or a number as a text, without surrounding spaces; None for anything else."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None


def lookup_receipt(code: str) -> ReceiptCodeInfo:
    """Return the meaning of a receipt code. A carrier's own code is a failure without a known reason."""
    unknown = _failed(code, ResponsibleParty.PROVIDER, "A carrier's own code.", "运营商返回的错误码")
    return RECEIPTS.get(_SPELLINGS.get(code, code), unknown)
