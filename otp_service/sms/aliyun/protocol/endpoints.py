"""The default URLs of Aliyun's APIs.

https://help.aliyun.com/document_detail/68360.html
"""

from __future__ import annotations

SMS = "https://dysmsapi.aliyuncs.com"
"""Dysmsapi: SendSms."""

PNVS = "https://dypnsapi.aliyuncs.com"
"""Dypnsapi: SendSmsVerifyCode."""
