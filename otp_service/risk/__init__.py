"""The room of risk challenges, and the door to altcha."""

from __future__ import annotations

from otp_service.risk.proof_of_work import ProofOfWork

__all__ = ["ProofOfWork"]
