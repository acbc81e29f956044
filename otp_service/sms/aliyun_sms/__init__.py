"""The provider `aliyun-sms`: Aliyun's SendSms. Also speaks to the sandbox, which differs in its URL only."""

from __future__ import annotations

from otp_service.sms.aliyun_sms.provider import AliyunSms

__all__ = ["AliyunSms"]
