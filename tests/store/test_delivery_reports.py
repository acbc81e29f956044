"""Delivery reports: the states of sends on every backend."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.phone_in_store import CLIENT, RIGHT, WRONG, Phone

from otp_service.domain.errors import StoreUnavailable, WrongCode
from otp_service.domain.risk import PrecheckRequest
from otp_service.domain.verification import (
    DeliveryReport,
    DeliveryStatus,
    DeliveryUpdate,
    SendDisposition,
    Verification,
)
from otp_service.store.admin import AdminStore


def report(
    phone: Phone, verification: Verification, state: DeliveryStatus, reason: str = "", number: int = 1
) -> DeliveryUpdate | None:
    (answer,) = phone.store.apply_delivery_reports(
        [DeliveryReport(phone.phone_key.phone_hash, verification.verification_hash, number, state, reason)]
    )
    return answer


def delivery(phone: Phone, verification: Verification) -> tuple[DeliveryStatus, str]:
    send = phone.read(verification).sends[0]
    return send.delivery, send.reason


def test_report_sets_the_state_of_a_send(phone: Phone) -> None:
    verification = phone.open()

    assert report(phone, verification, DeliveryStatus.DELIVERED) == DeliveryUpdate(
        CLIENT, "login", "main", changed=True
    )
    assert delivery(phone, verification) == (DeliveryStatus.DELIVERED, "")


def test_failed_delivery_has_its_reason(phone: Phone) -> None:
    verification = phone.open()
    report(phone, verification, DeliveryStatus.UNDELIVERED, "MOBILE_NOT_ON_SERVICE")

    assert delivery(phone, verification) == (DeliveryStatus.UNDELIVERED, "MOBILE_NOT_ON_SERVICE")


def test_verification_with_a_failure_reason_works_like_any_other(phone: Phone) -> None:
    verification = phone.open()
    report(phone, verification, DeliveryStatus.UNDELIVERED, "MOBILE_NOT_ON_SERVICE")
    phone.pass_time(60)
    again = phone.resend(verification)
    with pytest.raises(WrongCode):
        phone.submit(verification, WRONG)

    assert [send.reason for send in again.sends] == ["MOBILE_NOT_ON_SERVICE", ""]
    assert phone.submit(verification, RIGHT) == "login"
    assert [send.delivery for send in phone.read(verification).sends] == [
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


@pytest.mark.parametrize(("disposition", "state", "moved"), ORDER, ids=str)
def test_states_only_move_forward(
    phone: Phone,
    disposition: SendDisposition,
    state: DeliveryStatus,
    moved: bool,  # noqa: FBT001
) -> None:
    verification = phone.open(result=disposition)
    before = delivery(phone, verification)[0]

    answer = report(phone, verification, state)

    assert answer is not None
    assert answer.changed is moved
    assert delivery(phone, verification)[0] is (state if moved else before)


@pytest.mark.parametrize(
    "later", [DeliveryStatus.DELIVERED, DeliveryStatus.UNDELIVERED, DeliveryStatus.ACCEPTED]
)
@pytest.mark.parametrize("first", [DeliveryStatus.DELIVERED, DeliveryStatus.UNDELIVERED])
def test_first_final_state_stays(phone: Phone, first: DeliveryStatus, later: DeliveryStatus) -> None:
    verification = phone.open()
    report(phone, verification, first, "FIRST")
    stored = {key: phone.client.get(key) for key in phone.stored_keys()}

    answer = report(phone, verification, later, "LATER")

    assert answer is not None
    assert not answer.changed
    assert {key: phone.client.get(key) for key in phone.stored_keys()} == stored


def test_report_before_the_send_result_stays(phone: Phone) -> None:
    verification = phone.open(result=None)
    report(phone, verification, DeliveryStatus.DELIVERED)
    phone.record_result(verification, SendDisposition.UNKNOWN)

    assert delivery(phone, verification)[0] is DeliveryStatus.DELIVERED


def test_report_before_the_send_result_leaves_the_route_to_it(phone: Phone) -> None:
    verification = phone.open(result=None)
    report(phone, verification, DeliveryStatus.DELIVERED)
    phone.record_result(verification, SendDisposition.ACCEPTED)

    (send,) = phone.read(verification).sends
    (past,) = AdminStore(phone.store.redis).phone_history(phone.phone_key.phone_hash)
    assert (send.delivery, send.route) == (DeliveryStatus.DELIVERED, "main")
    assert (past.state, past.route) == ("d", "main")


def test_report_of_an_unknown_send_is_ignored(phone: Phone) -> None:
    verification = phone.open()

    assert report(phone, replace(verification, verification_hash="A" * 22), DeliveryStatus.DELIVERED) is None
    assert report(phone, verification, DeliveryStatus.DELIVERED, number=2) is None
    assert len(phone.stored_keys()) == 2


def test_results_of_many_reports_are_in_their_order(phone: Phone) -> None:
    verification = phone.open()
    phone_hash, vid = phone.phone_key.phone_hash, verification.verification_hash
    reports = [DeliveryReport(phone_hash, vid, 1 + n % 2, DeliveryStatus.DELIVERED) for n in range(250)]

    answers = phone.store.apply_delivery_reports(reports)

    assert [answer and answer.changed for answer in answers] == [True, None] + [False, None] * 124
    assert phone.store.apply_delivery_reports([]) == []


@pytest.mark.parametrize("ended", ["approved", "canceled"])
def test_report_does_not_extend_an_ended_verification(phone: Phone, ended: str) -> None:
    verification = phone.open()
    if ended == "approved":
        phone.submit(verification, RIGHT)
    else:
        phone.store.cancel(phone.phone_key, CLIENT, verification.verification_hash)
    key = f"otp:{{{phone.phone_key.phone_hash}}}:{verification.verification_hash}"
    phone.client.pexpire(key, 300_000)

    report(phone, verification, DeliveryStatus.DELIVERED)

    assert delivery(phone, verification)[0] is DeliveryStatus.DELIVERED
    assert 0 < phone.client.pttl(key) <= 300_000


def test_report_leaves_state_of_a_newer_version_alone(phone: Phone) -> None:
    verification = phone.open()
    key = f"otp:{{{phone.phone_key.phone_hash}}}:{verification.verification_hash}"
    phone.client.set(key, b"\x02newer", ex=60)

    with pytest.raises(StoreUnavailable):
        report(phone, verification, DeliveryStatus.DELIVERED)
    assert phone.client.get(key) == b"\x02newer"


# ── what a resend must know ──


def test_precheck_of_a_resend_returns_the_newest_send(phone: Phone) -> None:
    verification = phone.open(result=SendDisposition.UNKNOWN)
    phone.pass_time(60)

    precheck = phone.store.precheck_resend(
        phone.phone_key, CLIENT, verification.verification_hash, PrecheckRequest()
    )

    assert precheck.last_send is not None
    assert (precheck.last_send.number, precheck.last_send.delivery, precheck.last_send.route) == (
        1,
        DeliveryStatus.UNKNOWN,
        "main",
    )
    assert precheck.purpose == "login"
    assert precheck.now - precheck.last_send.at == pytest.approx(60, abs=5)


def test_precheck_of_a_request_returns_no_send(phone: Phone) -> None:
    assert phone.store.precheck(phone.phone_key, CLIENT, 5, PrecheckRequest()).last_send is None


def test_lookup_lease_is_granted_once_per_call_and_expires(phone: Phone) -> None:
    verification = phone.open()
    phone_hash, vid = phone.phone_key.phone_hash, verification.verification_hash

    assert [
        phone.store.acquire_lookup_lease(phone_hash, vid, call) for call in ("status", "status", "resend")
    ] == [
        True,
        False,
        True,
    ]
    (mark,) = [key for key in phone.stored_keys() if key.endswith(b":status")]
    assert 0 < phone.client.ttl(mark) <= 5
