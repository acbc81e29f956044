"""Risk challenges: what suspicious requesters must solve before an SMS is sent.

The only folder that imports altcha. Of ours it imports `domain` and `services.interfaces`.
"""

from __future__ import annotations

from otp_service.captcha.proof_of_work import ProofOfWork

__all__ = ["ProofOfWork"]
