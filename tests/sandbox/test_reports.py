from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from sandbox.report_receiver import ACCEPT, Receiver, late, receiving, response, slow
from support.waiting import wait_until

from otp_service.sandbox import SandboxConfig, SandboxServer
from otp_service.sandbox.reports.http_posting import ReportPoster, check_url
from otp_service.sms.aliyun.protocol.mns import MessageType

REPORT, UP = MessageType.SMS_REPORT, MessageType.SMS_UP


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def config(config: SandboxConfig, receiver: Receiver) -> SandboxConfig:
    return replace(config, report_urls={REPORT: receiver.url, UP: receiver.url})


def _attempts(caller: Any) -> list[dict[str, Any]]:
    return caller.raw("GET", "/reports.json").json()


def _outcomes(caller: Any) -> list[str]:
    return [attempt["outcome"] for attempt in reversed(_attempts(caller))]


def _wait_for_outcomes(caller: Any, count: int) -> list[str]:
    wait_until(lambda: len(_attempts(caller)) >= count)
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


INVALID = {
    "status": (response(500, ACCEPT[1]), "HTTP 500"),
    "other_2xx": (response(204, b""), "HTTP 204"),
    "redirect": (response(302, b""), "HTTP 302"),
    "no_json": (response(200, b"ok"), "failed: JSONDecodeError"),
    "deep_json": (response(200, b"[" * 60_000), "failed: RecursionError"),
    "no_code": (response(200, b"{}"), "code is not a number"),
    "text_code": (response(200, b'{"code":"0"}'), "code is not a number"),
    "true_code": (response(200, b'{"code":true}'), "code is not a number"),
    "array": (response(200, b"[0]"), "code is not a number"),
    "late": (late, "too slow"),
    "slow": (slow, "too slow"),
}


@pytest.mark.parametrize(("write_response", "outcome"), INVALID.values(), ids=INVALID)
def test_report_is_posted_again_after_an_invalid_response(
    caller: Any,
    receiver: Receiver,
    clock: Any,
    write_response: Callable[[BaseHTTPRequestHandler], None],
    outcome: str,
) -> None:
    receiver.responses = [write_response]
    caller.v1()
    failed = _wait_for_outcomes(caller, 1)
    clock.advance(seconds=59)
    receiver.wait_for(1)
    clock.advance(seconds=1)

    assert failed == [outcome]
    assert _wait_for_outcomes(caller, 2) == [outcome, "accepted"]
    assert receiver.posts[0] == receiver.posts[1]


def test_report_is_posted_at_most_four_times(caller: Any, receiver: Receiver, clock: Any) -> None:
    receiver.responses = [response(500, b"")] * 9
    caller.v1()
    for count, minutes in enumerate((1, 5, 10), start=1):
        _wait_for_outcomes(caller, count)
        clock.advance(minutes=minutes, seconds=-1)
        receiver.wait_for(count)
        clock.advance(seconds=1)
    _wait_for_outcomes(caller, 4)
    clock.advance(days=1)

    receiver.wait_for(4)
    assert [attempt["number"] for attempt in reversed(_attempts(caller))] == [1, 2, 3, 4]


def test_new_report_does_not_wait_for_one_that_failed(caller: Any, receiver: Receiver) -> None:
    receiver.responses = [response(500, b"")]
    caller.v1()
    _wait_for_outcomes(caller, 1)
    caller.v1(PhoneNumbers="13900139000")

    assert _wait_for_outcomes(caller, 2) == ["HTTP 500", "accepted"]


def test_time_factor_shortens_the_retry_delays(receiver: Receiver, clock: Any) -> None:
    receiver.responses = [response(500, b"")]
    poster = ReportPoster({REPORT: receiver.url}, clock, time_factor=0.01)
    poster.add(REPORT, {"a": 1}, clock())
    wait_until(poster.attempts)
    clock.advance(seconds=0.6)
    receiver.wait_for(2)
    poster.close()


def test_type_without_a_url_is_not_posted(clock: Any) -> None:
    poster = ReportPoster({}, clock, time_factor=1.0)
    poster.add(UP, {"a": 1}, clock())

    assert poster._thread is None
    poster.close()


def test_unreachable_receiver_is_logged(clock: Any) -> None:
    poster = ReportPoster({REPORT: "http://127.0.0.1:9/"}, clock, time_factor=1.0)
    poster.add(REPORT, {"a": 1}, clock())
    wait_until(poster.attempts)
    poster.close()

    assert [attempt.outcome for attempt in poster.attempts()] == ["failed: ConnectionRefusedError"]


@pytest.mark.parametrize("url", ["", "http://", "http://127.0.0.1:x/", "https://127.0.0.1:9/", "nonsense"])
def test_invalid_url_fails(url: str) -> None:
    assert check_url(url).startswith("failed: ")


def test_oldest_pending_reports_are_dropped_first(clock: Any) -> None:
    poster = ReportPoster({REPORT: "http://127.0.0.1:9/"}, clock, time_factor=1.0, max_pending=3)
    for number in range(9):
        poster.add(REPORT, {"number": number}, clock() + timedelta(hours=1))

    assert [batch.items[0]["number"] for batch in poster._pending] == [6, 7, 8]
    poster.close()


def test_check_requests_every_url(caller: Any, receiver: Receiver) -> None:
    receiver.responses = [response(404, b"")]

    assert caller.raw("POST", "/reports/check", json={}).json() == {
        "SmsReport": "HTTP 404",
        "SmsUp": "accepted",
    }
    assert receiver.gets == 2


def test_closed_sandbox_stops_posting(
    caller: Any, server: SandboxServer, receiver: Receiver, clock: Any
) -> None:
    receiver.responses = [response(500, b"")]
    caller.v1()
    _wait_for_outcomes(caller, 1)
    before = threading.active_count()
    started = time.monotonic()
    server._state.reports.close()
    clock.advance(minutes=1)

    receiver.wait_for(1)
    assert time.monotonic() - started < 2
    assert threading.active_count() < before


def test_url_is_not_printed(config: SandboxConfig, receiver: Receiver) -> None:
    assert "secret" not in repr(config).replace("sts_keys", "")
