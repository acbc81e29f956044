"""A lane: one route with its breaker and its pauses; touches what its provider touches."""

from __future__ import annotations

import math
from dataclasses import replace

from otp_service.domain.messages import (
    DeliveryLookup,
    DeliveryLookupResult,
    DeliveryLookupStatus,
    FailureCause,
    SendResult,
    SmsMessage,
    Template,
)
from otp_service.services.interfaces import Clock, EventLogger
from otp_service.sms.circuit_breaker import CircuitBreaker
from otp_service.sms.pause import EVERY_TEMPLATE, Suspensions
from otp_service.sms.provider import ProviderResult, RouteHealth, refused
from otp_service.sms.route import Route


class RouteState:
    """Sends over one route unless it is paused or its breaker is open, and learns from every outcome."""

    def __init__(self, route: Route, clock: Clock, events: EventLogger) -> None:
        self.route = route
        self._events = events
        self._breaker = CircuitBreaker(clock.monotonic)
        self._pauses = Suspensions(clock.monotonic)

    def state(self) -> str:
        """Return `ok`, `paused` (an operator must act) or `open` (the provider does not answer)."""
        if self._breaker.is_open:
            return "open"
        return "paused" if self._pauses.any() else "ok"

    def send(self, sms: SmsMessage, template: Template, deadline: float) -> SendResult:
        """Send *sms* once, or refuse at once while the route rests."""
        if self._pauses.is_suspended(template.template_code):
            return refused(FailureCause.ACCOUNT, "route_paused", route=self.route.name)
        if not self._breaker.allow_request():
            wait = max(1, math.ceil(self._breaker.wait()))
            return refused(FailureCause.PROVIDER, "breaker_open", wait=wait, route=self.route.name)
        verdict = self.route.provider.send(sms, template, deadline)
        self._update_health(verdict, template)
        return replace(verdict.outcome, route=self.route.name)

    def could_have_sent(self, lookup: DeliveryLookup) -> bool:
        """Tell whether the send in question can have gone this way."""
        if lookup.route:
            return lookup.route == self.route.name
        return self.route.supports(lookup.client, lookup.purpose)

    def lookup_delivery(self, lookup: DeliveryLookup, deadline: float) -> DeliveryLookupResult:
        """Ask the provider what became of a send, unless it does not answer anyway."""
        if self._breaker.is_open:
            return DeliveryLookupResult(DeliveryLookupStatus.NO_ANSWER)
        return self.route.provider.lookup_delivery(lookup, deadline)

    def _update_health(self, verdict: ProviderResult, template: Template) -> None:
        if verdict.trouble is RouteHealth.NOT_ATTEMPTED:
            return
        if verdict.trouble is RouteHealth.TRANSPORT:
            if self._breaker.record_failure():
                self._events.emit("circuit_opened", route=self.route.name)
            return
        if self._breaker.record_success():
            self._events.emit("circuit_closed", route=self.route.name)
        if verdict.trouble is RouteHealth.OPERATOR:
            self._pause(EVERY_TEMPLATE, verdict.outcome)
        if verdict.trouble is RouteHealth.TEMPLATE:
            self._pause(template.template_code, verdict.outcome)

    def _pause(self, template_code: str, outcome: SendResult) -> None:
        self._pauses.start(template_code)
        self._events.emit(
            "route_suspended",
            route=self.route.name,
            template_code=template_code,
            provider_code=outcome.provider_code,
            provider_request_id=outcome.request_id,
        )
