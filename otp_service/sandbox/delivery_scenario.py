"""What becomes of an accepted SMS on its way to the phone; touches nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class DeliveryScenario:
    """What the carrier says of an SMS, when, and how often."""

    err_code: str = "DELIVERED"
    #: How much later than usual the carrier speaks.
    late_seconds: float = 0.0
    #: How many reports are sent; with none the carrier never speaks.
    reports: int = 1

    def report_at(self, accepted_at: datetime, usual_seconds: float) -> datetime | None:
        """Tell when the carrier speaks of an SMS; None: never."""
        if not self.reports:
            return None
        return accepted_at + timedelta(seconds=usual_seconds + self.late_seconds)


DELIVERED = DeliveryScenario()
