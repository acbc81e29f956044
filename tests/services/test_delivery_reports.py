"""Delivery reports update only their own send; inbound SMS are forwarded and not stored."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest
from support import fakes
from support.fakes import SHOP, Harness

from otp_service.domain.errors import StoreUnavailable
from otp_service.domain.messages import InboundSms, MessageReference, SendResult, SendStatus
from otp_service.domain.reports import UnreadableReports
from otp_service.domain.verification import DeliveryStatus
from otp_service.services.delivery_reports import DeliveryReportService, ReportBatchResult
from otp_service.sms.aliyun.reports import AliyunReportParser, describe_failure

PHONE = "+8613800138000"
DEADLINE = 2_000.0


@dataclass
class FakeForwarder:
    """Records inbound SMS and returns *takes*."""

    takes: bool = True
    seen: list[tuple[InboundSms, float]] = field(default_factory=list)

    def forward(self, sms: InboundSms, seconds: float) -> bool:
        self.seen.append((sms, seconds))
        return self.takes


@pytest.fixture
def harness() -> Harness:
    return fakes.harness()


@pytest.fixture
def recorder() -> FakeForwarder:
    return FakeForwarder()


def reports(harness: Harness, recorder: FakeForwarder | None = None) -> DeliveryReportService:
    return DeliveryReportService(
        keyring=harness.keyring,
        store=harness.store,
        clock=harness.clock,
        events=harness.events,
        parser=AliyunReportParser(),
        forwarder=recorder,
    )


def take(harness: Harness, *items: object, recorder: FakeForwarder | None = None) -> ReportBatchResult:
    return reports(harness, recorder).process(json.dumps(items).encode(), DEADLINE)


def sent(harness: Harness, outcome: SendStatus = SendStatus.ACCEPTED) -> str:
    """Send a code and return its OutId."""
    harness.sender.outcome = SendResult(outcome, route="main")
    harness.service.request(SHOP, PHONE, purpose="login")
    return harness.sender.sent[-1].reference


def report(out_id: str, *, success: bool = True, err_code: str = "DELIVERED") -> dict[str, object]:
    return {"out_id": out_id, "success": success, "err_code": err_code, "phone_number": PHONE[3:]}


def delivery(harness: Harness) -> tuple[DeliveryStatus, str]:
    ((send,),) = [kept.sends for kept in harness.store.verifications()]
    return send.delivery, send.reason


REPLY = {
    "phone_number": PHONE[3:],
    "content": "T",
    "dest_code": "10690000",
    "sequence_id": "17",
    "send_time": "2026-11-23 16:09:00",
    "sign_name": "云通信测试",
}


# ── reports ──


@pytest.mark.parametrize("outcome", [SendStatus.ACCEPTED, SendStatus.UNKNOWN])
def test_own_report_updates_the_delivery_status(harness: Harness, outcome: SendStatus) -> None:
    out_id = sent(harness, outcome)

    assert take(harness, report(out_id)) == ReportBatchResult(updated=1)
    assert delivery(harness) == (DeliveryStatus.DELIVERED, "")


def test_failed_delivery_keeps_its_reason(harness: Harness) -> None:
    out_id = sent(harness)

    take(harness, report(out_id, success=False, err_code="MOBILE_NOT_ON_SERVICE"))

    assert delivery(harness) == (DeliveryStatus.UNDELIVERED, "MOBILE_NOT_ON_SERVICE")


def test_waiting_report_only_marks_the_send_as_accepted(harness: Harness) -> None:
    out_id = sent(harness, SendStatus.UNKNOWN)

    assert take(harness, report(out_id, success=False, err_code="REQUEST_SUCCESS")) == ReportBatchResult(
        updated=1
    )
    assert delivery(harness)[0] is DeliveryStatus.ACCEPTED
    assert take(harness, report(out_id)) == ReportBatchResult(updated=1)


def test_repeated_and_contradictory_reports_change_nothing(harness: Harness) -> None:
    out_id = sent(harness)
    take(harness, report(out_id))

    assert take(harness, report(out_id), report(out_id, success=False, err_code="X")) == ReportBatchResult(
        repeated=2
    )
    assert delivery(harness)[0] is DeliveryStatus.DELIVERED


def test_report_for_an_expired_verification_is_only_counted(harness: Harness) -> None:
    out_id = sent(harness)
    harness.store.clear()
    harness.events.emitted.clear()

    assert take(harness, report(out_id)) == ReportBatchResult(expired=1)
    assert [name for name, _ in harness.events.emitted] == ["delivery_report_batch"]


def test_report_without_an_authentic_out_id_changes_nothing(harness: Harness) -> None:
    mine = sent(harness)
    place = MessageReference.decode(
        mine, [keys.message_reference for keys in harness.keyring.by_kid.values()]
    )
    assert place is not None
    forged = place.encode(b"some other key".ljust(32))

    damaged = mine[:-1] + ("A" if mine[-1] != "A" else "E")

    taken = take(harness, report(forged), report(""), report("order-17"), report(damaged))

    assert taken == ReportBatchResult(unrecognized=4)
    assert delivery(harness)[0] is DeliveryStatus.ACCEPTED


def test_report_for_a_send_that_does_not_exist_counts_as_expired(harness: Harness) -> None:
    mine = sent(harness)
    keys = [keys.message_reference for keys in harness.keyring.by_kid.values()]
    place = MessageReference.decode(mine, keys)
    assert place is not None
    second = MessageReference(place.phone_hash, place.verification_hash, 2).encode(
        harness.keyring.active.message_reference
    )

    assert take(harness, report(second)) == ReportBatchResult(expired=1)


def test_malformed_items_are_counted_and_do_not_affect_others(harness: Harness) -> None:
    out_id = sent(harness)

    assert take(harness, 17, {}, report(out_id), {"success": "yes"}) == ReportBatchResult(
        updated=1, malformed=3
    )


def test_unreadable_item_is_logged_by_field_names_and_types_only(harness: Harness) -> None:
    bad = {"success": "maybe", "out_id": "secret", "phone_number": PHONE[3:]}

    assert take(harness, bad) == ReportBatchResult(malformed=1)
    (facts,) = harness.events.of("report_unreadable")
    assert facts == {"part": "item", "fields": ["phone_number:str", "success:str", "out_id:str"]}
    assert "secret" not in str(harness.events.emitted)


def test_all_unreadable_items_are_counted_and_ten_are_logged(harness: Harness) -> None:
    assert take(harness, *[17] * 500) == ReportBatchResult(malformed=500)
    assert len(harness.events.of("report_unreadable")) == 10


def test_repeated_unreadable_item_does_not_block_other_items(harness: Harness) -> None:
    first = sent(harness)
    bad = {"success": "maybe", "out_id": first}

    assert take(harness, bad, report(first), bad) == ReportBatchResult(updated=1, malformed=2)
    assert take(harness, bad, report(first), bad) == ReportBatchResult(repeated=1, malformed=2)
    assert delivery(harness)[0] is DeliveryStatus.DELIVERED


@pytest.mark.parametrize("body", [b"", b"no json", b"17", b"\xff\xfe"])
def test_unreadable_body_is_counted_and_logged(harness: Harness, body: bytes) -> None:
    with pytest.raises(UnreadableReports):
        reports(harness).process(body, DEADLINE)

    assert harness.events.of("report_unreadable") == [{"part": "body", "fields": [], "bytes": len(body)}]
    assert [counts["malformed"] for counts in harness.events.of("delivery_report_batch")] == [1]


@pytest.mark.parametrize("out_id", ["\ud800", "\x00", "hash.id.1.\ud800", "." * 256])
def test_hostile_out_id_is_unrecognized_and_does_not_affect_others(harness: Harness, out_id: str) -> None:
    mine = sent(harness)

    assert take(harness, report(out_id), report(mine)) == ReportBatchResult(unrecognized=1, updated=1)


def test_all_reports_of_a_body_take_one_store_call(harness: Harness) -> None:
    out_id = sent(harness)
    harness.store.calls.clear()
    take(harness, *[report(out_id)] * 50)

    assert harness.store.calls == ["apply_delivery_reports"]


def test_body_without_items_is_refused(harness: Harness) -> None:
    with pytest.raises(UnreadableReports):
        reports(harness).process(b"no json", DEADLINE)


def test_store_failure_is_raised_so_that_the_report_is_pushed_again(harness: Harness) -> None:
    out_id = sent(harness)
    harness.store.failing.add("apply_delivery_reports")

    with pytest.raises(StoreUnavailable):
        take(harness, report(out_id))


def test_report_is_logged_without_the_phone_number(harness: Harness) -> None:
    out_id = sent(harness)
    take(harness, report(out_id, success=False, err_code="MOBILE_IN_BLACK"), report("foreign"))

    (facts,) = harness.events.of("delivery_report")
    assert facts["delivery"] == "undelivered"
    assert (facts["client"], facts["route"], facts["number"]) == ("shop", "main", 1)
    assert facts["provider_code"] == "MOBILE_IN_BLACK"
    (counts,) = harness.events.of("delivery_report_batch")
    assert (counts["updated"], counts["unrecognized"], counts["malformed"]) == (1, 1, 0)
    assert PHONE[3:] not in str(harness.events.emitted)


# ── inbound SMS ──


def test_inbound_sms_is_forwarded_with_its_number_in_e164(harness: Harness, recorder: FakeForwarder) -> None:
    taken = take(harness, REPLY, {**REPLY, "phone_number": "85251234567"}, recorder=recorder)

    assert taken == ReportBatchResult(forwarded=2)
    (first, seconds), (second, _) = recorder.seen
    assert (first.phone, first.content, first.sender) == (PHONE, "T", "10690000")
    assert first.sent_at == 1_795_421_340.0
    assert seconds == DEADLINE - harness.clock.monotonic()
    assert second.phone == "+85251234567"


def test_repeated_inbound_sms_keeps_its_id_and_others_differ(
    harness: Harness, recorder: FakeForwarder
) -> None:
    take(
        harness,
        REPLY,
        REPLY,
        {**REPLY, "sequence_id": "18"},
        {**REPLY, "content": "\ud800"},
        recorder=recorder,
    )

    ids = [sms.id for sms, _ in recorder.seen]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    assert all(id_.startswith("sms_") and len(id_) == 26 for id_ in ids)


def test_inbound_sms_without_a_forwarder_is_dropped(harness: Harness) -> None:
    assert take(harness, REPLY) == ReportBatchResult(dropped=1)


def test_inbound_sms_that_cannot_be_forwarded_must_be_retried(
    harness: Harness, recorder: FakeForwarder
) -> None:
    recorder.takes = False

    assert take(harness, REPLY, recorder=recorder) == ReportBatchResult(must_retry=1)


def test_inbound_sms_is_not_forwarded_after_the_deadline(harness: Harness, recorder: FakeForwarder) -> None:
    taken = reports(harness, recorder).process(json.dumps([REPLY]).encode(), harness.clock.monotonic())

    assert taken == ReportBatchResult(must_retry=1)
    assert recorder.seen == []


def test_inbound_sms_is_logged_with_the_hashed_and_masked_phone(
    harness: Harness, recorder: FakeForwarder
) -> None:
    take(harness, REPLY, recorder=recorder)

    (facts,) = harness.events.of("inbound_sms")
    assert facts == {
        "phone_hash": harness.keyring.phone_hash(PHONE),
        "phone_masked": "+86 138****8000",
        "outcome": "forwarded",
    }


def test_inbound_sms_is_not_stored(harness: Harness, recorder: FakeForwarder) -> None:
    take(harness, REPLY, recorder=recorder)

    assert harness.store.calls == ["apply_delivery_reports"]
    assert harness.store.client.keys("otp:*") == []


# ── failure reasons ──


@pytest.mark.parametrize("code", ["UNDELIV", "EXPIRED", "REJECTD", "DELETED", "UNKNOWN"])
def test_carrier_states_are_described(code: str) -> None:
    reason, unknown = describe_failure(code), describe_failure("MK:0012")

    assert reason.code == code
    assert reason.english != unknown.english
    assert reason.chinese != unknown.chinese


def test_failure_is_described_in_both_languages() -> None:
    known, unknown = describe_failure("MOBILE_NOT_ON_SERVICE"), describe_failure("MK:0012")

    assert (known.english, known.chinese) == (
        "The number is switched off, suspended or not in use.",
        "停机、空号、暂停服务或关机",
    )
    assert (unknown.code, unknown.english) == ("MK:0012", "A carrier's own code.")
