"""Sends of unknown outcome: asked about before anything is sent again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support import fakes
from support.fakes import SHOP, Harness

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
def harness() -> Harness:
    return fakes.harness()


def doubted(harness: Harness, *, after: float = 60) -> SendOutcome:
    """A verification whose SMS may have been sent, *after* seconds."""
    harness.sender.outcome = TEMPORARY
    sent = harness.service.request(SHOP, PHONE, purpose="login")
    harness.sender.outcome = SendResult(SendStatus.ACCEPTED, route="main")
    harness.clock.advance(after)
    return sent


def resend(harness: Harness, sent: SendOutcome) -> SendOutcome:
    return harness.service.resend(SHOP, PHONE, sent.verification_id)


def status(harness: Harness, sent: SendOutcome) -> SendOutcome:
    return harness.service.status(SHOP, PHONE, sent.verification_id)


# ── a resend ──


@pytest.mark.parametrize(
    ("finding", "delivery"),
    [
        (DeliveryLookupStatus.ACCEPTED, DeliveryStatus.ACCEPTED),
        (DeliveryLookupStatus.DELIVERED, DeliveryStatus.DELIVERED),
    ],
)
def test_what_was_sent_is_not_sent_again(
    harness: Harness, finding: DeliveryLookupStatus, delivery: DeliveryStatus
) -> None:
    sent = doubted(harness)
    harness.sender.found = DeliveryLookupResult(finding)

    again = resend(harness, sent)

    assert len(harness.sender.sent) == 1
    assert (again.dispatched, again.verification.delivery) == (False, delivery)
    assert again.verification.sends_left == sent.verification.sends_left


def test_what_the_provider_does_not_say_counts_as_sent(harness: Harness) -> None:
    sent = doubted(harness)
    harness.sender.found = DeliveryLookupResult(DeliveryLookupStatus.NO_ANSWER)

    again = resend(harness, sent)

    assert len(harness.sender.sent) == 1
    assert (again.dispatched, again.verification.delivery) == (False, DeliveryStatus.UNKNOWN)


@pytest.mark.parametrize("finding", [DeliveryLookupStatus.NOT_FOUND, DeliveryLookupStatus.UNSUPPORTED])
def test_what_nobody_has_seen_is_sent_again_after_a_minute(
    harness: Harness, finding: DeliveryLookupStatus
) -> None:
    sent = doubted(harness)
    harness.sender.found = DeliveryLookupResult(finding)

    again = resend(harness, sent)

    assert len(harness.sender.sent) == 2
    assert (again.dispatched, again.verification.delivery) == (True, DeliveryStatus.ACCEPTED)


def test_an_empty_list_says_nothing_within_the_minute(harness: Harness) -> None:
    sent = doubted(harness, after=59)
    harness.store.next_send.clear()
    harness.sender.found = DeliveryLookupResult(DeliveryLookupStatus.NOT_FOUND)

    assert not resend(harness, sent).dispatched
    assert len(harness.sender.sent) == 1


def test_what_did_not_arrive_is_sent_again_and_the_reason_kept(harness: Harness) -> None:
    sent = doubted(harness)
    harness.sender.found = DeliveryLookupResult(DeliveryLookupStatus.UNDELIVERED, "MOBILE_NOT_ON_SERVICE")

    again = resend(harness, sent)

    assert again.dispatched
    assert [(send.delivery, send.reason) for send in again.verification.sends] == [
        (DeliveryStatus.UNDELIVERED, "MOBILE_NOT_ON_SERVICE"),
        (DeliveryStatus.ACCEPTED, ""),
    ]


def test_what_is_known_is_not_asked_about(harness: Harness) -> None:
    sent = harness.service.request(SHOP, PHONE, purpose="login")
    harness.clock.advance(60)

    assert resend(harness, sent).dispatched
    assert harness.sender.lookups == []


def test_second_resend_goes_ahead_once_the_first_sms_is_known_as_sent(harness: Harness) -> None:
    sent = doubted(harness)
    harness.sender.found = DeliveryLookupResult(DeliveryLookupStatus.ACCEPTED)
    resend(harness, sent)

    assert resend(harness, sent).dispatched
    assert len(harness.sender.lookups) == 1


def test_impatience_asks_the_provider_once(harness: Harness) -> None:
    sent = doubted(harness)
    harness.sender.found = DeliveryLookupResult(DeliveryLookupStatus.NO_ANSWER)

    for _ in range(3):
        assert not resend(harness, sent).dispatched
    assert len(harness.sender.lookups) == 1


def test_nothing_is_sent_when_what_was_found_cannot_be_booked(harness: Harness) -> None:
    sent = doubted(harness)
    harness.sender.found = DeliveryLookupResult(DeliveryLookupStatus.UNDELIVERED)
    harness.store.failing.add("apply_delivery_reports")

    with pytest.raises(StoreUnavailable):
        resend(harness, sent)
    assert len(harness.sender.sent) == 1


# ── the question ──


def test_question_knows_phone_route_and_time_and_only_our_out_id(harness: Harness) -> None:
    sent = doubted(harness)
    resend(harness, sent)

    inquiry, deadline = harness.sender.lookups[0]
    first = harness.sender.sent[0]
    ours = MessageReference.decode(
        first.reference, [keys.message_reference for keys in harness.keyring.by_kid.values()]
    )
    assert ours is not None
    second = MessageReference(ours.phone_hash, ours.verification_hash, 2).encode(
        harness.keyring.active.message_reference
    )
    forged = MessageReference(ours.phone_hash, ours.verification_hash, 1).encode(b"another key")
    assert inquiry.phone.e164 == PHONE
    assert (inquiry.client, inquiry.purpose, inquiry.route) == ("shop", "login", "main")
    assert inquiry.began_at == fakes.NOW
    assert inquiry.matches(first.reference)
    assert not any(inquiry.matches(text) for text in (second, forged, "", "order-17"))
    assert deadline == harness.clock.monotonic() + 2.5


def test_question_leaves_time_for_a_resend() -> None:
    harness = fakes.harness(deadline=4.0)
    sent = doubted(harness)
    resend(harness, sent)

    assert harness.sender.lookups[0][1] == harness.clock.monotonic() + 1.5


def test_what_was_asked_and_found_is_an_event_without_the_number(harness: Harness) -> None:
    sent = doubted(harness)
    harness.sender.found = DeliveryLookupResult(DeliveryLookupStatus.UNDELIVERED, "MOBILE_IN_BLACK")
    resend(harness, sent)

    (event,) = harness.events.of("delivery_lookup")
    assert (event["status"], event["provider_code"], event["number"]) == (
        "undelivered",
        "MOBILE_IN_BLACK",
        1,
    )
    assert PHONE[3:] not in str(event)


# ── status ──


def test_status_asks_and_tells_what_it_found(harness: Harness) -> None:
    sent = doubted(harness, after=1)
    harness.sender.found = DeliveryLookupResult(DeliveryLookupStatus.DELIVERED)

    assert status(harness, sent).verification.delivery is DeliveryStatus.DELIVERED
    assert len(harness.sender.sent) == 1


def test_status_does_not_ask_again_at_once_and_leaves_the_question_to_a_resend(harness: Harness) -> None:
    sent = doubted(harness)
    harness.sender.found = DeliveryLookupResult(DeliveryLookupStatus.NOT_FOUND)
    status(harness, sent)
    status(harness, sent)

    assert len(harness.sender.lookups) == 1
    assert resend(harness, sent).dispatched


def test_status_does_not_ask_about_an_approved_verification(harness: Harness) -> None:
    sent = doubted(harness)
    harness.service.verify(SHOP, PHONE, sent.verification_id, harness.sender.last_code)

    status(harness, sent)

    assert harness.sender.lookups == []


def test_send_of_a_process_that_died_is_asked_about_once_it_can_have_no_outcome(harness: Harness) -> None:
    sent = harness.service.request(SHOP, PHONE, purpose="login")
    kept = harness.store.only()
    kept.sends = (replace(kept.sends[0], delivery=DeliveryStatus.SENDING, route=""),)
    harness.clock.advance(29)
    status(harness, sent)
    before = len(harness.sender.lookups)
    harness.clock.advance(1)
    status(harness, sent)

    assert (before, len(harness.sender.lookups)) == (0, 1)
    assert harness.sender.lookups[0][0].route == ""
