"""Sends with an unknown outcome: the provider is asked before another SMS is sent."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support import fakes
from support.fakes import SHOP, Harness

from otp_service.domain.errors import StoreUnavailable
from otp_service.domain.limits import PhoneLimits
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


def with_unknown_send(harness: Harness, *, after: float = 60) -> SendOutcome:
    """Create a verification whose send has an unknown outcome, and wait *after* seconds."""
    harness.sender.outcome = TEMPORARY
    sent = harness.service.request(SHOP, PHONE, purpose="login")
    harness.sender.outcome = SendResult(SendStatus.ACCEPTED, route="main")
    harness.clock.advance(after)
    return sent


def resend(harness: Harness, sent: SendOutcome) -> SendOutcome:
    return harness.service.resend(SHOP, PHONE, sent.verification_id)


def status(harness: Harness, sent: SendOutcome) -> SendOutcome:
    return harness.service.status(SHOP, PHONE, sent.verification_id)


# ── resends ──


@pytest.mark.parametrize(
    ("finding", "delivery"),
    [
        (DeliveryLookupStatus.ACCEPTED, DeliveryStatus.ACCEPTED),
        (DeliveryLookupStatus.DELIVERED, DeliveryStatus.DELIVERED),
    ],
)
def test_resend_sends_nothing_if_the_first_sms_was_sent(
    harness: Harness, finding: DeliveryLookupStatus, delivery: DeliveryStatus
) -> None:
    sent = with_unknown_send(harness)
    harness.sender.found = DeliveryLookupResult(finding)

    again = resend(harness, sent)

    assert len(harness.sender.sent) == 1
    assert (again.dispatched, again.verification.delivery) == (False, delivery)
    assert again.verification.sends_left == sent.verification.sends_left


def test_resend_sends_nothing_if_the_provider_does_not_answer(harness: Harness) -> None:
    sent = with_unknown_send(harness)
    harness.sender.found = DeliveryLookupResult(DeliveryLookupStatus.NO_ANSWER)

    again = resend(harness, sent)

    assert len(harness.sender.sent) == 1
    assert (again.dispatched, again.verification.delivery) == (False, DeliveryStatus.UNKNOWN)


@pytest.mark.parametrize("finding", [DeliveryLookupStatus.NOT_FOUND, DeliveryLookupStatus.UNSUPPORTED])
def test_resend_sends_after_a_minute_if_the_provider_has_no_record(
    harness: Harness, finding: DeliveryLookupStatus
) -> None:
    sent = with_unknown_send(harness)
    harness.sender.found = DeliveryLookupResult(finding)

    again = resend(harness, sent)

    assert len(harness.sender.sent) == 2
    assert (again.dispatched, again.verification.delivery) == (True, DeliveryStatus.ACCEPTED)


def test_missing_record_means_nothing_within_the_first_minute() -> None:
    shop = replace(SHOP, limits=PhoneLimits(cooldown=(0,)))
    harness = fakes.harness(shop)
    harness.sender.outcome = TEMPORARY
    sent = harness.service.request(shop, PHONE, purpose="login")
    harness.clock.advance(59)
    harness.sender.found = DeliveryLookupResult(DeliveryLookupStatus.NOT_FOUND)

    assert not harness.service.resend(shop, PHONE, sent.verification_id).dispatched
    assert len(harness.sender.sent) == 1


def test_undelivered_sms_is_sent_again_and_keeps_its_reason(harness: Harness) -> None:
    sent = with_unknown_send(harness)
    harness.sender.found = DeliveryLookupResult(DeliveryLookupStatus.UNDELIVERED, "MOBILE_NOT_ON_SERVICE")

    again = resend(harness, sent)

    assert again.dispatched
    assert [(send.delivery, send.reason) for send in again.verification.sends] == [
        (DeliveryStatus.UNDELIVERED, "MOBILE_NOT_ON_SERVICE"),
        (DeliveryStatus.ACCEPTED, ""),
    ]


def test_known_outcome_causes_no_lookup(harness: Harness) -> None:
    sent = harness.service.request(SHOP, PHONE, purpose="login")
    harness.clock.advance(60)

    assert resend(harness, sent).dispatched
    assert harness.sender.lookups == []


def test_second_resend_sends_once_the_first_sms_is_known_to_be_sent(harness: Harness) -> None:
    sent = with_unknown_send(harness)
    harness.sender.found = DeliveryLookupResult(DeliveryLookupStatus.ACCEPTED)
    resend(harness, sent)

    assert resend(harness, sent).dispatched
    assert len(harness.sender.lookups) == 1


def test_repeated_resends_ask_the_provider_once(harness: Harness) -> None:
    sent = with_unknown_send(harness)
    harness.sender.found = DeliveryLookupResult(DeliveryLookupStatus.NO_ANSWER)

    for _ in range(3):
        assert not resend(harness, sent).dispatched
    assert len(harness.sender.lookups) == 1


def test_resend_sends_nothing_if_the_lookup_result_cannot_be_recorded(harness: Harness) -> None:
    sent = with_unknown_send(harness)
    harness.sender.found = DeliveryLookupResult(DeliveryLookupStatus.UNDELIVERED)
    harness.store.failing.add("apply_delivery_reports")

    with pytest.raises(StoreUnavailable):
        resend(harness, sent)
    assert len(harness.sender.sent) == 1


# ── the lookup ──


def test_lookup_has_phone_route_and_time_and_matches_only_its_out_id(harness: Harness) -> None:
    sent = with_unknown_send(harness)
    resend(harness, sent)

    lookup, deadline = harness.sender.lookups[0]
    first = harness.sender.sent[0]
    ours = MessageReference.decode(
        first.reference, [keys.message_reference for keys in harness.keyring.by_kid.values()]
    )
    assert ours is not None
    second = MessageReference(ours.phone_hash, ours.verification_hash, 2).encode(
        harness.keyring.active.message_reference
    )
    forged = MessageReference(ours.phone_hash, ours.verification_hash, 1).encode(b"another key")
    assert lookup.phone.e164 == PHONE
    assert (lookup.client, lookup.purpose, lookup.route) == ("shop", "login", "main")
    assert lookup.began_at == fakes.NOW
    assert lookup.matches(first.reference)
    assert not any(lookup.matches(text) for text in (second, forged, "", "order-17"))
    assert deadline == harness.clock.monotonic() + 2.5


def test_lookup_leaves_time_for_a_resend() -> None:
    harness = fakes.harness(deadline=4.0)
    sent = with_unknown_send(harness)
    resend(harness, sent)

    assert harness.sender.lookups[0][1] == harness.clock.monotonic() + 1.5


def test_lookup_is_logged_without_the_phone_number(harness: Harness) -> None:
    sent = with_unknown_send(harness)
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


def test_status_looks_up_and_returns_the_delivery(harness: Harness) -> None:
    sent = with_unknown_send(harness, after=1)
    harness.sender.found = DeliveryLookupResult(DeliveryLookupStatus.DELIVERED)

    assert status(harness, sent).verification.delivery is DeliveryStatus.DELIVERED
    assert len(harness.sender.sent) == 1


def test_status_does_not_repeat_a_lookup_and_does_not_block_a_resend(harness: Harness) -> None:
    sent = with_unknown_send(harness)
    harness.sender.found = DeliveryLookupResult(DeliveryLookupStatus.NOT_FOUND)
    status(harness, sent)
    status(harness, sent)

    assert len(harness.sender.lookups) == 1
    assert resend(harness, sent).dispatched


def test_status_does_not_look_up_an_approved_verification(harness: Harness) -> None:
    sent = with_unknown_send(harness)
    harness.service.verify(SHOP, PHONE, sent.verification_id, harness.sender.last_code)

    status(harness, sent)

    assert harness.sender.lookups == []


def test_send_of_a_dead_process_is_looked_up_once_it_counts_as_abandoned(harness: Harness) -> None:
    harness.store.failing.add("record_send_result")
    sent = harness.service.request(SHOP, PHONE, purpose="login")
    harness.store.failing.clear()
    harness.clock.advance(29)
    status(harness, sent)
    before = len(harness.sender.lookups)
    harness.clock.advance(1)
    status(harness, sent)

    assert (before, len(harness.sender.lookups)) == (0, 1)
    assert harness.sender.lookups[0][0].route == ""
