"""`[risk]`: the challenge that suspicious requesters must solve."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from otp_service.settings.tables import Table


class RiskTable(Table):
    """What is asked for before an SMS goes out when something is suspicious. *ttl* in seconds."""

    challenge: Literal["altcha", "off"] = "altcha"
    ttl: int = Field(default=600, ge=60, le=1_800)
