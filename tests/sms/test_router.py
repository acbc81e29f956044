from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sms.doubles import (
    ACCEPTED,
    ARREARS,
    HONG_KONG,
    NO_TEMPLATE,
    NOT_SENT,
    TEMPLATE,
    UNKNOWN,
    ManualClock,
    ScriptedProvider,
    refusal,
    sms,
)
from support.events import RecordingEvents

from otp_service.domain.errors import ProviderUnavailable
from otp_service.domain.messages import FailureCause, SendResult, SendStatus, SmsMessage, Template
from otp_service.services.interfaces import SmsSender
from otp_service.sms.provider import ProviderResult, not_attempted
from otp_service.sms.router import Route, SmsRouter

BLAMED = ProviderResult(SendResult(SendStatus.UNKNOWN, cause=FailureCause.PROVIDER))


class RouterSetup:
    """A router with its clock and events."""

    def __init__(self, *routes: Route, max_in_flight: int = 4) -> None:
        self.clock = ManualClock()
        self.events = RecordingEvents()
        self.router = SmsRouter(
            routes=routes, clock=self.clock, events=self.events, max_in_flight=max_in_flight
        )

    def send(self, message: SmsMessage | None = None, seconds: float = 6.0) -> SendResult:
        with self.router.permit():
            return self.router.send(message or sms(), self.clock.ticks + seconds)


@contextmanager
def running_router(*routes: Route, max_in_flight: int = 4) -> Iterator[RouterSetup]:
    setup = RouterSetup(*routes, max_in_flight=max_in_flight)
    try:
        yield setup
    finally:
        assert setup.router.close(5)


def route(
    name: str, provider: ScriptedProvider, *templates: Template, clients: frozenset[str] = frozenset()
) -> Route:
    return Route(name, provider, templates or (TEMPLATE,), clients)


@pytest.mark.parametrize(
    ("first", "tried"),
    [
        pytest.param(ACCEPTED, 1, id="accepted"),
        pytest.param(UNKNOWN, 1, id="unknown"),
        pytest.param(BLAMED, 1, id="unknown, whatever the cause"),
        pytest.param(refusal(FailureCause.RECIPIENT), 1, id="caused by the recipient"),
        pytest.param(refusal(FailureCause.RECIPIENT_RATE_LIMIT), 1, id="flow control"),
        pytest.param(refusal(FailureCause.ACCOUNT), 2, id="caused by the account"),
        pytest.param(ARREARS, 2, id="an operator's error"),
        pytest.param(refusal(FailureCause.PROVIDER), 2, id="throttled"),
        pytest.param(NOT_SENT, 2, id="not sent"),
    ],
)
def test_next_route_is_tried_only_when_nothing_was_sent_for_a_reason_of_the_route(
    first: ProviderResult, tried: int
) -> None:
    one, two = ScriptedProvider(first), ScriptedProvider(ACCEPTED)
    with running_router(route("one", one), route("two", two)) as setup:
        outcome = setup.send()

    assert len(one.sent) + len(two.sent) == tried
    assert outcome.route == ("one", "two")[tried - 1]
    assert ("route_failover" in setup.events.names) is (tried == 2)


@pytest.mark.parametrize(
    ("left", "tried"), [(2.5, 2), (2.49, 1)], ids=["with 2.5 s left", "with less than 2.5 s left"]
)
def test_next_route_needs_time_before_the_deadline(left: float, tried: int) -> None:
    two = ScriptedProvider(ACCEPTED)
    late = ScriptedProvider(NOT_SENT, before=lambda: setup.clock.advance(6 - left))
    with running_router(route("one", late), route("two", two)) as setup:
        outcome = setup.send(seconds=6)

    assert len(two.sent) == tried - 1
    assert outcome.status is (SendStatus.ACCEPTED if tried == 2 else SendStatus.REFUSED)


def test_last_rejection_is_the_outcome() -> None:
    with running_router(
        route("one", ScriptedProvider(NOT_SENT)), route("two", ScriptedProvider(ARREARS))
    ) as setup:
        outcome = setup.send()

    assert (outcome.route, outcome.cause) == ("two", FailureCause.ACCOUNT)


def test_sms_without_a_route_is_an_account_failure() -> None:
    provider = ScriptedProvider(ACCEPTED)
    with running_router(route("one", provider, Template("signup", "SMS_1"))) as setup:
        outcome = setup.send()

    assert (outcome.status, outcome.cause) == (SendStatus.REFUSED, FailureCause.ACCOUNT)
    assert outcome.provider_code == "local.no_route"
    assert provider.sent == []


