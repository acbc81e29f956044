"""What became of sends, as every server must book it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.phone_stories import CLIENT, RIGHT, WRONG, Phone

from otp_service.domain.errors import StoreUnavailable, WrongCode
from otp_service.domain.risk import PrecheckRequest
from otp_service.domain.verification import (
    DeliveryReport,
    DeliveryStatus,
    DeliveryUpdate,
    SendDisposition,
    Verification,
)


def report(
    phone: Phone, opened: Verification, told: DeliveryStatus, reason: str = "", number: int = 1
) -> DeliveryUpdate | None:
    (answer,) = phone.store.apply_delivery_reports(
        [DeliveryReport(phone.slot.phone_hash, opened.verification_hash, number, told, reason)]
    )
    return answer


def delivery(phone: Phone, opened: Verification) -> tuple[DeliveryStatus, str]:
    send = phone.read(opened).sends[0]
    return send.delivery, send.reason


def test_report_settles_a_send(phone: Phone) -> None:
    opened = phone.open()

    assert report(phone, opened, DeliveryStatus.DELIVERED) == DeliveryUpdate(
        CLIENT, "login", "main", changed=True
    )
    assert delivery(phone, opened) == (DeliveryStatus.DELIVERED, "")


def test_failure_comes_with_its_reason(phone: Phone) -> None:
    opened = phone.open()
    report(phone, opened, DeliveryStatus.UNDELIVERED, "MOBILE_NOT_ON_SERVICE")

    assert delivery(phone, opened) == (DeliveryStatus.UNDELIVERED, "MOBILE_NOT_ON_SERVICE")


def test_record_with_a_reason_goes_on_as_any_other(phone: Phone) -> None:
    opened = phone.open()
    report(phone, opened, DeliveryStatus.UNDELIVERED, "MOBILE_NOT_ON_SERVICE")
    phone.pass_time(60)
    again = phone.resend(opened)
    with pytest.raises(WrongCode):
        phone.submit(opened, WRONG)

    assert [send.reason for send in again.sends] == ["MOBILE_NOT_ON_SERVICE", ""]
    assert phone.submit(opened, RIGHT) == "login"
    assert [send.delivery for send in phone.read(opened).sends] == [
        DeliveryStatus.UNDELIVERED,
        DeliveryStatus.ACCEPTED,
    ]


ORDER = [
    (SendDisposition.UNKNOWN, DeliveryStatus.ACCEPTED, True),
    (SendDisposition.UNKNOWN, DeliveryStatus.UNDELIVERED, True),
    (SendDisposition.ACCEPTED, DeliveryStatus.ACCEPTED, False),
    (SendDisposition.ACCEPTED, DeliveryStatus.DELIVERED, True),
    (SendDisposition.RECIPIENT_REJECTED, DeliveryStatus.ACCEPTED, False),
    (SendDisposition.RECIPIENT_REJECTED, DeliveryStatus.DELIVERED, True),
]


@pytest.mark.parametrize(("settled", "told", "moved"), ORDER, ids=str)
def test_states_only_move_forward(
    phone: Phone,
    settled: SendDisposition,
    told: DeliveryStatus,
    moved: bool,  # noqa: FBT001
) -> None:
    opened = phone.open(settle=settled)
    before = delivery(phone, opened)[0]

    answer = report(phone, opened, told)

    assert answer is not None
    assert answer.changed is moved
    assert delivery(phone, opened)[0] is (told if moved else before)


@pytest.mark.parametrize(
    "later", [DeliveryStatus.DELIVERED, DeliveryStatus.UNDELIVERED, DeliveryStatus.ACCEPTED]
)
@pytest.mark.parametrize("first", [DeliveryStatus.DELIVERED, DeliveryStatus.UNDELIVERED])
def test_first_end_stands(phone: Phone, first: DeliveryStatus, later: DeliveryStatus) -> None:
    opened = phone.open()
    report(phone, opened, first, "FIRST")
    stored = {key: phone.client.get(key) for key in phone.stored()}

    answer = report(phone, opened, later, "LATER")

    assert answer is not None
    assert not answer.changed
    assert {key: phone.client.get(key) for key in phone.stored()} == stored


def test_report_that_overtakes_the_receipt_stands(phone: Phone) -> None:
    opened = phone.open(settle=None)
    report(phone, opened, DeliveryStatus.DELIVERED)
    phone.settle(opened, SendDisposition.UNKNOWN)

    assert delivery(phone, opened)[0] is DeliveryStatus.DELIVERED


def test_report_of_what_is_not_there_is_forgotten(phone: Phone) -> None:
    opened = phone.open()

    assert report(phone, replace(opened, verification_hash="A" * 22), DeliveryStatus.DELIVERED) is None
    assert report(phone, opened, DeliveryStatus.DELIVERED, number=2) is None
    assert len(phone.stored()) == 2


def test_many_reports_are_answered_in_their_order(phone: Phone) -> None:
    opened = phone.open()
    tag, vid = phone.slot.phone_hash, opened.verification_hash
    reports = [DeliveryReport(tag, vid, 1 + n % 2, DeliveryStatus.DELIVERED) for n in range(250)]

    answers = phone.store.apply_delivery_reports(reports)

    assert [answer and answer.changed for answer in answers] == [True, None] + [False, None] * 124
    assert phone.store.apply_delivery_reports([]) == []


@pytest.mark.parametrize("ended", ["approved", "canceled"])
def test_report_does_not_prolong_a_tombstone(phone: Phone, ended: str) -> None:
    opened = phone.open()
    if ended == "approved":
        phone.submit(opened, RIGHT)
    else:
        phone.store.cancel(phone.slot, CLIENT, opened.verification_hash)
    record = f"otp:{{{phone.slot.phone_hash}}}:{opened.verification_hash}"
    phone.client.pexpire(record, 300_000)

    report(phone, opened, DeliveryStatus.DELIVERED)

    assert delivery(phone, opened)[0] is DeliveryStatus.DELIVERED
    assert 0 < phone.client.pttl(record) <= 300_000


def test_record_of_a_newer_version_is_left_alone(phone: Phone) -> None:
    opened = phone.open()
    record = f"otp:{{{phone.slot.phone_hash}}}:{opened.verification_hash}"
    phone.client.set(record, b"\x02newer", ex=60)

    with pytest.raises(StoreUnavailable):
        report(phone, opened, DeliveryStatus.DELIVERED)
    assert phone.client.get(record) == b"\x02newer"


# ── what a resend must know ──


def test_peek_at_a_resend_tells_the_newest_send(phone: Phone) -> None:
    opened = phone.open(settle=SendDisposition.UNKNOWN)
    phone.pass_time(60)

    standing = phone.store.precheck_resend(phone.slot, CLIENT, opened.verification_hash, PrecheckRequest())

    assert standing.last_send is not None
    assert (standing.last_send.number, standing.last_send.delivery, standing.last_send.route) == (
        1,
        DeliveryStatus.UNKNOWN,
        "main",
    )
    assert standing.purpose == "login"
    assert standing.now - standing.last_send.at == pytest.approx(60, abs=5)


def test_peek_at_a_phone_tells_of_no_send(phone: Phone) -> None:
    assert phone.store.precheck(phone.slot, CLIENT, 5, PrecheckRequest()).last_send is None


def test_each_call_may_ask_once_and_the_mark_passes(phone: Phone) -> None:
    opened = phone.open()
    tag, vid = phone.slot.phone_hash, opened.verification_hash

    assert [phone.store.acquire_lookup_lease(tag, vid, call) for call in ("status", "status", "resend")] == [
        True,
        False,
        True,
    ]
    (mark,) = [key for key in phone.stored() if key.endswith(b":status")]
    assert 0 < phone.client.ttl(mark) <= 5
