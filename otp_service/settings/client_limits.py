"""`[clients.<id>.limits]`: what one client's calls may do to a phone, where that is less."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from otp_service.limits import PhoneLimits
from otp_service.settings.issues import Mistake
from otp_service.settings.tables import Count, Table

Cooldown = Annotated[tuple[Annotated[int, Field(ge=60, le=86_400)], ...], Field(min_length=1)]


class ClientLimitsTable(Table):
    """Limits of a client's own; what is left out is as in [limits].

    All clients together are counted; the limits of a client say from where on *it* is refused. Codes that
    were wrong in a row are the phone's affair alone, so slow lane and lock are the same for everybody.
    """

    cooldown: Cooldown | None = None
    sends_per_hour: Count | None = None
    sends_per_day: Count | None = None
    sends_per_requester_per_hour: Count | None = None
    failures_per_hour: Count | None = None
    failures_per_day: Count | None = None

    def over(self, usual: PhoneLimits) -> PhoneLimits | None:
        """Return the *usual* limits with those of the client put over them; nothing when it has none."""
        own = self.model_dump(exclude_none=True)
        return replace(usual, **own) if own else None

    def mistakes(self, where: str, usual: PhoneLimits) -> Iterator[Mistake]:
        """Tell what would let the client do more than the *usual* limits do."""
        for name, own in self.model_dump(exclude_none=True, exclude={"cooldown"}).items():
            if own > getattr(usual, name):
                yield Mistake(f"{where}.{name}", f"must be at most limits.{name}")
        if self.cooldown and not _is_as_long(self.cooldown, usual.cooldown):
            yield Mistake(f"{where}.cooldown", "must be at least limits.cooldown at every step")


def _is_as_long(own: tuple[int, ...], usual: tuple[int, ...]) -> bool:
    """Tell whether no step of *own* is shorter than that of *usual*; the last of each goes on for ever."""
    steps = range(max(len(own), len(usual)))
    return all(own[min(n, len(own) - 1)] >= usual[min(n, len(usual) - 1)] for n in steps)
