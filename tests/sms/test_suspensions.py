from __future__ import annotations

from sms.doubles import ManualClock

from otp_service.sms.router import EVERY_TEMPLATE, Suspensions


def test_suspension_lasts_a_minute() -> None:
    clock = ManualClock()
    pauses = Suspensions(clock.monotonic)
    pauses.start("SMS_1")
    clock.advance(59.9)
    assert pauses.is_suspended("SMS_1")
    assert pauses.any()
    clock.advance(0.1)

    assert not pauses.is_suspended("SMS_1")
    assert not pauses.any()


def test_suspension_of_one_template_leaves_the_others_alone() -> None:
    pauses = Suspensions(ManualClock().monotonic)
    pauses.start("SMS_1")

    assert not pauses.is_suspended("SMS_2")


def test_suspension_of_the_route_covers_every_template() -> None:
    clock = ManualClock()
    pauses = Suspensions(clock.monotonic)
    pauses.start(EVERY_TEMPLATE)

    assert pauses.is_suspended("SMS_1")
    assert pauses.is_suspended("SMS_2")
    clock.advance(60)
    assert not pauses.is_suspended("SMS_1")


def test_suspension_can_start_again() -> None:
    clock = ManualClock()
    pauses = Suspensions(clock.monotonic)
    pauses.start("SMS_1")
    clock.advance(50)
    pauses.start("SMS_1")
    clock.advance(50)

    assert pauses.is_suspended("SMS_1")
