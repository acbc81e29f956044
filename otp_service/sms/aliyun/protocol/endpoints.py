"""Where Aliyun's APIs are, unless an operator knows better; touches nothing.

https://help.aliyun.com/document_detail/68360.html
"""

from __future__ import annotations

#: Dysmsapi: SendSms.
SMS = "https://dysmsapi.aliyuncs.com"

#: Dysmsapi, from a VPC without a way out.
SMS_FROM_VPC = "https://dysmsapi-xman.vpc-proxy.aliyuncs.com"

#: Dypnsapi: SendSmsVerifyCode.
PNVS = "https://dypnsapi.aliyuncs.com"
