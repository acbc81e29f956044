"""Aliyun's queues of delivery reports and replies, which are emptied message by message.

A message is deleted once it has been handled. Imports what `sms.aliyun` may import.
"""

from __future__ import annotations

from otp_service.sms.aliyun.mns.taker import MessageHandler
from otp_service.sms.aliyun.mns.worker import Worker, build_worker

__all__ = ["MessageHandler", "Worker", "build_worker"]
