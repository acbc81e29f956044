"""A consumer of Aliyun's queues of delivery reports and inbound SMS.

A message is deleted after it has been processed. Imports what `sms.aliyun` may import.
"""

from __future__ import annotations

from otp_service.sms.aliyun.mns.consumer import MessageHandler
from otp_service.sms.aliyun.mns.worker import Worker, build_worker

__all__ = ["MessageHandler", "Worker", "build_worker"]
