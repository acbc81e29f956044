"""The policy: what the settings decide about every request. Touches nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from otp_service.codes import CodeType
from otp_service.limits import CodeLimits, PhoneLimits
from otp_service.phone import PhoneRules


@dataclass(frozen=True, slots=True)
class Policy:
    """One per process.

    *purposes* are those that exist, with what their codes are made of; *sms_per_day* is the budget of the
    whole service and *known_share* the part of every budget that only known phones may use; *deadline* and
    *proof_ttl* are in seconds.
    """

    phones: PhoneRules
    purposes: Mapping[str, CodeType]
    phone_limits: PhoneLimits
    code_limits: CodeLimits
    sms_per_day: int
    known_share: float = 0.2
    deadline: float = 6.0
    proof_ttl: int = 180
