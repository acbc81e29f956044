from __future__ import annotations

import pytest

from otp_service.sms import trip
from otp_service.sms.trip import Trip


def test_time_for_the_answer_begins_with_the_departure() -> None:
    journey = Trip(seconds=100, read_seconds=4)
    assert journey.left() > 99
    journey.depart()

    assert journey.departed
    assert 3 < journey.left() <= 4


def test_answer_is_due_before_the_end_of_all_time() -> None:
    journey = Trip(seconds=2, read_seconds=4)
    journey.depart()

    assert 1 < journey.left() <= 2


def test_second_departure_grants_no_more_time() -> None:
    journey = Trip(seconds=100, read_seconds=0)
    journey.depart()
    journey.depart()

    with pytest.raises(TimeoutError):
        journey.left()


def test_nothing_departs_when_time_is_up() -> None:
    journey = Trip(seconds=0, read_seconds=4)

    with pytest.raises(TimeoutError):
        journey.depart()
    assert not journey.departed


def test_trip_is_this_threads_own_until_it_ends() -> None:
    journey = Trip(seconds=1, read_seconds=1)
    with journey:
        assert trip.current() is journey
        assert trip.is_under_way()

    assert not trip.is_under_way()
    with pytest.raises(LookupError):
        trip.current()