def test_route_is_chosen_by_client_country_and_locale() -> None:
    vip, abroad, plain = (ScriptedProvider(ACCEPTED) for _ in range(3))
    routes = (
        route("vip", vip, clients=frozenset({"bank"})),
        route("abroad", abroad, Template("*", "SMS_2", countries=("HK",))),
        route("plain", plain, TEMPLATE, Template("*", "SMS_3", locale="en")),
    )
    with running_router(*routes) as setup:
        names = [
            setup.send(message).route
            for message in (sms(client="bank"), sms(phone=HONG_KONG), sms(), sms(locale="en"))
        ]

    assert names == ["vip", "abroad", "plain", "plain"]
    assert [template.template_code for _, template in plain.sent] == ["SMS_100000000", "SMS_3"]


CHOICES: dict[str, tuple[SmsMessage, str, str]] = {
    # By name: the SMS, and the expected route and template.
    "the client's own route": (sms(client="bank"), "bank", "SMS_1"),
    "not for another purpose": (sms(client="bank", purpose="signup"), "plain", "SMS_7"),
    "nor to another country": (sms(client="bank", phone=HONG_KONG), "abroad", "SMS_2"),
    "the first of two": (sms(), "plain", "SMS_6"),
    "a country's group": (sms(phone=HONG_KONG), "abroad", "SMS_2"),
    "a locale of that route": (sms(phone=HONG_KONG, locale="EN"), "abroad", "SMS_3"),
    "a country by name": (sms(phone=replace(HONG_KONG, country="MO")), "abroad", "SMS_4"),
    "a purpose by name": (sms(purpose="signup"), "plain", "SMS_7"),
    "a locale that only the last has": (sms(purpose="signup", locale="zh-TW"), "plain", "SMS_7"),
    "a client that only the last has": (sms(client="app", purpose="pay"), "late", "SMS_9"),
}


@pytest.mark.parametrize("name", CHOICES)
def test_first_route_that_supports_the_sms_sends_it_with_its_best_template(name: str) -> None:
    message, route_name, template_code = CHOICES[name]
    providers = {name: ScriptedProvider(ACCEPTED) for name in ("bank", "abroad", "plain", "late")}
    routes = (
        route(
            "bank",
            providers["bank"],
            Template("login", "SMS_1", countries=("CN",)),
            clients=frozenset({"bank"}),
        ),
        route(
            "abroad",
            providers["abroad"],
            Template("*", "SMS_2", countries=("international",)),
            Template("*", "SMS_3", countries=("international",), locale="en"),
            Template("*", "SMS_4", countries=("MO", "TW")),
        ),
        route("plain", providers["plain"], Template("login", "SMS_6"), Template("signup", "SMS_7")),
        route("late", providers["late"], Template("*", "SMS_9"), Template("signup", "SMS_8", locale="zh-TW")),
    )
    with running_router(*routes) as setup:
        outcome = setup.send(message)

    sent = [
        (name, template.template_code)
        for name, provider in providers.items()
        for _, template in provider.sent
    ]
    assert sent == [(route_name, template_code)]
    assert outcome.route == route_name


@pytest.mark.parametrize(
    ("client", "purpose", "served"),
    [("shop", "login", True), ("shop", "signup", False), ("other", "login", False)],
    ids=["both fit", "no template for the purpose", "not of the client"],
)
def test_supports_checks_client_and_purpose(client: str, purpose: str, *, served: bool) -> None:
    only = route("one", ScriptedProvider(ACCEPTED), Template("login", "SMS_1"), clients=frozenset({"shop"}))
    with running_router(only) as setup:
        assert setup.router.supports(client, purpose) is served


def test_account_error_suspends_the_route_for_a_minute() -> None:
    provider = ScriptedProvider(ARREARS, ACCEPTED)
    other = Template("signup", "SMS_2")
    with running_router(route("one", provider, TEMPLATE, other)) as setup:
        setup.send()
        setup.clock.advance(59.9)
        paused = [setup.send(message) for message in (sms(), sms(purpose="signup"))]
        assert setup.router.states() == {"one": "paused"}
        setup.clock.advance(0.1)
        assert setup.send().status is SendStatus.ACCEPTED
        assert setup.router.states() == {"one": "ok"}

    assert [(result.cause, result.provider_code) for result in paused] == [
        (FailureCause.ACCOUNT, "local.route_paused"),
        (FailureCause.ACCOUNT, "local.route_paused"),
    ]
    assert len(provider.sent) == 2
    assert [(event, facts["template_code"]) for event, facts in setup.events.emitted] == [
        ("route_suspended", "*")
    ]


def test_suspended_route_is_skipped_at_once() -> None:
    provider = ScriptedProvider(ARREARS)
    with running_router(route("one", provider), route("two", ScriptedProvider(ACCEPTED))) as setup:
        routes = [setup.send().route for _ in range(3)]

    assert routes == ["two"] * 3
    assert len(provider.sent) == 1


