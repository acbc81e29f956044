from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from sandbox.receiver import GOOD, Receiver, answer, dripping, late, receiving, wait_until

from otp_service.sandbox import SandboxConfig, SandboxServer
from otp_service.sandbox.report_post import check_url
from otp_service.sandbox.reporter import Reporter
from otp_service.sms.aliyun.protocol.mns import MessageType

REPORT, UP = MessageType.SMS_REPORT, MessageType.SMS_UP


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def config(config: SandboxConfig, receiver: Receiver) -> SandboxConfig:
    return replace(config, report_urls={REPORT: receiver.url, UP: receiver.url})


def _postings(caller: Any) -> list[dict[str, Any]]:
    return caller.raw("GET", "/reports.json").json()


def _outcomes(caller: Any) -> list[str]:
    return [posting["outcome"] for posting in reversed(_postings(caller))]


def _wait_for_outcomes(caller: Any, count: int) -> list[str]:
    wait_until(lambda: len(_postings(caller)) >= count)
    return _outcomes(caller)


def test_report_is_posted_as_an_array(caller: Any, receiver: Receiver) -> None:
    biz_id = caller.v1(OutId="out").json()["BizId"]
    receiver.wait_for(1)

    ((item,),) = receiver.posts
    assert (item["biz_id"], item["out_id"], item["success"]) == (biz_id, "out", True)
    assert receiver.types == ["application/json;charset=utf-8"]
    assert _wait_for_outcomes(caller, 1) == ["accepted"]


def test_reply_is_posted(caller: Any, receiver: Receiver) -> None:
    caller.raw("POST", "/inbox/reply", json={"phone": "13800138000", "content": "TD"})
    receiver.wait_for(1)

    ((item,),) = receiver.posts
    assert (item["phone_number"], item["content"]) == ("13800138000", "TD")


def test_reports_of_one_call_are_posted_together(caller: Any, receiver: Receiver) -> None:
    numbers = ",".join(str(13900000000 + n) for n in range(150))
    caller.v1(PhoneNumbers=numbers)
    wait_until(lambda: sum(map(len, receiver.posts)) >= 150)

    assert sorted(item["phone_number"] for post in receiver.posts for item in post) == numbers.split(",")
    assert max(map(len, receiver.posts)) <= 100
    assert len(receiver.posts) < 50


def test_report_is_posted_when_the_sms_is_delivered(caller: Any, receiver: Receiver, clock: Any) -> None:
    caller.v1(PhoneNumbers="13800007012")
    receiver.wait_for(0)
    clock.advance(seconds=10)

    receiver.wait_for(1)


BAD = {
    "status": (answer(500, GOOD[1]), "HTTP 500"),
    "other_2xx": (answer(204, b""), "HTTP 204"),
    "redirect": (answer(302, b""), "HTTP 302"),
    "no_json": (answer(200, b"ok"), "failed: JSONDecodeError"),
    "deep_json": (answer(200, b"[" * 60_000), "failed: RecursionError"),
    "no_code": (answer(200, b"{}"), "code is not a number"),
    "text_code": (answer(200, b'{"code":"0"}'), "code is not a number"),
    "true_code": (answer(200, b'{"code":true}'), "code is not a number"),
    "array": (answer(200, b"[0]"), "code is not a number"),
    "late": (late, "too slow"),
    "dripping": (dripping, "too slow"),
}


@pytest.mark.parametrize(("bad", "outcome"), BAD.values(), ids=BAD)
def test_report_is_posted_again_after_a_bad_answer(
    caller: Any,
    receiver: Receiver,
    clock: Any,
    bad: Callable[[BaseHTTPRequestHandler], None],
    outcome: str,
) -> None:
    receiver.answers = [bad]
    caller.v1()
    failed = _wait_for_outcomes(caller, 1)
    clock.advance(seconds=59)
    receiver.wait_for(1)
    clock.advance(seconds=1)

    assert failed == [outcome]
    assert _wait_for_outcomes(caller, 2) == [outcome, "accepted"]
    assert receiver.posts[0] == receiver.posts[1]


