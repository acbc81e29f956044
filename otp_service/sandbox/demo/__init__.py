"""The start page of `otp-service dev`, which stands for a shop with a login. `serve` never loads it.

Imports Flask, and nothing of ours.
"""

from __future__ import annotations

from otp_service.sandbox.demo.pages import Refused, Sms, Verified, start_page

__all__ = ["Refused", "Sms", "Verified", "start_page"]
