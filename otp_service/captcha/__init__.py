"""Risk challenges, which suspicious calls must solve before an SMS is sent.

Imports `domain` and `services.interfaces`; the only folder that imports altcha.
"""

from __future__ import annotations

from otp_service.captcha.proof_of_work import ProofOfWork

__all__ = ["ProofOfWork"]
