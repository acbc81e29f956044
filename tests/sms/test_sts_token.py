from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs

import pytest
from sms import wire
from sms.doubles import ManualClock
from sms.queue_helpers import REPORTS, answers_in_order, key_answer, key_source
from sms.wire import WireServer, response

from otp_service.sms.aliyun.mns.messages import QueueError
from otp_service.sms.aliyun.mns.sts_token import MAX_AGE, MIN_AGE, RENEWAL_MARGIN, StsTokenProvider

IN_AN_HOUR = "2026-11-23 17:07:41"
IN_FIVE_MINUTES = "2026-11-23 16:12:41"
AN_HOUR_AGO = "2026-11-23 15:07:41"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@contextmanager
def serving(clock: ManualClock, behave: wire.Behave) -> Iterator[tuple[StsTokenProvider, WireServer]]:
    with WireServer(behave) as server:
        keys = key_source(server.url, clock)
        yield keys, server
        keys.close()


def test_key_is_requested_by_message_type_and_queue_name(clock: ManualClock) -> None:
    with serving(clock, answers_in_order(key_answer("STS.1", IN_AN_HOUR))) as (keys, server):
        key = keys.current()

    form = parse_qs(server.requests[0].partition(b"\r\n\r\n")[2].decode())
    assert [form[name] for name in ("Action", "Version", "MessageType", "QueueName")] == [
        ["QueryTokenForMnsQueue"],
        ["2017-05-25"],
        ["SmsReport"],
        [REPORTS],
    ]
    assert (key.id, key.secret, key.security_token) == ("STS.1", "s", "t")
    assert key.expires_at == clock.now() + 3600


def test_key_repr_shows_only_its_id(clock: ManualClock) -> None:
    answer = key_answer(AccessKeySecret="very-secret", SecurityToken="very-token")
    with serving(clock, answers_in_order(answer)) as (keys, _):
        assert "very" not in repr(keys.current())


@pytest.mark.parametrize(
    ("expires", "life"),
    [
        (IN_AN_HOUR, MAX_AGE),
        (IN_FIVE_MINUTES, 300 - RENEWAL_MARGIN),
        (AN_HOUR_AGO, MIN_AGE),
        ("soon", MAX_AGE),
    ],
    ids=["by age", "before it expires", "wrong clock", "no time at all"],
)
def test_key_is_renewed_shortly_before_it_expires(clock: ManualClock, expires: str, life: float) -> None:
    with serving(clock, answers_in_order(key_answer("STS.1", expires), key_answer("STS.2"))) as (
        keys,
        server,
    ):
        assert keys.current().id == "STS.1"
        clock.advance(life - 1)
        assert keys.current().id == "STS.1"
        assert len(server.requests) == 1
        clock.advance(1)
        assert keys.current().id == "STS.2"


def test_refused_key_is_renewed_at_once(clock: ManualClock) -> None:
    with serving(clock, answers_in_order(key_answer("STS.1"), key_answer("STS.2"))) as (keys, _):
        keys.current()

        assert keys.renewed().id == "STS.2"
        assert keys.current().id == "STS.2"


def test_key_that_cannot_be_renewed_is_used_until_it_expires(clock: ManualClock) -> None:
    busy = response(b"busy", 503)
    with serving(clock, answers_in_order(key_answer("STS.1", IN_FIVE_MINUTES), busy)) as (keys, server):
        keys.current()
        clock.advance(300 - RENEWAL_MARGIN)
        assert keys.current().id == "STS.1"
        assert keys.current().id == "STS.1"
        assert len(server.requests) == 2  # a busy server is not asked at every call
        clock.advance(RENEWAL_MARGIN)

        with pytest.raises(QueueError):
            keys.current()


def test_refused_key_is_never_used_again(clock: ManualClock) -> None:
    with serving(
        clock, answers_in_order(key_answer("STS.1"), response(b"busy", 503), key_answer("STS.3"))
    ) as (
        keys,
        _,
    ):
        keys.current()
        with pytest.raises(QueueError):
            keys.renewed()

        assert keys.current().id == "STS.3"


NO_KEYS = {
    "refused": (wire.answers(response(b'{"Code":"Forbidden.RAM"}', 403)), "Forbidden.RAM"),
    "other code": (wire.answers(response(b'{"Code":"isv.INVALID_PARAMETERS"}')), "isv.INVALID_PARAMETERS"),
    "OK on an error": (wire.answers(response(b'{"Code":"OK"}', 500)), "OK"),
    "no JSON": (wire.answers(response(b"<html>", 502)), "http_502"),
    "no key": (wire.answers(response(b'{"Code":"OK"}')), "unreadable"),
    "no object": (wire.answers(response(b'{"Code":"OK","MessageTokenDTO":[]}')), "unreadable"),
    "no text": (wire.answers(key_answer(AccessKeySecret=5)), "unreadable"),
    "empty": (wire.answers(key_answer(SecurityToken="")), "unreadable"),
    "line break": (wire.answers(key_answer(SecurityToken="t\r\nX-Evil: 1")), "unreadable"),
    "reset": (wire.resets(), "ConnectionResetError"),
    "hang-up": (wire.hangs_up, "RemoteDisconnected"),
}


@pytest.mark.parametrize("name", NO_KEYS)
def test_response_without_a_key_is_an_error_with_a_code_only(clock: ManualClock, name: str) -> None:
    behave, code = NO_KEYS[name]
    with serving(clock, behave) as (keys, _), pytest.raises(QueueError) as error:
        keys.current()

    assert (error.value.call, error.value.code) == ("key", code)
    assert error.value.__cause__ is None
    assert error.value.__context__ is None
