"""What became of sends, as every server must book it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from stories import CLIENT, RIGHT, WRONG, Phone

from otp_service.errors import StoreUnavailable, WrongCode
from otp_service.ports import DeliveryReport, Knock, Reported, Settlement
from otp_service.verification import Delivery, Verification


def report(
    phone: Phone, opened: Verification, told: Delivery, reason: str = "", number: int = 1
) -> Reported | None:
    (answer,) = phone.store.report(
        [DeliveryReport(phone.slot.tag, opened.verification_hash, number, told, reason)]
    )
    return answer


def delivery(phone: Phone, opened: Verification) -> tuple[Delivery, str]:
    send = phone.read(opened).sends[0]
    return send.delivery, send.reason


def test_report_settles_a_send(phone: Phone) -> None:
    opened = phone.open()

    assert report(phone, opened, Delivery.DELIVERED) == Reported(CLIENT, "login", "main", moved=True)
    assert delivery(phone, opened) == (Delivery.DELIVERED, "")


def test_failure_comes_with_its_reason(phone: Phone) -> None:
    opened = phone.open()
    report(phone, opened, Delivery.UNDELIVERED, "MOBILE_NOT_ON_SERVICE")

    assert delivery(phone, opened) == (Delivery.UNDELIVERED, "MOBILE_NOT_ON_SERVICE")


def test_record_with_a_reason_goes_on_as_any_other(phone: Phone) -> None:
    opened = phone.open()
    report(phone, opened, Delivery.UNDELIVERED, "MOBILE_NOT_ON_SERVICE")
    phone.pass_time(60)
    again = phone.resend(opened)
    with pytest.raises(WrongCode):
        phone.submit(opened, WRONG)

    assert [send.reason for send in again.sends] == ["MOBILE_NOT_ON_SERVICE", ""]
    assert phone.submit(opened, RIGHT) == "login"
    assert [send.delivery for send in phone.read(opened).sends] == [Delivery.UNDELIVERED, Delivery.ACCEPTED]


ORDER = [
    (Settlement.UNKNOWN, Delivery.ACCEPTED, True),
    (Settlement.UNKNOWN, Delivery.UNDELIVERED, True),
    (Settlement.ACCEPTED, Delivery.ACCEPTED, False),
    (Settlement.ACCEPTED, Delivery.DELIVERED, True),
    (Settlement.REJECTED, Delivery.ACCEPTED, False),
    (Settlement.REJECTED, Delivery.DELIVERED, True),
]


@pytest.mark.parametrize(("settled", "told", "moved"), ORDER, ids=str)
def test_states_only_move_forward(phone: Phone, settled: Settlement, told: Delivery, moved: bool) -> None:  # noqa: FBT001
    opened = phone.open(settle=settled)
    before = delivery(phone, opened)[0]

    answer = report(phone, opened, told)

    assert answer is not None
    assert answer.moved is moved
    assert delivery(phone, opened)[0] is (told if moved else before)


@pytest.mark.parametrize("later", [Delivery.DELIVERED, Delivery.UNDELIVERED, Delivery.ACCEPTED])
@pytest.mark.parametrize("first", [Delivery.DELIVERED, Delivery.UNDELIVERED])
def test_first_end_stands(phone: Phone, first: Delivery, later: Delivery) -> None:
    opened = phone.open()
    report(phone, opened, first, "FIRST")
    stored = {key: phone.client.get(key) for key in phone.stored()}

    answer = report(phone, opened, later, "LATER")

    assert answer is not None
    assert not answer.moved
    assert {key: phone.client.get(key) for key in phone.stored()} == stored


def test_report_that_overtakes_the_receipt_stands(phone: Phone) -> None:
    opened = phone.open(settle=None)
    report(phone, opened, Delivery.DELIVERED)
    phone.settle(opened, Settlement.UNKNOWN)

    assert delivery(phone, opened)[0] is Delivery.DELIVERED


def test_report_of_what_is_not_there_is_forgotten(phone: Phone) -> None:
    opened = phone.open()

    assert report(phone, replace(opened, verification_hash="A" * 22), Delivery.DELIVERED) is None
    assert report(phone, opened, Delivery.DELIVERED, number=2) is None
    assert len(phone.stored()) == 2


def test_many_reports_are_answered_in_their_order(phone: Phone) -> None:
    opened = phone.open()
    tag, vid = phone.slot.tag, opened.verification_hash
    reports = [DeliveryReport(tag, vid, 1 + n % 2, Delivery.DELIVERED) for n in range(250)]

    answers = phone.store.report(reports)

    assert [answer and answer.moved for answer in answers] == [True, None] + [False, None] * 124
    assert phone.store.report([]) == []


@pytest.mark.parametrize("ended", ["approved", "canceled"])
def test_report_does_not_prolong_a_tombstone(phone: Phone, ended: str) -> None:
    opened = phone.open()
    if ended == "approved":
        phone.submit(opened, RIGHT)
    else:
        phone.store.cancel(phone.slot, CLIENT, opened.verification_hash)
    record = f"otp:{{{phone.slot.tag}}}:{opened.verification_hash}"
    phone.client.pexpire(record, 300_000)

    report(phone, opened, Delivery.DELIVERED)

    assert delivery(phone, opened)[0] is Delivery.DELIVERED
    assert 0 < phone.client.pttl(record) <= 300_000


def test_record_of_a_newer_version_is_left_alone(phone: Phone) -> None:
    opened = phone.open()
    record = f"otp:{{{phone.slot.tag}}}:{opened.verification_hash}"
    phone.client.set(record, b"\x02newer", ex=60)

    with pytest.raises(StoreUnavailable):
        report(phone, opened, Delivery.DELIVERED)
    assert phone.client.get(record) == b"\x02newer"


# ── what a resend must know ──


def test_peek_at_a_resend_tells_the_newest_send(phone: Phone) -> None:
    opened = phone.open(settle=Settlement.UNKNOWN)
    phone.pass_time(60)

    standing = phone.store.peek_resend(phone.slot, CLIENT, opened.verification_hash, Knock())

    assert standing.last is not None
    assert (standing.last.number, standing.last.delivery, standing.last.route) == (
        1,
        Delivery.UNKNOWN,
        "main",
    )
    assert standing.purpose == "login"
    assert standing.now - standing.last.at == pytest.approx(60, abs=5)


def test_peek_at_a_phone_tells_of_no_send(phone: Phone) -> None:
    assert phone.store.peek(phone.slot, CLIENT, 5, Knock()).last is None


def test_each_call_may_ask_once_and_the_mark_passes(phone: Phone) -> None:
    opened = phone.open()
    tag, vid = phone.slot.tag, opened.verification_hash

    assert [phone.store.claim_inquiry(tag, vid, call) for call in ("status", "status", "resend")] == [
        True,
        False,
        True,
    ]
    (mark,) = [key for key in phone.stored() if key.endswith(b":status")]
    assert 0 < phone.client.ttl(mark) <= 5
