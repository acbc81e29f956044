"""A local stand-in for Aliyun's SMS API with an inbox, for development and tests.

It checks signatures, parameters, sign names, templates and flow control as the provider does, keeps what it
"sent" in memory and shows it on a page: everybody who reaches the inbox reads every code. Imports Flask and,
of ours, `sms.aliyun.protocol` and `local_hosts` only.
"""

from __future__ import annotations

from otp_service.sandbox.app import create_sandbox
from otp_service.sandbox.config import SandboxConfig
from otp_service.sandbox.reviews import Review
from otp_service.sandbox.server import SandboxServer, run_sandbox, start_sandbox
from otp_service.sandbox.sts_key import StsKey

__all__ = [
    "Review",
    "SandboxConfig",
    "SandboxServer",
    "StsKey",
    "create_sandbox",
    "run_sandbox",
    "start_sandbox",
]
