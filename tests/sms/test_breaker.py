from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sms.doubles import ManualClock

from otp_service.sms.circuit_breaker import Breaker


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def breaker(clock: ManualClock) -> Breaker:
    return Breaker(clock.monotonic)


@pytest.fixture
def opened(breaker: Breaker) -> Breaker:
    assert [breaker.failed() for _ in range(5)] == [False] * 4 + [True]
    return breaker


def test_four_failures_leave_it_closed(breaker: Breaker) -> None:
    for _ in range(4):
        breaker.failed()

    assert breaker.admits()
    assert breaker.wait() == 0


def test_fifth_failure_opens_it(opened: Breaker) -> None:
    assert opened.is_open
    assert not opened.admits()
    assert opened.wait() == 5


def test_five_failures_over_more_than_ten_seconds_leave_it_closed(
    breaker: Breaker, clock: ManualClock
) -> None:
    for _ in range(20):
        assert not breaker.failed()
        clock.advance(2.6)


def test_five_failures_in_ten_seconds_open_it(breaker: Breaker, clock: ManualClock) -> None:
    opened = []
    for _ in range(5):
        opened.append(breaker.failed())
        clock.advance(2.5)

    assert opened[-1]


def test_answer_between_failures_starts_the_count_anew(breaker: Breaker) -> None:
    for _ in range(4):
        breaker.failed()
    assert not breaker.answered()

    assert not any(breaker.failed() for _ in range(4))
    assert breaker.failed()


def test_one_probe_goes_after_five_seconds(opened: Breaker, clock: ManualClock) -> None:
    clock.advance(4.99)
    assert not opened.admits()
    clock.advance(0.01)

    assert [opened.admits() for _ in range(3)] == [True, False, False]


def test_only_one_of_many_threads_gets_the_probe(opened: Breaker, clock: ManualClock) -> None:
    clock.advance(5)
    with ThreadPoolExecutor(16) as pool:
        admitted = list(pool.map(lambda _: opened.admits(), range(200)))

    assert sum(admitted) == 1


def test_answered_probe_closes_it(opened: Breaker, clock: ManualClock) -> None:
    clock.advance(5)
    assert opened.admits()

    assert opened.answered()
    assert opened.admits()
    assert opened.admits()


def test_failed_probe_keeps_it_open_for_another_five_seconds(opened: Breaker, clock: ManualClock) -> None:
    clock.advance(5)
    assert opened.admits()
    assert not opened.failed()
    clock.advance(4.99)

    assert not opened.admits()
    clock.advance(0.01)
    assert opened.admits()


def test_probe_that_never_ends_does_not_keep_it_open_for_ever(opened: Breaker, clock: ManualClock) -> None:
    clock.advance(5)
    assert opened.admits()
    clock.advance(5)

    assert opened.admits()


def test_after_closing_it_takes_five_new_failures(opened: Breaker, clock: ManualClock) -> None:
    opened.answered()

    assert [opened.failed() for _ in range(5)] == [False] * 4 + [True]