def test_report_is_posted_four_times_at_most(caller: Any, receiver: Receiver, clock: Any) -> None:
    receiver.answers = [answer(500, b"")] * 9
    caller.v1()
    for count, minutes in enumerate((1, 5, 10), start=1):
        _wait_for_outcomes(caller, count)
        clock.advance(minutes=minutes, seconds=-1)
        receiver.wait_for(count)
        clock.advance(seconds=1)
    _wait_for_outcomes(caller, 4)
    clock.advance(days=1)

    receiver.wait_for(4)
    assert [posting["number"] for posting in reversed(_postings(caller))] == [1, 2, 3, 4]


def test_new_report_does_not_wait_for_one_that_failed(caller: Any, receiver: Receiver) -> None:
    receiver.answers = [answer(500, b"")]
    caller.v1()
    _wait_for_outcomes(caller, 1)
    caller.v1(PhoneNumbers="13900139000")

    assert _wait_for_outcomes(caller, 2) == ["HTTP 500", "accepted"]


def test_waits_can_be_compressed(receiver: Receiver, clock: Any) -> None:
    receiver.answers = [answer(500, b"")]
    reporter = Reporter({REPORT: receiver.url}, clock, time_factor=0.01)
    reporter.report(REPORT, {"a": 1}, clock())
    wait_until(reporter.postings)
    clock.advance(seconds=0.6)
    receiver.wait_for(2)
    reporter.close()


def test_type_without_a_url_is_not_posted(clock: Any) -> None:
    reporter = Reporter({}, clock, time_factor=1.0)
    reporter.report(UP, {"a": 1}, clock())

    assert reporter._thread is None
    reporter.close()


def test_receiver_that_is_away_is_told(clock: Any) -> None:
    reporter = Reporter({REPORT: "http://127.0.0.1:9/"}, clock, time_factor=1.0)
    reporter.report(REPORT, {"a": 1}, clock())
    wait_until(reporter.postings)
    reporter.close()

    assert [posting.outcome for posting in reporter.postings()] == ["failed: ConnectionRefusedError"]


@pytest.mark.parametrize("url", ["", "http://", "http://127.0.0.1:x/", "https://127.0.0.1:9/", "nonsense"])
def test_url_that_is_none_is_told(url: str) -> None:
    assert check_url(url).startswith("failed: ")


def test_oldest_reports_go_when_there_are_too_many(clock: Any) -> None:
    reporter = Reporter({REPORT: "http://127.0.0.1:9/"}, clock, time_factor=1.0, most=3)
    for number in range(9):
        reporter.report(REPORT, {"number": number}, clock() + timedelta(hours=1))

    assert [batch.items[0]["number"] for batch in reporter._waiting] == [6, 7, 8]
    reporter.close()


def test_console_gets_every_url(caller: Any, receiver: Receiver) -> None:
    receiver.answers = [answer(404, b"")]

    assert caller.raw("POST", "/reports/check", json={}).json() == {
        "SmsReport": "HTTP 404",
        "SmsUp": "accepted",
    }
    assert receiver.gets == 2


def test_closed_sandbox_posts_nothing_more(
    caller: Any, server: SandboxServer, receiver: Receiver, clock: Any
) -> None:
    receiver.answers = [answer(500, b"")]
    caller.v1()
    _wait_for_outcomes(caller, 1)
    before = threading.active_count()
    started = time.monotonic()
    server._desk.reports.close()
    clock.advance(minutes=1)

    receiver.wait_for(1)
    assert time.monotonic() - started < 2
    assert threading.active_count() < before


def test_url_is_not_printed(config: SandboxConfig, receiver: Receiver) -> None:
    assert "secret" not in repr(config).replace("sts_keys", "")
