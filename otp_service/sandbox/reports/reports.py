"""Creates delivery reports (`SmsReport`) and replies (`SmsUp`), and publishes them to queues and URLs.

https://help.aliyun.com/document_detail/101867.html
"""

from __future__ import annotations

import base64
import itertools
import json
from datetime import datetime, timedelta

from otp_service.sandbox.config import Clock, SandboxConfig
from otp_service.sandbox.inbox.messages import Message
from otp_service.sandbox.reports.http_posting import ReportItem, ReportPoster
from otp_service.sandbox.reports.queue import Queue
from otp_service.sms.aliyun.protocol.mns import MessageType
from otp_service.sms.aliyun.protocol.phone_numbers import bare
from otp_service.sms.aliyun.protocol.receipts import Delivery, lookup_receipt
from otp_service.sms.aliyun.protocol.templates import sms_size
from otp_service.sms.aliyun.protocol.timestamps import format_china

#: The number that SMS come from and replies go to, without its extension code.
SENDER = "10690000"


class Reports:
    """The queues of the account, and the thread that posts to its URLs. Call `close` when done."""

    def __init__(self, config: SandboxConfig, clock: Clock) -> None:
        self._clock = clock
        self._prefix = config.queue_prefix
        visibility_timeout = timedelta(seconds=config.invisible_seconds)
        self._queues = {message_type: Queue(clock, visibility_timeout) for message_type in MessageType}
        self._sequence = itertools.count(1)
        self.poster = ReportPoster(config.report_urls, clock, config.report_time_factor)

    def publish_report(self, message: Message) -> None:
        """Report the result of an SMS at its time; do nothing if it is never reported."""
        if message.report_at is not None:
            item = _report_item(message, message.report_at)
            self._publish(MessageType.SMS_REPORT, item, message.report_at)

    def publish_reply(self, phone: str, content: str, replied_to: Message | None) -> ReportItem:
        """Simulate a reply from *phone* (E.164) to *replied_to*, the last SMS that it received, if any."""
        now = self._clock()
        sequence_id = f"{int(now.timestamp())}{next(self._sequence):06}"
        item = _reply_item(phone, content, replied_to, sequence_id, now)
        self._publish(MessageType.SMS_UP, item, now)
        return item

    def queue(self, name: str) -> Queue | None:
        """Return the queue with this name, or None if the account does not have it."""
        for message_type, queue in self._queues.items():
            if name == f"{self._prefix}{message_type}":
                return queue
        return None

    def close(self) -> None:
        """Stop posting, and end the long polls of the queues."""
        self.poster.close()
        for queue in self._queues.values():
            queue.close()

    def _publish(self, message_type: MessageType, item: ReportItem, at: datetime) -> None:
        text = json.dumps(item, ensure_ascii=False)
        self._queues[message_type].put(base64.b64encode(text.encode()).decode(), at)
        self.poster.add(message_type, item, at)


def _report_item(message: Message, report_at: datetime) -> ReportItem:
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


def _reply_item(
    phone: str, content: str, replied_to: Message | None, sequence_id: str, now: datetime
) -> ReportItem:
    return {
        "phone_number": bare(phone),
        "content": content,
        "send_time": format_china(now),
        "dest_code": SENDER + (replied_to.extend_code if replied_to else ""),
        "sequence_id": sequence_id,
        "sign_name": replied_to.sign_name if replied_to else "",
    }
