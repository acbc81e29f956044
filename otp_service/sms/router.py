"""The routes in their order: which of them sends an SMS, and when the next one may try. Touches locks.

A second route is a second SMS unless the first one surely sent none. So the next one is tried only after a
refusal that is the route's or the provider's fault; never after an unknown outcome, and never when the number
itself was refused: that would be asked of every provider in turn.
"""

from __future__ import annotations

from collections.abc import Sequence

from otp_service.domain.messages import (
    DeliveryLookup,
    DeliveryLookupResult,
    DeliveryLookupStatus,
    FailureCause,
    SendResult,
    SendStatus,
    SmsMessage,
)
from otp_service.services.interfaces import Clock, EventLogger
from otp_service.sms.concurrency import Bulkhead, Permit
from otp_service.sms.lane import RouteState
from otp_service.sms.provider import refused
from otp_service.sms.route import Route

__all__ = ["Route", "SmsRouter"]

NEXT_ROUTE_SECONDS = 2.5
"""With less than this before the deadline another route could not answer in time."""

MAX_IN_FLIGHT = 64

_TELLING = (
    DeliveryLookupStatus.DELIVERED,
    DeliveryLookupStatus.UNDELIVERED,
    DeliveryLookupStatus.ACCEPTED,
    DeliveryLookupStatus.NO_ANSWER,
    DeliveryLookupStatus.NOT_FOUND,
    DeliveryLookupStatus.UNSUPPORTED,
)
"""What one route has found outweighs what stands behind it: absence counts only where nobody was silent."""

_NO_ROUTE = refused(FailureCause.ACCOUNT, "no_route")


class SmsRouter:
    """The SmsSender of the service: all routes behind one bulkhead."""

    def __init__(
        self,
        *,
        routes: Sequence[Route],
        clock: Clock,
        events: EventLogger,
        max_in_flight: int = MAX_IN_FLIGHT,
    ) -> None:
        self._lanes = tuple(RouteState(route, clock, events) for route in routes)
        self._clock = clock
        self._events = events
        self._bulkhead = Bulkhead(self._deliver, max_in_flight=max_in_flight, events=events)

    @property
    def in_flight(self) -> int:
        """Number of sends and delivery lookups under way."""
        return self._bulkhead.in_flight

    @property
    def max_in_flight(self) -> int:
        """How many may be."""
        return self._bulkhead.max_in_flight

    def supports(self, client: str, purpose: str) -> bool:
        """Tell whether any route sends for *client* and *purpose*."""
        return any(lane.route.supports(client, purpose) for lane in self._lanes)

    def permit(self) -> Permit:
        """Return the right to one send.

        Raises:
            ProviderUnavailable: too many sends are in flight.
        """
        return self._bulkhead.permit()

    def states(self) -> dict[str, str]:
        """Return how each route is: `ok`, `paused` or `open`."""
        return {lane.route.name: lane.state() for lane in self._lanes}

    def close(self, timeout: float) -> bool:
        """Send no more and wait for the sends in flight; tell whether all ended within *timeout* seconds."""
        drained = self._bulkhead.close(timeout)
        for lane in self._lanes:
            lane.route.provider.close()
        return drained

    def lookup_delivery(self, lookup: DeliveryLookup, deadline: float) -> DeliveryLookupResult:
        """Ask the route that took a send, or every one that may have, what became of it. Never raises.

        It takes a place in the bulkhead; without one, nothing was found out.
        """
        found = self._bulkhead.ask(lambda: self._find(lookup, deadline))
        return found or DeliveryLookupResult(DeliveryLookupStatus.NO_ANSWER)

    def _find(self, lookup: DeliveryLookup, deadline: float) -> DeliveryLookupResult:
        asked = [
            lane.lookup_delivery(lookup, deadline) for lane in self._lanes if lane.could_have_sent(lookup)
        ]
        return min(
            asked,
            key=lambda found: _TELLING.index(found.status),
            default=DeliveryLookupResult(DeliveryLookupStatus.UNSUPPORTED),
        )

    def _deliver(self, sms: SmsMessage, deadline: float) -> SendResult:
        serving = [(lane, t) for lane in self._lanes if (t := lane.route.template_for(sms))]
        outcome = _NO_ROUTE
        for number, (lane, template) in enumerate(serving):
            if number and not self._passes_on(outcome, deadline):
                break
            outcome = lane.send(sms, template, deadline)
        return outcome

    def _passes_on(self, outcome: SendResult, deadline: float) -> bool:
        if not _may_do_better(outcome) or deadline - self._clock.monotonic() < NEXT_ROUTE_SECONDS:
            return False
        self._events.emit(
            "route_failover",
            route=outcome.route,
            provider_code=outcome.provider_code,
            provider_request_id=outcome.request_id,
        )
        return True


def _may_do_better(outcome: SendResult) -> bool:
    """Tell whether nothing was sent, for certain, for a reason that another route need not share."""
    return outcome.status is SendStatus.REFUSED and outcome.cause in (
        FailureCause.ACCOUNT,
        FailureCause.PROVIDER,
    )
