"""Where reports and replies go: into the account's queues, and to its URLs."""

from __future__ import annotations

import base64
import itertools
import json
from datetime import datetime, timedelta

from otp_service.sandbox.clock import Clock
from otp_service.sandbox.config import SandboxConfig
from otp_service.sandbox.inbox import Message
from otp_service.sandbox.queue import Queue
from otp_service.sandbox.report_items import Item, sms_report, sms_up
from otp_service.sandbox.reporter import Reporter
from otp_service.sms.aliyun.protocol.mns import MessageType


class Reports:
    """The queues of one account, and the thread that posts; `close` it."""

    def __init__(self, config: SandboxConfig, clock: Clock) -> None:
        self._clock = clock
        self._prefix = config.queue_prefix
        invisible = timedelta(seconds=config.invisible_seconds)
        self._queues = {message_type: Queue(clock, invisible) for message_type in MessageType}
        self._sequence = itertools.count(1)
        self.reporter = Reporter(config.report_urls, clock, config.report_time_factor)

    def sms_report(self, message: Message) -> None:
        """Report what becomes of an SMS when it is known; nothing, if it never is."""
        if message.report_at is not None:
            self._publish(MessageType.SMS_REPORT, sms_report(message, message.report_at), message.report_at)

    def reply(self, phone: str, content: str, answers: Message | None) -> Item:
        """Have a *phone* (E.164) send an SMS to us; *answers* is what it last got from us."""
        now = self._clock()
        sequence_id = f"{int(now.timestamp())}{next(self._sequence):06}"
        item = sms_up(phone, content, answers, sequence_id, now)
        self._publish(MessageType.SMS_UP, item, now)
        return item

    def queue(self, name: str) -> Queue | None:
        """Find a queue by its name; None if the account has no such queue."""
        for message_type, queue in self._queues.items():
            if name == f"{self._prefix}{message_type}":
                return queue
        return None

    def close(self) -> None:
        """Post nothing more, and send readers home."""
        self.reporter.close()
        for queue in self._queues.values():
            queue.close()

    def _publish(self, message_type: MessageType, item: Item, at: datetime) -> None:
        text = json.dumps(item, ensure_ascii=False)
        self._queues[message_type].put(base64.b64encode(text.encode()).decode(), at)
        self.reporter.report(message_type, item, at)
