"""Writes reports and replies as Aliyun does, the same for its queues and its posts; touches nothing.

https://help.aliyun.com/document_detail/101867.html
"""

from __future__ import annotations

from datetime import datetime

from otp_service.sandbox.inbox import Message
from otp_service.sms.aliyun.protocol.china_time import format_china
from otp_service.sms.aliyun.protocol.numbers import bare
from otp_service.sms.aliyun.protocol.receipts import Delivery, lookup_receipt
from otp_service.sms.aliyun.protocol.templates import sms_size

#: The numbers that SMS come from, and replies go to, begin with it.
SENDER = "10690000"

Item = dict[str, object]


def sms_report(message: Message, report_at: datetime) -> Item:
    """Write what became of one SMS."""
    receipt = lookup_receipt(message.err_code)
    delivered = receipt.delivery is Delivery.DELIVERED
    return {
        "phone_number": bare(message.phone),
        "send_time": format_china(message.received_at),
        "report_time": format_china(report_at),
        "success": delivered,
        "err_code": message.err_code,
        "err_msg": "用户接收成功" if delivered else receipt.chinese,
        "sms_size": str(sms_size(message.text)),
        "biz_id": message.biz_id,
        "out_id": message.out_id,
    }


def sms_up(phone: str, content: str, answers: Message | None, sequence_id: str, now: datetime) -> Item:
    """Write one SMS from a phone; *answers* is what it last got from us."""
    return {
        "phone_number": bare(phone),
        "content": content,
        "send_time": format_china(now),
        "dest_code": SENDER + (answers.extend_code if answers else ""),
        "sequence_id": sequence_id,
        "sign_name": answers.sign_name if answers else "",
    }
