"""The default URLs of Aliyun's APIs.

https://help.aliyun.com/document_detail/68360.html
"""

from __future__ import annotations

SMS = "https://dysmsapi.aliyuncs.com"
"""Dysmsapi: SendSms."""

SMS_FROM_VPC = "https://dysmsapi-xman.vpc-proxy.aliyuncs.com"
"""Dysmsapi, from a VPC without internet access."""

PNVS = "https://dypnsapi.aliyuncs.com"
"""Dypnsapi: SendSmsVerifyCode."""
