"""The provider `aliyun-pnvs`: Aliyun's verification service PNVS, used to carry codes of ours."""

from __future__ import annotations

from otp_service.sms.aliyun_pnvs.provider import AliyunPnvs

__all__ = ["AliyunPnvs"]
