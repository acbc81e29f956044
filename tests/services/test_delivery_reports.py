"""Reports settle what they are about, and nothing else; replies are passed on and kept nowhere."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest
from support import fakes
from support.fakes import SHOP, House

from otp_service.domain.errors import StoreUnavailable
from otp_service.domain.messages import InboundSms, MessageReference, SendResult, SendStatus
from otp_service.domain.reports import UnreadableReports
from otp_service.domain.verification import DeliveryStatus
from otp_service.services.delivery_reports import DeliveryReportService, ReportBatchResult
from otp_service.sms.aliyun.reports import AliyunReportParser, describe_failure

PHONE = "+8613800138000"
DEADLINE = 2_000.0


@dataclass
class FakeUplinks:
    """Takes replies, or does not."""

    takes: bool = True
    seen: list[tuple[InboundSms, float]] = field(default_factory=list)

    def forward(self, uplink: InboundSms, seconds: float) -> bool:
        self.seen.append((uplink, seconds))
        return self.takes


@pytest.fixture
def house() -> House:
    return fakes.house()


@pytest.fixture
def uplinks() -> FakeUplinks:
    return FakeUplinks()


def reports(house: House, uplinks: FakeUplinks | None = None) -> DeliveryReportService:
    return DeliveryReportService(
        keyring=house.keyring,
        store=house.store,
        clock=house.clock,
        events=house.events,
        parser=AliyunReportParser(),
        forwarder=uplinks,
    )


def take(house: House, *items: object, uplinks: FakeUplinks | None = None) -> ReportBatchResult:
    return reports(house, uplinks).process(json.dumps(items).encode(), DEADLINE)


def sent(house: House, outcome: SendStatus = SendStatus.ACCEPTED) -> str:
    """Send a code and return the out id it went out with."""
    house.sender.outcome = SendResult(outcome, route="main")
    house.service.request(SHOP, PHONE, purpose="login")
    return house.sender.sent[-1].reference


def report(out_id: str, *, success: bool = True, err_code: str = "DELIVERED") -> dict[str, object]:
    return {"out_id": out_id, "success": success, "err_code": err_code, "phone_number": PHONE[3:]}


def delivery(house: House) -> tuple[DeliveryStatus, str]:
    (send,) = house.store.only().sends
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
def test_report_of_ours_settles_the_delivery(house: House, outcome: SendStatus) -> None:
    out_id = sent(house, outcome)

    assert take(house, report(out_id)) == ReportBatchResult(updated=1)
    assert delivery(house) == (DeliveryStatus.DELIVERED, "DELIVERED")


def test_failure_keeps_its_reason(house: House) -> None:
    out_id = sent(house)

    take(house, report(out_id, success=False, err_code="MOBILE_NOT_ON_SERVICE"))

    assert delivery(house) == (DeliveryStatus.UNDELIVERED, "MOBILE_NOT_ON_SERVICE")


def test_waiting_settles_only_that_it_was_sent(house: House) -> None:
    out_id = sent(house, SendStatus.UNKNOWN)

    assert take(house, report(out_id, success=False, err_code="REQUEST_SUCCESS")) == ReportBatchResult(
        updated=1
    )
    assert delivery(house)[0] is DeliveryStatus.ACCEPTED
    assert take(house, report(out_id)) == ReportBatchResult(updated=1)


def test_repeated_and_contradicting_reports_change_nothing(house: House) -> None:
    out_id = sent(house)
    take(house, report(out_id))

    assert take(house, report(out_id), report(out_id, success=False, err_code="X")) == ReportBatchResult(
        repeated=2
    )
    assert delivery(house)[0] is DeliveryStatus.DELIVERED


def test_report_of_what_is_forgotten_is_only_counted(house: House) -> None:
    out_id = sent(house)
    house.store.kept.clear()
    house.events.seen.clear()

    assert take(house, report(out_id)) == ReportBatchResult(expired=1)
    assert [name for name, _ in house.events.seen] == ["delivery_report_batch"]


def test_report_without_an_out_id_of_ours_changes_nothing(house: House) -> None:
    mine = sent(house)
    place = MessageReference.decode(mine, [keys.message_reference for keys in house.keyring.by_kid.values()])
    assert place is not None
    forged = place.encode(b"some other key".ljust(32))

    damaged = mine[:-1] + ("A" if mine[-1] != "A" else "E")

    taken = take(house, report(forged), report(""), report("order-17"), report(damaged))

    assert taken == ReportBatchResult(unrecognized=4)
    assert delivery(house)[0] is DeliveryStatus.ACCEPTED


def test_report_of_a_send_that_was_never_made_is_forgotten(house: House) -> None:
    mine = sent(house)
    keys = [keys.message_reference for keys in house.keyring.by_kid.values()]
    place = MessageReference.decode(mine, keys)
    assert place is not None
    second = MessageReference(place.phone_hash, place.verification_hash, 2).encode(
        house.keyring.active.message_reference
    )

    assert take(house, report(second)) == ReportBatchResult(expired=1)


def test_malformed_items_are_counted_and_cost_the_others_nothing(house: House) -> None:
    out_id = sent(house)

    assert take(house, 17, {}, report(out_id), {"success": "yes"}) == ReportBatchResult(
        updated=1, malformed=3
    )


def test_unreadable_item_is_recorded_by_its_form_alone(house: House) -> None:
    bad = {"success": "maybe", "out_id": "secret", "phone_number": PHONE[3:]}

    assert take(house, bad) == ReportBatchResult(malformed=1)
    (told,) = house.events.of("report_unreadable")
    assert told == {"part": "item", "fields": ["phone_number:str", "success:str", "out_id:str"]}
    assert "secret" not in str(house.events.seen)


def test_many_unreadable_items_are_all_counted_and_not_all_recorded(house: House) -> None:
    assert take(house, *[17] * 500) == ReportBatchResult(malformed=500)
    assert len(house.events.of("report_unreadable")) == 10


def test_unreadable_item_keeps_no_other_waiting_however_often_it_comes(house: House) -> None:
    first = sent(house)
    bad = {"success": "maybe", "out_id": first}

    assert take(house, bad, report(first), bad) == ReportBatchResult(updated=1, malformed=2)
    assert take(house, bad, report(first), bad) == ReportBatchResult(repeated=1, malformed=2)
    assert delivery(house)[0] is DeliveryStatus.DELIVERED


@pytest.mark.parametrize("body", [b"", b"no json", b"17", b"\xff\xfe"])
def test_unreadable_body_is_counted_and_recorded(house: House, body: bytes) -> None:
    with pytest.raises(UnreadableReports):
        reports(house).process(body, DEADLINE)

    assert house.events.of("report_unreadable") == [{"part": "body", "fields": [], "bytes": len(body)}]
    assert [counts["malformed"] for counts in house.events.of("delivery_report_batch")] == [1]


@pytest.mark.parametrize("out_id", ["\ud800", "\x00", "tag.id.1.\ud800", "." * 256])
def test_hostile_out_id_is_foreign_and_costs_the_others_nothing(house: House, out_id: str) -> None:
    mine = sent(house)

    assert take(house, report(out_id), report(mine)) == ReportBatchResult(unrecognized=1, updated=1)


def test_all_reports_of_a_body_are_one_call_of_the_store(house: House) -> None:
    out_id = sent(house)
    house.store.calls.clear()
    take(house, *[report(out_id)] * 50)

    assert house.store.calls == ["apply_delivery_reports"]


def test_body_without_items_is_refused(house: House) -> None:
    with pytest.raises(UnreadableReports):
        reports(house).process(b"no json", DEADLINE)


def test_failing_store_makes_it_be_told_again(house: House) -> None:
    out_id = sent(house)
    house.store.failing.add("apply_delivery_reports")

    with pytest.raises(StoreUnavailable):
        take(house, report(out_id))


def test_what_was_told_is_an_event_without_the_number(house: House) -> None:
    out_id = sent(house)
    take(house, report(out_id, success=False, err_code="MOBILE_IN_BLACK"), report("foreign"))

    (told,) = house.events.of("delivery_report")
    assert told["delivery"] == "undelivered"
    assert (told["client"], told["route"], told["number"]) == ("shop", "main", 1)
    assert told["provider_code"] == "MOBILE_IN_BLACK"
    (counts,) = house.events.of("delivery_report_batch")
    assert (counts["updated"], counts["unrecognized"], counts["malformed"]) == (1, 1, 0)
    assert PHONE[3:] not in str(house.events.seen)


# ── replies ──


def test_reply_is_passed_on_with_the_number_in_one_spelling(house: House, uplinks: FakeUplinks) -> None:
    taken = take(house, REPLY, {**REPLY, "phone_number": "85251234567"}, uplinks=uplinks)

    assert taken == ReportBatchResult(forwarded=2)
    (first, seconds), (second, _) = uplinks.seen
    assert (first.phone, first.content, first.sender) == (PHONE, "T", "10690000")
    assert first.sent_at == 1_795_421_340.0
    assert seconds == DEADLINE - house.clock.monotonic()
    assert second.phone == "+85251234567"


def test_reply_told_again_keeps_its_id_and_another_has_its_own(house: House, uplinks: FakeUplinks) -> None:
    take(house, REPLY, REPLY, {**REPLY, "sequence_id": "18"}, {**REPLY, "content": "\ud800"}, uplinks=uplinks)

    ids = [uplink.id for uplink, _ in uplinks.seen]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    assert all(id_.startswith("sms_") and len(id_) == 26 for id_ in ids)


def test_reply_that_nobody_wants_is_dropped(house: House) -> None:
    assert take(house, REPLY) == ReportBatchResult(dropped=1)


def test_reply_that_could_not_be_passed_on_is_lost_for_now(house: House, uplinks: FakeUplinks) -> None:
    uplinks.takes = False

    assert take(house, REPLY, uplinks=uplinks) == ReportBatchResult(must_retry=1)


def test_reply_after_the_deadline_is_not_even_tried(house: House, uplinks: FakeUplinks) -> None:
    taken = reports(house, uplinks).process(json.dumps([REPLY]).encode(), house.clock.monotonic())

    assert taken == ReportBatchResult(must_retry=1)
    assert uplinks.seen == []


def test_reply_is_an_event_with_tag_and_mask(house: House, uplinks: FakeUplinks) -> None:
    take(house, REPLY, uplinks=uplinks)

    (told,) = house.events.of("inbound_sms")
    assert told == {
        "phone_hash": house.keyring.phone_hash(PHONE),
        "phone_masked": "+86 138****8000",
        "outcome": "forwarded",
    }


def test_reply_is_stored_nowhere(house: House, uplinks: FakeUplinks) -> None:
    take(house, REPLY, uplinks=uplinks)

    assert house.store.calls == ["apply_delivery_reports"]
    assert house.store.kept == {}


# ── reasons ──


@pytest.mark.parametrize("code", ["UNDELIV", "EXPIRED", "REJECTD", "DELETED", "UNKNOWN"])
def test_states_of_carriers_are_explained(code: str) -> None:
    reason, unknown = describe_failure(code), describe_failure("MK:0012")

    assert reason.code == code
    assert reason.english != unknown.english
    assert reason.chinese != unknown.chinese


def test_reason_is_told_in_both_languages() -> None:
    known, unknown = describe_failure("MOBILE_NOT_ON_SERVICE"), describe_failure("MK:0012")

    assert (known.english, known.chinese) == (
        "The number is switched off, suspended or not in use.",
        "停机、空号、暂停服务或关机",
    )
    assert (unknown.code, unknown.english) == ("MK:0012", "A carrier's own code.")
