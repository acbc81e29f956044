"""Routes in their configured order: which one sends an SMS, and when the next one may try.

A second route could send a second SMS unless the first one certainly sent none. So the next route is tried
only after a refusal that is the fault of the route or its provider. It is never tried after an unknown
outcome, nor when the number itself was refused: every provider would then be called in turn.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

from otp_service import forks
from otp_service.domain.errors import ProviderUnavailable
from otp_service.domain.messages import (
    WILDCARD,
    DeliveryLookup,
    DeliveryLookupResult,
    DeliveryLookupStatus,
    FailureCause,
    SendResult,
    SendStatus,
    SmsMessage,
    Template,
    select_template,
)
from otp_service.services.interfaces import Clock, EventLogger
from otp_service.sms.circuit_breaker import CircuitBreaker
from otp_service.sms.concurrency import RETRY_AFTER, Bulkhead
from otp_service.sms.provider import Provider, ProviderResult, RouteHealth, outcome_unknown, rejected

NEXT_ROUTE_SECONDS = 2.5
"""Another route is tried only if at least this much time remains; with less it could not respond."""

MAX_IN_FLIGHT = 64

SUSPENSION_SECONDS = 60.0

EVERY_TEMPLATE = "*"
"""Stands for the whole route; no template has this code."""

_LOOKUP_PRECEDENCE = (
    DeliveryLookupStatus.DELIVERED,
    DeliveryLookupStatus.UNDELIVERED,
    DeliveryLookupStatus.ACCEPTED,
    DeliveryLookupStatus.NO_ANSWER,
    DeliveryLookupStatus.NOT_FOUND,
    DeliveryLookupStatus.UNSUPPORTED,
)
"""Of several routes' results the first in this order counts: NOT_FOUND only if every route has answered."""

NOT_STARTED = rejected(FailureCause.PROVIDER, "not_started", retry_after=RETRY_AFTER)
"""The provider was certainly not called."""

_NO_ROUTE = rejected(FailureCause.ACCOUNT, "no_route")
_NO_ANSWER = DeliveryLookupResult(DeliveryLookupStatus.NO_ANSWER)


@dataclass(frozen=True, slots=True)
class Route:
    """One configured way to send. Without *clients* it serves all of them."""

    name: str
    provider: Provider = field(repr=False)
    templates: tuple[Template, ...]
    clients: frozenset[str] = frozenset()

    def supports(self, client: str, purpose: str) -> bool:
        """Return whether the route sends for *client* and *purpose*, to at least one country."""
        return self._serves(client) and any(t.purpose in (WILDCARD, purpose) for t in self.templates)

    def template_for(self, sms: SmsMessage) -> Template | None:
        """Return the template for *sms*; None if the route does not serve it."""
        return select_template(self.templates, sms) if self._serves(sms.client) else None

    def _serves(self, client: str) -> bool:
        return not self.clients or client in self.clients


