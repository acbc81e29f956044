"""Warnings for the operator: missing or unreadable end-user addresses, and a wrong clock, once an hour."""

from __future__ import annotations

import pytest
from support import fakes
from support.fakes import SHOP, Harness

from otp_service.services.operator_warnings import OperatorWarnings

PHONES = [f"+861390013{n:04}" for n in range(9)]


@pytest.fixture
def harness() -> Harness:
    return fakes.harness()


def request(harness: Harness, number: int, client_ip: str | None = None) -> None:
    harness.service.request(SHOP, PHONES[number], purpose="login", client_ip=client_ip)


def test_client_without_addresses_is_reported_once_an_hour(harness: Harness) -> None:
    for number in range(3):
        request(harness, number)
    harness.clock.advance(3599)
    request(harness, 3)
    warnings = len(harness.events.of("client_ip_missing"))
    harness.clock.advance(1)
    request(harness, 4)

    assert (warnings, len(harness.events.of("client_ip_missing"))) == (1, 2)
    assert harness.events.of("client_ip_missing")[0] == {"client": "shop"}
    assert harness.store.clients_without_ip(["shop", "bank"]) == {"shop"}


def test_client_with_addresses_is_not_reported(harness: Harness) -> None:
    request(harness, 0, client_ip="203.0.113.7")

    assert harness.events.of("client_ip_missing") == []
    assert harness.store.clients_without_ip(["shop", "bank"]) == set()


def test_resend_without_an_address_is_reported_too(harness: Harness) -> None:
    sent = harness.service.request(SHOP, PHONES[0], purpose="login", client_ip="203.0.113.7")
    harness.clock.advance(60)
    harness.service.resend(SHOP, PHONES[0], sent.verification_id)

    assert harness.store.clients_without_ip(["shop", "bank"]) == {"shop"}


def test_warning_that_cannot_be_stored_fails_no_request_and_is_retried(harness: Harness) -> None:
    harness.store.failing.add("mark_missing_client_ip")
    request(harness, 0)
    request(harness, 1)
    harness.store.failing.clear()
    request(harness, 2)

    assert len(harness.sender.sent) == 3
    assert harness.store.clients_without_ip(["shop", "bank"]) == {"shop"}
    assert len(harness.events.of("client_ip_missing")) == 1


@pytest.mark.parametrize(
    ("ahead", "expected"), [(61, [{"seconds": 61}]), (-300, [{"seconds": -300}]), (60, [])]
)
def test_clock_that_differs_from_the_stores_is_reported(
    harness: Harness, ahead: int, expected: list[object]
) -> None:
    hints = OperatorWarnings(harness.store, harness.clock, harness.events)

    hints.clock_skew(harness.clock.now() - ahead)

    assert harness.events.of("clock_skew") == expected


def test_wrong_clock_is_reported_once_an_hour(harness: Harness) -> None:
    hints = OperatorWarnings(harness.store, harness.clock, harness.events)
    for advance in (0, 3599, 1):
        harness.clock.advance(advance)
        hints.clock_skew(harness.clock.now() - 1000)

    assert len(harness.events.of("clock_skew")) == 2
    hints.missing_client_ip("shop")
    assert len(harness.events.of("client_ip_missing")) == 1


def test_unreadable_proxy_address_is_reported_once_an_hour(harness: Harness) -> None:
    hints = OperatorWarnings(harness.store, harness.clock, harness.events)
    for advance in (0, 3599, 1):
        harness.clock.advance(advance)
        hints.unreadable_ip()

    assert harness.events.of("client_ip_unreadable") == [{}, {}]
    assert harness.store.met_unreadable_ip()


def test_unreadable_proxy_address_that_cannot_be_stored_is_retried(harness: Harness) -> None:
    hints = OperatorWarnings(harness.store, harness.clock, harness.events)
    harness.store.failing.add("mark_unreadable_client_ip")
    hints.unreadable_ip()
    harness.store.failing.clear()
    hints.unreadable_ip()

    assert harness.store.met_unreadable_ip()
    assert len(harness.events.of("client_ip_unreadable")) == 1
