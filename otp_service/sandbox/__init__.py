"""A local stand-in for Alibaba Cloud's SMS APIs, with an inbox page, for development and tests.

It checks signatures, parameters, sign names, templates and flow control as Alibaba Cloud does. It keeps every
SMS that it "sends" in memory and shows it on a page: anyone who can reach the inbox can read every code.
Imports only Flask and, from this package, `sms.aliyun.protocol` and `local_hosts`.
"""

from __future__ import annotations

from otp_service.sandbox.app import create_sandbox
from otp_service.sandbox.config import Review, SandboxConfig
from otp_service.sandbox.credentials import StsKey
from otp_service.sandbox.server import SandboxServer, run_sandbox, start_sandbox

__all__ = [
    "Review",
    "SandboxConfig",
    "SandboxServer",
    "StsKey",
    "create_sandbox",
    "run_sandbox",
    "start_sandbox",
]
