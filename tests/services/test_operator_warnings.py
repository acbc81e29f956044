"""Clients that do not name the end user's address are told of once in a while, and so is a wrong clock."""

from __future__ import annotations

import pytest
from support import fakes
from support.fakes import SHOP, House

from otp_service.services.operator_warnings import OperatorWarnings

PHONES = [f"+861390013{n:04}" for n in range(9)]


@pytest.fixture
def house() -> House:
    return fakes.house()


def request(house: House, number: int, client_ip: str | None = None) -> None:
    house.service.request(SHOP, PHONES[number], purpose="login", client_ip=client_ip)


def test_client_without_addresses_is_told_of_once_an_hour(house: House) -> None:
    for number in range(3):
        request(house, number)
    house.clock.advance(3599)
    request(house, 3)
    told = len(house.events.of("client_ip_missing"))
    house.clock.advance(1)
    request(house, 4)

    assert (told, len(house.events.of("client_ip_missing"))) == (1, 2)
    assert house.events.of("client_ip_missing")[0] == {"client": "shop"}
    assert house.store.unaddressed == {"shop"}


def test_client_with_addresses_is_not_told_of(house: House) -> None:
    request(house, 0, client_ip="203.0.113.7")

    assert house.events.of("client_ip_missing") == []
    assert house.store.unaddressed == set()


def test_resend_without_address_counts_too(house: House) -> None:
    sent = house.service.request(SHOP, PHONES[0], purpose="login", client_ip="203.0.113.7")
    house.clock.advance(60)
    house.service.resend(SHOP, PHONES[0], sent.verification_id)

    assert house.store.unaddressed == {"shop"}


def test_hint_that_could_not_be_noted_fails_no_request_and_comes_again(house: House) -> None:
    house.store.failing.add("note_unaddressed")
    request(house, 0)
    request(house, 1)
    house.store.failing.clear()
    request(house, 2)

    assert len(house.sender.sent) == 3
    assert house.store.unaddressed == {"shop"}
    assert len(house.events.of("client_ip_missing")) == 1


@pytest.mark.parametrize(("ahead", "told"), [(61, [{"seconds": 61}]), (-300, [{"seconds": -300}]), (60, [])])
def test_clock_that_is_not_the_stores_is_told_of(house: House, ahead: int, told: list[object]) -> None:
    hints = OperatorWarnings(house.store, house.clock, house.events)

    hints.clock_skew(house.clock.now() - ahead)

    assert house.events.of("clock_skew") == told


def test_clock_that_is_still_wrong_is_told_of_once_an_hour(house: House) -> None:
    hints = OperatorWarnings(house.store, house.clock, house.events)
    for advance in (0, 3599, 1):
        house.clock.advance(advance)
        hints.clock_skew(house.clock.now() - 1000)

    assert len(house.events.of("clock_skew")) == 2
    hints.missing_client_ip("shop")
    assert len(house.events.of("client_ip_missing")) == 1


def test_unreadable_entry_of_a_proxy_is_told_of_once_an_hour(house: House) -> None:
    hints = OperatorWarnings(house.store, house.clock, house.events)
    for advance in (0, 3599, 1):
        house.clock.advance(advance)
        hints.unreadable_ip()

    assert house.events.of("client_ip_unreadable") == [{}, {}]
    assert house.store.is_ip_unreadable


def test_unreadable_entry_that_could_not_be_noted_is_noted_next_time(house: House) -> None:
    hints = OperatorWarnings(house.store, house.clock, house.events)
    house.store.failing.add("note_unreadable_ip")
    hints.unreadable_ip()
    house.store.failing.clear()
    hints.unreadable_ip()

    assert house.store.is_ip_unreadable
    assert len(house.events.of("client_ip_unreadable")) == 1
