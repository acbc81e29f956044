"""The ledger: what is noted here is counted everywhere, and a failing store costs no caller anything."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import fakes
import pytest
from backends import Backend
from stories import Phone, Quiet

from otp_service.errors import LimitReached, StoreUnavailable
from otp_service.limits import AddressLimits, GuardLimits, WrongCodeLimits
from otp_service.ports import AddressSlot, GuardScope, Knock
from otp_service.store import keys
from otp_service.store.ledger import RedisLedger
from otp_service.store.scripts import Call

LIMITS = WrongCodeLimits(least=4, share=0.01, hard_least=8, hard_share=0.04)


@pytest.fixture
def clock() -> fakes.FakeClock:
    """A day of its own for each test, since the wrong codes of a day share one key."""
    return fakes.FakeClock(now=secrets.randbelow(10**9) + 10**9)


@pytest.fixture
def events() -> Quiet:
    return Quiet()


@pytest.fixture
def ledger(phone: Phone, clock: fakes.FakeClock, events: Quiet) -> RedisLedger:
    return RedisLedger(phone.store.flush, limits=LIMITS, clock=clock, events=events)


@pytest.fixture
def other(phone: Phone, clock: fakes.FakeClock, events: Quiet) -> RedisLedger:
    """The ledger of another process."""
    return RedisLedger(phone.store.flush, limits=LIMITS, clock=clock, events=events)


def an_address(limit: int = 6) -> AddressSlot:
    return AddressSlot(secrets.token_urlsafe(12), AddressLimits(attempts_per_10_minutes=limit))


def admitted(ledger: RedisLedger, address: AddressSlot, times: int) -> int:
    count = 0
    for _ in range(times):
        try:
            ledger.admit_attempt(address)
        except LimitReached:
            continue
        count += 1
    return count


# ── attempts per address ──


def test_one_process_holds_the_limit_at_once(ledger: RedisLedger) -> None:
    address = an_address()

    assert admitted(ledger, address, 20) == 6
    assert admitted(ledger, an_address(), 3) == 3


def test_flush_keeps_the_limit_and_says_how_long(ledger: RedisLedger) -> None:
    address = an_address()
    admitted(ledger, address, 20)
    ledger.flush()

    with pytest.raises(LimitReached) as full:
        ledger.admit_attempt(address)
    assert full.value.limit == "address_attempts_per_10_minutes"
    assert 500 <= full.value.retry_after <= 660


def test_other_process_learns_of_it_and_the_slack_is_one_limit_each(
    ledger: RedisLedger, other: RedisLedger
) -> None:
    address = an_address()
    unaware = admitted(ledger, address, 20) + admitted(other, address, 20)
    ledger.flush()
    other.flush()

    assert unaware == 2 * 6
    assert admitted(ledger, address, 20) + admitted(other, address, 20) <= 6
    ledger.flush()
    other.flush()
    assert admitted(ledger, address, 20) + admitted(other, address, 20) == 0


def test_address_is_admitted_again_after_ten_minutes(
    phone: Phone, ledger: RedisLedger, clock: fakes.FakeClock
) -> None:
    address = an_address()
    admitted(ledger, address, 20)
    ledger.flush()
    clock.advance(720)
    phone.pass_time(720)
    ledger.flush()

    assert admitted(ledger, address, 20) == 6


def test_wait_that_was_told_is_true(phone: Phone, ledger: RedisLedger, clock: fakes.FakeClock) -> None:
    address = an_address()
    admitted(ledger, address, 20)
    ledger.flush()
    with pytest.raises(LimitReached) as full:
        ledger.admit_attempt(address)
    wait = full.value.retry_after
    clock.advance(wait - 1)
    phone.pass_time(wait - 1)
    early = admitted(ledger, address, 1)
    clock.advance(1)
    phone.pass_time(1)

    assert early == 0
    assert admitted(ledger, address, 1) == 1


def test_attempt_that_was_right_before_the_flush_is_not_carried(phone: Phone, ledger: RedisLedger) -> None:
    right, wrong = an_address(), an_address()
    for address in (right, wrong):
        ledger.admit_attempt(address)
    ledger.approved(phone.slot.tag, 0, right, ())
    ledger.flush()

    kept = [phone.client.exists(keys.attempts(address.tag)) for address in (right, wrong)]
    assert kept == [0, 1]


def test_quiet_addresses_are_forgotten_here(ledger: RedisLedger, clock: fakes.FakeClock) -> None:
    for _ in range(50):
        admitted(ledger, an_address(), 1)
    ledger.flush()
    clock.advance(660)
    ledger.flush()

    assert ledger._windows == {}


# ── wrong codes of the whole service ──


def test_wrong_codes_raise_the_alarm_everywhere(
    ledger: RedisLedger, other: RedisLedger, events: Quiet
) -> None:
    levels = []
    for _ in range(3):
        for _ in range(3):
            ledger.wrong_code()
        ledger.flush()
        other.flush()
        levels.append((ledger.alarm(), other.alarm()))

    assert levels == [(0, 0), (1, 1), (2, 2)]
    assert [facts["level"] for name, facts in events.seen if name == "wrong_code_alarm"] == [1, 1, 2, 2]


def test_wrong_codes_of_who_is_verified_in_the_end_are_no_guesses(ledger: RedisLedger) -> None:
    for _ in range(7):
        ledger.wrong_code()
    ledger.flush()
    before = ledger.alarm()
    ledger.approved("t" * 16, 4, None, ())
    ledger.flush()

    assert (before, ledger.alarm()) == (1, 0)


def test_alarm_ends_with_its_day(ledger: RedisLedger, clock: fakes.FakeClock) -> None:
    for _ in range(9):
        ledger.wrong_code()
    ledger.flush()
    clock.advance(86_400)
    ledger.flush()

    assert ledger.alarm() == 0


@pytest.mark.parametrize(
    ("wrong", "approved", "level"),
    [
        (499, 0, 0),
        (500, 0, 1),
        (1999, 0, 1),
        (2000, 0, 2),
        (999, 100_000, 0),
        (1000, 100_000, 1),
        (4000, 100_000, 2),
    ],
)
def test_levels_are_a_number_or_a_share(wrong: int, approved: int, level: int) -> None:
    assert WrongCodeLimits().level(wrong, approved) == level


# ── what was verified ──


def test_verified_phones_leave_their_address(phone: Phone, ledger: RedisLedger) -> None:
    address = AddressSlot(secrets.token_urlsafe(12), AddressLimits(sends_per_hour=2))
    for _ in range(2):
        phone.store.peek(phone.slot, 5, Knock(address=address))
    full = phone.store.peek(phone.slot, 5, Knock(address=address)).suspicions
    ledger.approved(phone.slot.tag, 0, address, ())
    ledger.flush()

    assert full == ("address_sends_per_hour",)
    assert phone.store.peek(phone.slot, 5, Knock(address=address)).suspicions == ()


def test_guard_that_only_watches_says_what_it_would_have_done(ledger: RedisLedger, events: Quiet) -> None:
    limits = GuardLimits(least=3, share=0.5, blocked_at=2)
    guard = GuardScope("country", f"country:{secrets.token_urlsafe(4)}", limits)
    actions = []
    for _ in range(3):
        ledger.sent([guard] * 5)
        ledger.flush()
        actions.append([facts["action"] for name, facts in events.seen if name == "guard_tripped"])
    ledger.approved("t" * 16, 0, None, [guard] * 20)
    ledger.flush()

    told = [facts["action"] for name, facts in events.seen if name == "guard_tripped"]
    assert actions == [[], ["challenge"], ["challenge", "block"]]
    assert told == ["challenge", "block", "none"]


# ── the thread and the store ──


@pytest.fixture
def running(ledger: RedisLedger) -> Iterator[RedisLedger]:
    ledger.start()
    yield ledger
    ledger.close()


def test_what_is_noted_is_carried_on_by_itself(running: RedisLedger, phone: Phone) -> None:
    from sms.doubles import eventually  # noqa: PLC0415 - shared with another room's tests

    address = an_address()
    running.admit_attempt(address)

    assert eventually(lambda: phone.client.exists(f"otp:attempts:{{{address.tag}}}"))


def test_closing_carries_the_rest(ledger: RedisLedger, phone: Phone) -> None:
    address = an_address()
    ledger.admit_attempt(address)
    ledger.close()

    assert 0 < phone.client.ttl(f"otp:attempts:{{{address.tag}}}") <= 660


class Broken:
    """A store that fails, and counts how often it was asked."""

    def __init__(self) -> None:
        self.calls = 0

    def flush(self, calls: Sequence[Call]) -> list[list[Any]]:
        self.calls += len(calls)
        raise StoreUnavailable


def test_failing_store_costs_the_notes_and_no_caller(clock: fakes.FakeClock, events: Quiet) -> None:
    broken = Broken()
    ledger = RedisLedger(broken.flush, limits=LIMITS, clock=clock, events=events)
    address = an_address()
    ledger.admit_attempt(address)
    ledger.flush()
    ledger.flush()

    # Nothing is told twice: whether the store has counted it is not known.
    assert broken.calls == 2 + 1
    assert [name for name, _ in events.seen] == ["ledger_lost", "ledger_lost"]
    assert admitted(ledger, address, 20) == 6


def test_every_key_of_the_ledger_goes(backend: Backend, ledger: RedisLedger, phone: Phone) -> None:
    ledger.wrong_code()
    ledger.approved(
        "t" * 16, 0, AddressSlot("a" * 16, AddressLimits()), [GuardScope("client", "client:x", GuardLimits())]
    )
    ledger.flush()

    client = backend.client
    assert [key for key in client.scan_iter("otp:*") if client.ttl(key) < 0] == []


def test_slots_with_other_limits_are_counted_apart_and_together(ledger: RedisLedger) -> None:
    address = an_address()
    stricter = replace(address, limits=replace(address.limits, attempts_per_10_minutes=3))
    admitted(ledger, address, 2)
    ledger.flush()

    assert admitted(ledger, stricter, 5) == 1
