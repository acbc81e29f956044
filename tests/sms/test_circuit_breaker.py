from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sms.doubles import ManualClock

from otp_service.sms.circuit_breaker import CircuitBreaker


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def breaker(clock: ManualClock) -> CircuitBreaker:
    return CircuitBreaker(clock.monotonic)


@pytest.fixture
def opened(breaker: CircuitBreaker) -> CircuitBreaker:
    assert [breaker.record_failure() for _ in range(5)] == [False] * 4 + [True]
    return breaker


def test_four_failures_leave_it_closed(breaker: CircuitBreaker) -> None:
    for _ in range(4):
        breaker.record_failure()

    assert breaker.allow_request()
    assert breaker.wait() == 0


def test_fifth_failure_opens_it(opened: CircuitBreaker) -> None:
    assert opened.is_open
    assert not opened.allow_request()
    assert opened.wait() == 5


def test_five_failures_over_more_than_ten_seconds_leave_it_closed(
    breaker: CircuitBreaker, clock: ManualClock
) -> None:
    for _ in range(20):
        assert not breaker.record_failure()
        clock.advance(2.6)


def test_five_failures_in_ten_seconds_open_it(breaker: CircuitBreaker, clock: ManualClock) -> None:
    opened = []
    for _ in range(5):
        opened.append(breaker.record_failure())
        clock.advance(2.5)

    assert opened[-1]


def test_response_between_failures_resets_the_count(breaker: CircuitBreaker) -> None:
    for _ in range(4):
        breaker.record_failure()
    assert not breaker.record_success()

    assert not any(breaker.record_failure() for _ in range(4))
    assert breaker.record_failure()


def test_one_probe_is_allowed_after_five_seconds(opened: CircuitBreaker, clock: ManualClock) -> None:
    clock.advance(4.99)
    assert not opened.allow_request()
    clock.advance(0.01)

    assert [opened.allow_request() for _ in range(3)] == [True, False, False]


def test_only_one_of_many_threads_gets_the_probe(opened: CircuitBreaker, clock: ManualClock) -> None:
    clock.advance(5)
    with ThreadPoolExecutor(16) as pool:
        admitted = list(pool.map(lambda _: opened.allow_request(), range(200)))

    assert sum(admitted) == 1


def test_successful_probe_closes_it(opened: CircuitBreaker, clock: ManualClock) -> None:
    clock.advance(5)
    assert opened.allow_request()

    assert opened.record_success()
    assert opened.allow_request()
    assert opened.allow_request()


def test_failed_probe_keeps_it_open_for_another_five_seconds(
    opened: CircuitBreaker, clock: ManualClock
) -> None:
    clock.advance(5)
    assert opened.allow_request()
    assert not opened.record_failure()
    clock.advance(4.99)

    assert not opened.allow_request()
    clock.advance(0.01)
    assert opened.allow_request()


def test_endless_probe_does_not_keep_it_open_for_ever(opened: CircuitBreaker, clock: ManualClock) -> None:
    clock.advance(5)
    assert opened.allow_request()
    clock.advance(5)

    assert opened.allow_request()


def test_five_new_failures_open_it_again(opened: CircuitBreaker, clock: ManualClock) -> None:
    opened.record_success()

    assert [opened.record_failure() for _ in range(5)] == [False] * 4 + [True]
