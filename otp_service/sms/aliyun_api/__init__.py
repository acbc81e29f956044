"""Aliyun's APIs as one caller sees them: an endpoint, access keys, and signed calls of any action."""

from __future__ import annotations

from otp_service.sms.aliyun_api.api import AliyunApi
from otp_service.sms.aliyun_api.request import AccessKey, Signature

__all__ = ["AccessKey", "AliyunApi", "Signature"]