class Suspensions:
    """The templates of one route that are suspended, and until when.

    Arrears or a withdrawn sign name do not go away by trying again. A suspension of a minute saves the call
    and sends the next SMS through the next route at once. A refused template does not suspend the others.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._restart()
        forks.call_in_child(self._restart)
        self._until: dict[str, float] = {}

    def _restart(self) -> None:
        self._lock = threading.Lock()

    def start(self, template_code: str) -> None:
        """Suspend *template_code*, or `EVERY_TEMPLATE`, from now on."""
        with self._lock:
            self._until[template_code] = self._monotonic() + SUSPENSION_SECONDS

    def is_suspended(self, template_code: str) -> bool:
        """Return whether *template_code* or the whole route is suspended."""
        return self._is_running(template_code) or self._is_running(EVERY_TEMPLATE)

    def any(self) -> bool:
        """Return whether at least one template is suspended."""
        with self._lock:
            return any(self._monotonic() < until for until in self._until.values())

    def _is_running(self, template_code: str) -> bool:
        with self._lock:
            return self._monotonic() < self._until.get(template_code, float("-inf"))


class RouteState:
    """One route with its circuit breaker and its suspensions, which every result updates."""

    def __init__(self, route: Route, clock: Clock, events: EventLogger) -> None:
        self.route = route
        self._events = events
        self._breaker = CircuitBreaker(clock.monotonic)
        self._suspensions = Suspensions(clock.monotonic)

    def state(self) -> str:
        """Return `ok`, `paused` (an operator must act) or `open` (the provider does not respond)."""
        if self._breaker.is_open:
            return "open"
        return "paused" if self._suspensions.any() else "ok"

    def send(self, sms: SmsMessage, template: Template, deadline: float) -> SendResult:
        """Send *sms* once, or refuse at once while the route is suspended or its circuit breaker is open."""
        if self._suspensions.is_suspended(template.template_code):
            return rejected(FailureCause.ACCOUNT, "route_paused", route=self.route.name)
        if not self._breaker.allow_request():
            seconds = max(1, math.ceil(self._breaker.wait()))
            return rejected(FailureCause.PROVIDER, "breaker_open", retry_after=seconds, route=self.route.name)
        result = self.route.provider.send(sms, template, deadline)
        self._update_health(result, template)
        return replace(result.outcome, route=self.route.name)

    def could_have_sent(self, lookup: DeliveryLookup) -> bool:
        """Return whether the send in question may have gone through this route."""
        if lookup.route:
            return lookup.route == self.route.name
        return self.route.supports(lookup.client, lookup.purpose)

    def lookup_delivery(self, lookup: DeliveryLookup, deadline: float) -> DeliveryLookupResult:
        """Look up the state of a send, unless the provider does not respond anyway."""
        if self._breaker.is_open:
            return DeliveryLookupResult(DeliveryLookupStatus.NO_ANSWER)
        return self.route.provider.lookup_delivery(lookup, deadline)

    def _update_health(self, result: ProviderResult, template: Template) -> None:
        if result.health is RouteHealth.NOT_ATTEMPTED:
            return
        if result.health is RouteHealth.TRANSPORT_ERROR:
            if self._breaker.record_failure():
                self._events.emit("circuit_opened", route=self.route.name)
            return
        if self._breaker.record_success():
            self._events.emit("circuit_closed", route=self.route.name)
        if result.health is RouteHealth.ACCOUNT_ERROR:
            self._suspend(EVERY_TEMPLATE, result.outcome)
        if result.health is RouteHealth.TEMPLATE_ERROR:
            self._suspend(template.template_code, result.outcome)

    def _suspend(self, template_code: str, outcome: SendResult) -> None:
        self._suspensions.start(template_code)
        self._events.emit(
            "route_suspended",
            route=self.route.name,
            template_code=template_code,
            provider_code=outcome.provider_code,
            provider_request_id=outcome.request_id,
        )


class SmsRouter:
    """Implements `interfaces.SmsSender`: all routes, behind one limit of concurrent sends."""

    def __init__(
        self,
        *,
        routes: Sequence[Route],
        clock: Clock,
        events: EventLogger,
        max_in_flight: int = MAX_IN_FLIGHT,
    ) -> None:
        self._routes = tuple(RouteState(route, clock, events) for route in routes)
        self._clock = clock
        self._events = events
        self._bulkhead = Bulkhead(max_in_flight)

    @property
    def in_flight(self) -> int:
        """The number of sends and delivery lookups under way."""
        return self._bulkhead.in_flight

    @property
    def max_in_flight(self) -> int:
        """The maximum of `in_flight`."""
        return self._bulkhead.max_in_flight

    def supports(self, client: str, purpose: str) -> bool:
        """Return whether at least one route sends for *client* and *purpose*."""
        return any(state.route.supports(client, purpose) for state in self._routes)

    def permit(self) -> AbstractContextManager[None]:
        """Permit one send while the block runs.

        Raises:
            ProviderUnavailable: too many sends are in flight, or the process is stopping.
        """
        return self._bulkhead.permit()

    def send(self, sms: SmsMessage, deadline: float) -> SendResult:
        """Send *sms* as `interfaces.SmsSender.send` specifies."""
        if self._bulkhead.is_closed:
            return NOT_STARTED
        try:
            return self._deliver(sms, deadline)
        except Exception as error:  # noqa: BLE001 - the SMS may have been sent, so the outcome is unknown
            self._log_exception(error)
            return outcome_unknown("crashed")

    def states(self) -> dict[str, str]:
        """Return the state of each route: `ok`, `paused` or `open`."""
        return {state.route.name: state.state() for state in self._routes}

    def close(self, timeout: float) -> bool:
        """Stop sending and wait for sends in flight; return whether all ended within *timeout* seconds."""
        drained = self._bulkhead.close(timeout)
        for state in self._routes:
            state.route.provider.close()
        return drained

    def lookup_delivery(self, lookup: DeliveryLookup, deadline: float) -> DeliveryLookupResult:
        """Look up the state of a send with every route that may have sent it. Never raises.

        A lookup counts as a send. While too many are in flight, the status is NO_ANSWER.
        """
        try:
            with self._bulkhead.permit():
                return self._find(lookup, deadline)
        except ProviderUnavailable:
            return _NO_ANSWER
        except Exception as error:  # noqa: BLE001 - a lookup that fails found nothing
            self._log_exception(error)
            return _NO_ANSWER

    def _find(self, lookup: DeliveryLookup, deadline: float) -> DeliveryLookupResult:
        results = [
            state.lookup_delivery(lookup, deadline) for state in self._routes if state.could_have_sent(lookup)
        ]
        return min(
            results,
            key=lambda result: _LOOKUP_PRECEDENCE.index(result.status),
            default=DeliveryLookupResult(DeliveryLookupStatus.UNSUPPORTED),
        )

    def _log_exception(self, error: Exception) -> None:
        """Log the type only: the text of an exception may contain the number and the code."""
        self._events.emit("provider_exception", error=type(error).__name__)

    def _deliver(self, sms: SmsMessage, deadline: float) -> SendResult:
        candidates = [(state, t) for state in self._routes if (t := state.route.template_for(sms))]
        outcome = _NO_ROUTE
        for number, (state, template) in enumerate(candidates):
            if number and not self._should_fail_over(outcome, deadline):
                break
            outcome = state.send(sms, template, deadline)
        return outcome

    def _should_fail_over(self, outcome: SendResult, deadline: float) -> bool:
        remaining = deadline - self._clock.monotonic()
        if not _is_safe_to_retry_elsewhere(outcome) or remaining < NEXT_ROUTE_SECONDS:
            return False
        self._events.emit(
            "route_failover",
            route=outcome.route,
            provider_code=outcome.provider_code,
            provider_request_id=outcome.request_id,
        )
        return True


def _is_safe_to_retry_elsewhere(outcome: SendResult) -> bool:
    """Return whether certainly nothing was sent, for a reason that another route need not share."""
    return outcome.status is SendStatus.REFUSED and outcome.cause in (
        FailureCause.ACCOUNT,
        FailureCause.PROVIDER,
    )
