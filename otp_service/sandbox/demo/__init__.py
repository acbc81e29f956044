"""The start page of `otp-service dev`: a demo shop with a sign-up form. `serve` never loads it.

Imports Flask and nothing else from this package.
"""

from __future__ import annotations

from otp_service.sandbox.demo.pages import RedeemFailed, Sms, Verified, start_page

__all__ = ["RedeemFailed", "Sms", "Verified", "start_page"]