def test_template_error_suspends_only_the_template() -> None:
    provider = ScriptedProvider(NO_TEMPLATE, ACCEPTED)
    other = Template("signup", "SMS_2")
    with running_router(route("one", provider, TEMPLATE, other)) as setup:
        setup.send()
        paused = setup.send()
        assert setup.router.states() == {"one": "paused"}
        assert setup.send(sms(purpose="signup")).status is SendStatus.ACCEPTED
        setup.clock.advance(60)
        assert setup.send().status is SendStatus.ACCEPTED
        assert setup.router.states() == {"one": "ok"}

    assert (paused.cause, paused.provider_code) == (FailureCause.ACCOUNT, "local.route_paused")
    assert len(provider.sent) == 3
    assert [(event, facts["template_code"]) for event, facts in setup.events.emitted] == [
        ("route_suspended", TEMPLATE.template_code)
    ]


def test_rejected_recipient_suspends_nothing() -> None:
    provider = ScriptedProvider(
        refusal(FailureCause.RECIPIENT),
        refusal(FailureCause.RECIPIENT_RATE_LIMIT),
        refusal(FailureCause.ACCOUNT),
        ACCEPTED,
    )
    with running_router(route("one", provider)) as setup:
        for _ in range(4):
            setup.send()

    assert len(provider.sent) == 4


@pytest.mark.parametrize("failure", [NOT_SENT, UNKNOWN], ids=["not sent", "unknown"])
def test_breaker_opens_after_five_failures_and_nothing_is_sent(failure: ProviderResult) -> None:
    provider = ScriptedProvider(*[failure] * 5, ACCEPTED)
    with running_router(route("one", provider)) as setup:
        for _ in range(5):
            setup.send()
        sixth = setup.send()
        assert setup.router.states() == {"one": "open"}
        assert len(provider.sent) == 5
        setup.clock.advance(5)
        assert setup.send().status is SendStatus.ACCEPTED
        assert setup.router.states() == {"one": "ok"}

    assert (sixth.status, sixth.cause, sixth.retry_after) == (SendStatus.REFUSED, FailureCause.PROVIDER, 5)
    assert sixth.provider_code == "local.breaker_open"
    assert setup.events.names == ["circuit_opened", "circuit_closed"]


def test_sms_that_was_not_attempted_does_not_affect_the_breaker() -> None:
    """An SMS that broke a local rule or came too late says nothing about the provider."""
    not_attempted_result = not_attempted(FailureCause.PROVIDER, "deadline")
    provider = ScriptedProvider(*[UNKNOWN] * 4, not_attempted_result, UNKNOWN, not_attempted_result, ACCEPTED)
    with running_router(route("one", provider)) as setup:
        for _ in range(6):
            setup.send()
        assert setup.router.states() == {"one": "open"}
        setup.clock.advance(5)
        setup.send()
        assert setup.router.states() == {"one": "open"}

    assert setup.events.names == ["circuit_opened"]


def test_open_breaker_sends_through_the_next_route() -> None:
    provider = ScriptedProvider(UNKNOWN)
    with running_router(route("one", provider), route("two", ScriptedProvider(ACCEPTED))) as setup:
        routes = [setup.send().route for _ in range(6)]

    assert routes == ["one"] * 5 + ["two"]


@pytest.mark.parametrize("cause", list(FailureCause))
def test_business_errors_never_open_the_breaker(cause: FailureCause) -> None:
    provider = ScriptedProvider(refusal(cause))
    with running_router(route("one", provider)) as setup:
        for _ in range(20):
            setup.send()

    assert len(provider.sent) == 20


def test_permits_run_out_at_once() -> None:
    with running_router(route("one", ScriptedProvider(ACCEPTED)), max_in_flight=1) as setup:
        with setup.router.permit(), pytest.raises(ProviderUnavailable) as error, setup.router.permit():
            pass
        assert error.value.retry_after == 1
        assert setup.send().status is SendStatus.ACCEPTED


def test_close_closes_the_providers() -> None:
    provider = ScriptedProvider(ACCEPTED)
    setup = RouterSetup(route("one", provider))

    assert setup.router.close(1)
    assert provider.closed
    with pytest.raises(ProviderUnavailable), setup.router.permit():
        pass


def test_router_implements_sms_router() -> None:
    with running_router() as setup:
        sender: SmsSender = setup.router
        assert not sender.supports("shop", "login")


def test_routes_print_no_provider() -> None:
    assert "provider" not in repr(route("one", ScriptedProvider(ACCEPTED)))
