"""A local stand-in for Aliyun's SMS API with an inbox; touches Flask, and the URLs that reports go to.

It checks signatures, required parameters, sign names, templates and flow control as the
provider does, keeps what it "sent" in memory and shows it on a page. A development and
test tool: everybody who reaches its inbox reads every code.
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
