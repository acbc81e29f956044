"""Delivery lookups: which routes are asked, and whose answer takes precedence."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sms.doubles import (
    ACCEPTED,
    MAINLAND,
    TEMPLATE,
    UNKNOWN,
    ManualClock,
    RealClock,
    ScriptedProvider,
    sms,
)
from support.events import RecordingEvents

from otp_service.domain.messages import DeliveryLookup, DeliveryLookupResult, DeliveryLookupStatus
from otp_service.sms.router import Route, SmsRouter

ABOUT = DeliveryLookup(MAINLAND, "shop", "login", "first", 0.0, lambda _: False)
UNROUTED = replace(ABOUT, route="")


def provider(status: DeliveryLookupStatus) -> ScriptedProvider:
    made = ScriptedProvider(ACCEPTED)
    made.found = DeliveryLookupResult(status)
    return made


def look_up(
    providers: list[ScriptedProvider], lookup: DeliveryLookup, **routes: frozenset[str]
) -> DeliveryLookupStatus:
    clock = RealClock()
    names = ("first", "second")[: len(providers)]
    router = SmsRouter(
        routes=[
            Route(name, made, (TEMPLATE,), routes.get(name, frozenset()))
            for name, made in zip(names, providers, strict=True)
        ],
        clock=clock,
        events=RecordingEvents(),
    )
    try:
        return router.lookup_delivery(lookup, clock.monotonic() + 5).status
    finally:
        router.close(1)


def test_only_the_route_of_the_send_is_asked() -> None:
    first, second = provider(DeliveryLookupStatus.NOT_FOUND), provider(DeliveryLookupStatus.DELIVERED)

    assert look_up([first, second], ABOUT) is DeliveryLookupStatus.NOT_FOUND
    assert (len(first.lookups), len(second.lookups)) == (1, 0)


def test_removed_route_is_unsupported() -> None:
    assert (
        look_up([provider(DeliveryLookupStatus.DELIVERED)], replace(ABOUT, route="old"))
        is DeliveryLookupStatus.UNSUPPORTED
    )


def test_send_of_unknown_route_is_looked_up_on_every_suitable_route() -> None:
    mine, other = provider(DeliveryLookupStatus.NOT_FOUND), provider(DeliveryLookupStatus.DELIVERED)

    assert look_up([mine, other], UNROUTED, second=frozenset({"bank"})) is DeliveryLookupStatus.NOT_FOUND
    assert (len(mine.lookups), len(other.lookups)) == (1, 0)


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ((DeliveryLookupStatus.NOT_FOUND, DeliveryLookupStatus.DELIVERED), DeliveryLookupStatus.DELIVERED),
        ((DeliveryLookupStatus.NO_ANSWER, DeliveryLookupStatus.ACCEPTED), DeliveryLookupStatus.ACCEPTED),
        (
            (DeliveryLookupStatus.UNDELIVERED, DeliveryLookupStatus.NO_ANSWER),
            DeliveryLookupStatus.UNDELIVERED,
        ),
        ((DeliveryLookupStatus.NOT_FOUND, DeliveryLookupStatus.NO_ANSWER), DeliveryLookupStatus.NO_ANSWER),
        ((DeliveryLookupStatus.UNSUPPORTED, DeliveryLookupStatus.NO_ANSWER), DeliveryLookupStatus.NO_ANSWER),
        ((DeliveryLookupStatus.NOT_FOUND, DeliveryLookupStatus.UNSUPPORTED), DeliveryLookupStatus.NOT_FOUND),
    ],
)
def test_not_found_requires_an_answer_of_every_route(
    statuses: tuple[DeliveryLookupStatus, DeliveryLookupStatus], expected: DeliveryLookupStatus
) -> None:
    assert look_up([provider(status) for status in statuses], UNROUTED) is expected


def test_provider_behind_an_open_breaker_is_not_asked() -> None:
    clock = ManualClock()
    made = ScriptedProvider(UNKNOWN)
    made.found = DeliveryLookupResult(DeliveryLookupStatus.DELIVERED)
    router = SmsRouter(routes=[Route("first", made, (TEMPLATE,))], clock=clock, events=RecordingEvents())
    for _ in range(5):
        with router.permit():
            router.send(sms(), clock.monotonic() + 5)
    assert router.states() == {"first": "open"}

    assert router.lookup_delivery(ABOUT, clock.monotonic() + 5).status is DeliveryLookupStatus.NO_ANSWER
    assert made.lookups == []
    router.close(1)


class RecordingProvider(ScriptedProvider):
    """Records the deadline of a lookup, and tries a second lookup during it."""

    router: SmsRouter

    def lookup_delivery(self, lookup: DeliveryLookup, deadline: float) -> DeliveryLookupResult:
        self.lookups.append(lookup)
        self.deadline = deadline
        self.meanwhile = self.router.lookup_delivery(lookup, deadline).status
        return DeliveryLookupResult(DeliveryLookupStatus.DELIVERED)


def test_lookup_has_a_deadline_and_needs_a_permit() -> None:
    made = RecordingProvider(ACCEPTED)
    router = made.router = SmsRouter(
        routes=[Route("first", made, (TEMPLATE,))],
        clock=RealClock(),
        events=RecordingEvents(),
        max_in_flight=1,
    )

    assert [router.lookup_delivery(ABOUT, 17.5).status for _ in range(2)] == [
        DeliveryLookupStatus.DELIVERED
    ] * 2
    assert (made.deadline, made.meanwhile) == (17.5, DeliveryLookupStatus.NO_ANSWER)
    assert len(made.lookups) == 2
    router.close(1)


class Broken(ScriptedProvider):
    def lookup_delivery(self, lookup: DeliveryLookup, deadline: float) -> DeliveryLookupResult:
        raise RuntimeError("+8613800138000")


def test_failed_lookup_is_no_answer_and_releases_its_permit() -> None:
    clock, events = RealClock(), RecordingEvents()
    router = SmsRouter(
        routes=[Route("first", Broken(ACCEPTED), (TEMPLATE,))], clock=clock, events=events, max_in_flight=1
    )
    statuses = [router.lookup_delivery(ABOUT, clock.monotonic() + 5).status for _ in range(3)]
    router.close(1)

    assert statuses == [DeliveryLookupStatus.NO_ANSWER] * 3
    assert router.lookup_delivery(ABOUT, clock.monotonic() + 5).status is DeliveryLookupStatus.NO_ANSWER
    assert events.emitted == [("provider_exception", {"error": "RuntimeError"})] * 3
