"""Alibaba Cloud (Aliyun): the providers `aliyun-sms` and `aliyun-pnvs`, and the signed API below both.

The sandbox is called in the same way; only its URL differs. Imports what `sms` may import, and `protocol`.
"""

from __future__ import annotations
