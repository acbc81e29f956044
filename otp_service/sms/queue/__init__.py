"""Aliyun's queues of reports and replies: emptied message by message, once each is taken care of."""

from __future__ import annotations

from otp_service.sms.queue.taker import Taker
from otp_service.sms.queue.worker import Worker, build_worker

__all__ = ["Taker", "Worker", "build_worker"]
