"""Sends of unknown outcome: asked about before anything is sent again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support import fakes
from support.fakes import SHOP, House

from otp_service.domain.errors import StoreUnavailable
from otp_service.domain.messages import (
    DeliveryLookupResult,
    DeliveryLookupStatus,
    MessageReference,
    SendResult,
    SendStatus,
)
from otp_service.domain.verification import DeliveryStatus
from otp_service.services.verification import SendOutcome

PHONE = "+8613800138000"
TEMPORARY = SendResult(SendStatus.UNKNOWN, route="main")


@pytest.fixture
def house() -> House:
    return fakes.house()


def doubted(house: House, *, after: float = 60) -> SendOutcome:
    """A verification whose SMS may have been sent, *after* seconds."""
    house.sender.outcome = TEMPORARY
    sent = house.service.request(SHOP, PHONE, purpose="login")
    house.sender.outcome = SendResult(SendStatus.ACCEPTED, route="main")
    house.clock.advance(after)
    return sent


def resend(house: House, sent: SendOutcome) -> SendOutcome:
    return house.service.resend(SHOP, PHONE, sent.verification_id)


def status(house: House, sent: SendOutcome) -> SendOutcome:
    return house.service.status(SHOP, PHONE, sent.verification_id)


# ── a resend ──


@pytest.mark.parametrize(
    ("finding", "delivery"),
    [
        (DeliveryLookupStatus.ACCEPTED, DeliveryStatus.ACCEPTED),
        (DeliveryLookupStatus.DELIVERED, DeliveryStatus.DELIVERED),
    ],
)
def test_what_was_sent_is_not_sent_again(
    house: House, finding: DeliveryLookupStatus, delivery: DeliveryStatus
) -> None:
    sent = doubted(house)
    house.sender.found = DeliveryLookupResult(finding)

    again = resend(house, sent)

    assert len(house.sender.sent) == 1
    assert (again.dispatched, again.verification.delivery) == (False, delivery)
    assert again.verification.sends_left == sent.verification.sends_left


def test_what_the_provider_does_not_say_counts_as_sent(house: House) -> None:
    sent = doubted(house)
    house.sender.found = DeliveryLookupResult(DeliveryLookupStatus.NO_ANSWER)

    again = resend(house, sent)

    assert len(house.sender.sent) == 1
    assert (again.dispatched, again.verification.delivery) == (False, DeliveryStatus.UNKNOWN)


@pytest.mark.parametrize("finding", [DeliveryLookupStatus.NOT_FOUND, DeliveryLookupStatus.UNSUPPORTED])
def test_what_nobody_has_seen_is_sent_again_after_a_minute(
    house: House, finding: DeliveryLookupStatus
) -> None:
    sent = doubted(house)
    house.sender.found = DeliveryLookupResult(finding)

    again = resend(house, sent)

    assert len(house.sender.sent) == 2
    assert (again.dispatched, again.verification.delivery) == (True, DeliveryStatus.ACCEPTED)


def test_an_empty_list_says_nothing_within_the_minute(house: House) -> None:
    sent = doubted(house, after=59)
    house.store.next_send.clear()
    house.sender.found = DeliveryLookupResult(DeliveryLookupStatus.NOT_FOUND)

    assert not resend(house, sent).dispatched
    assert len(house.sender.sent) == 1


def test_what_did_not_arrive_is_sent_again_and_the_reason_kept(house: House) -> None:
    sent = doubted(house)
    house.sender.found = DeliveryLookupResult(DeliveryLookupStatus.UNDELIVERED, "MOBILE_NOT_ON_SERVICE")

    again = resend(house, sent)

    assert again.dispatched
    assert [(send.delivery, send.reason) for send in again.verification.sends] == [
        (DeliveryStatus.UNDELIVERED, "MOBILE_NOT_ON_SERVICE"),
        (DeliveryStatus.ACCEPTED, ""),
    ]


def test_what_is_known_is_not_asked_about(house: House) -> None:
    sent = house.service.request(SHOP, PHONE, purpose="login")
    house.clock.advance(60)

    assert resend(house, sent).dispatched
    assert house.sender.lookups == []


def test_second_resend_goes_ahead_once_the_first_sms_is_known_as_sent(house: House) -> None:
    sent = doubted(house)
    house.sender.found = DeliveryLookupResult(DeliveryLookupStatus.ACCEPTED)
    resend(house, sent)

    assert resend(house, sent).dispatched
    assert len(house.sender.lookups) == 1


def test_impatience_asks_the_provider_once(house: House) -> None:
    sent = doubted(house)
    house.sender.found = DeliveryLookupResult(DeliveryLookupStatus.NO_ANSWER)

    for _ in range(3):
        assert not resend(house, sent).dispatched
    assert len(house.sender.lookups) == 1


def test_nothing_is_sent_when_what_was_found_cannot_be_booked(house: House) -> None:
    sent = doubted(house)
    house.sender.found = DeliveryLookupResult(DeliveryLookupStatus.UNDELIVERED)
    house.store.failing.add("apply_delivery_reports")

    with pytest.raises(StoreUnavailable):
        resend(house, sent)
    assert len(house.sender.sent) == 1


# ── the question ──


def test_question_knows_phone_route_and_time_and_only_our_out_id(house: House) -> None:
    sent = doubted(house)
    resend(house, sent)

    inquiry, deadline = house.sender.lookups[0]
    first = house.sender.sent[0]
    ours = MessageReference.decode(
        first.reference, [keys.message_reference for keys in house.keyring.by_kid.values()]
    )
    assert ours is not None
    second = MessageReference(ours.phone_hash, ours.verification_hash, 2).encode(
        house.keyring.active.message_reference
    )
    forged = MessageReference(ours.phone_hash, ours.verification_hash, 1).encode(b"another key")
    assert inquiry.phone.e164 == PHONE
    assert (inquiry.client, inquiry.purpose, inquiry.route) == ("shop", "login", "main")
    assert inquiry.began_at == fakes.NOW
    assert inquiry.matches(first.reference)
    assert not any(inquiry.matches(text) for text in (second, forged, "", "order-17"))
    assert deadline == house.clock.monotonic() + 2.5


def test_question_leaves_time_for_a_resend() -> None:
    house = fakes.house(deadline=4.0)
    sent = doubted(house)
    resend(house, sent)

    assert house.sender.lookups[0][1] == house.clock.monotonic() + 1.5


def test_what_was_asked_and_found_is_an_event_without_the_number(house: House) -> None:
    sent = doubted(house)
    house.sender.found = DeliveryLookupResult(DeliveryLookupStatus.UNDELIVERED, "MOBILE_IN_BLACK")
    resend(house, sent)

    (event,) = house.events.of("delivery_lookup")
    assert (event["status"], event["provider_code"], event["number"]) == (
        "undelivered",
        "MOBILE_IN_BLACK",
        1,
    )
    assert PHONE[3:] not in str(event)


# ── status ──


def test_status_asks_and_tells_what_it_found(house: House) -> None:
    sent = doubted(house, after=1)
    house.sender.found = DeliveryLookupResult(DeliveryLookupStatus.DELIVERED)

    assert status(house, sent).verification.delivery is DeliveryStatus.DELIVERED
    assert len(house.sender.sent) == 1


def test_status_does_not_ask_again_at_once_and_leaves_the_question_to_a_resend(house: House) -> None:
    sent = doubted(house)
    house.sender.found = DeliveryLookupResult(DeliveryLookupStatus.NOT_FOUND)
    status(house, sent)
    status(house, sent)

    assert len(house.sender.lookups) == 1
    assert resend(house, sent).dispatched


def test_status_does_not_ask_about_an_approved_verification(house: House) -> None:
    sent = doubted(house)
    house.service.verify(SHOP, PHONE, sent.verification_id, house.sender.last_code)

    status(house, sent)

    assert house.sender.lookups == []


def test_send_of_a_process_that_died_is_asked_about_once_it_can_have_no_outcome(house: House) -> None:
    sent = house.service.request(SHOP, PHONE, purpose="login")
    kept = house.store.only()
    kept.sends = (replace(kept.sends[0], delivery=DeliveryStatus.SENDING, route=""),)
    house.clock.advance(29)
    status(house, sent)
    before = len(house.sender.lookups)
    house.clock.advance(1)
    status(house, sent)

    assert (before, len(house.sender.lookups)) == (0, 1)
    assert house.sender.lookups[0][0].route == ""
