"""The demo room: the start page of `otp-service dev`. Touches Flask; `serve` never loads it."""

from __future__ import annotations

from otp_service.demo.pages import Refused, Sms, Verified, start_page

__all__ = ["Refused", "Sms", "Verified", "start_page"]
