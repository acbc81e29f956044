"""Alibaba Cloud (Aliyun): the providers `aliyun-sms` and `aliyun-pnvs`, and the signed API that both call.

The sandbox is called in the same way; only its URL differs.
"""

from __future__ import annotations
