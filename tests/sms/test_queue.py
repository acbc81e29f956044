"""Reading a queue from the sandbox, and from servers that misbehave."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sms import wire
from sms.doubles import ManualClock
from sms.queue_helpers import (
    DELETED,
    EMPTY,
    REPLIES,
    REPORTS,
    answers_in_order,
    api,
    datetime_of,
    error_xml,
    key_answer,
    make_queue,
    message_xml,
    messages_xml,
    send_sms,
)
from sms.wire import WireServer, response

from otp_service.sandbox import SandboxConfig, SandboxServer, start_sandbox
from otp_service.sms.aliyun.mns.messages import QueueError
from otp_service.sms.aliyun.mns.queue import MAX_BODY, Queue
from otp_service.sms.aliyun.mns.sts_token import QueueKey, StsTokenProvider
from otp_service.sms.aliyun.protocol.mns import MessageType

NUMBERS = [f"139000000{n:02d}" for n in range(20)]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def sandbox(clock: ManualClock) -> Iterator[SandboxServer]:
    config = replace(SandboxConfig.default({"testId": "testSecret"}), queue_key_seconds=600)
    with start_sandbox(config, clock=lambda: datetime_of(clock)) as server:
        yield server


@contextmanager
def reading(keys_url: str, queue_url: str, clock: ManualClock, name: str = REPORTS) -> Iterator[Queue]:
    queue = make_queue(keys_url, queue_url, clock, name)
    yield queue
    queue.close()


# ── the sandbox ──


def test_sixteen_messages_are_received_at_once(sandbox: SandboxServer, clock: ManualClock) -> None:
    send_sms(sandbox.url, clock, NUMBERS)
    with reading(sandbox.url, sandbox.url, clock) as queue:
        first, rest = queue.receive(0), queue.receive(0)

    out_ids = [json.loads(message.body)["out_id"] for message in first + rest]
    assert (len(first), len(rest)) == (16, 4)
    assert out_ids == [number[::-1] for number in NUMBERS]


def test_empty_queue_returns_no_messages(sandbox: SandboxServer, clock: ManualClock) -> None:
    with reading(sandbox.url, sandbox.url, clock, REPLIES) as queue:
        assert queue.receive(0) == []


def test_deleted_message_never_comes_again(sandbox: SandboxServer, clock: ManualClock) -> None:
    send_sms(sandbox.url, clock, NUMBERS[:3])
    with reading(sandbox.url, sandbox.url, clock) as queue:
        messages = queue.receive(0)
        queue.delete([message.handle for message in messages[:2]])
        clock.advance(31)
        again = queue.receive(0)

    assert [message.body for message in again] == [messages[2].body]


def test_expired_handle_does_not_block_the_others(sandbox: SandboxServer, clock: ManualClock) -> None:
    send_sms(sandbox.url, clock, NUMBERS[:2])
    with reading(sandbox.url, sandbox.url, clock) as queue:
        first, second = queue.receive(0)
        queue.delete([first.handle])
        queue.delete([first.handle, second.handle])
        clock.advance(31)

        assert queue.receive(0) == []


class KeysNeverRefused(StsTokenProvider):
    """A key source that cannot renew a refused key."""

    def renewed(self) -> QueueKey:
        raise AssertionError("a key was refused")


def test_key_is_renewed_before_it_expires(sandbox: SandboxServer, clock: ManualClock) -> None:
    keys = KeysNeverRefused(
        api=api(sandbox.url, clock),
        message_type=MessageType.SMS_REPORT,
        queue_name=REPORTS,
        clock=clock,
    )
    with reading(sandbox.url, sandbox.url, clock) as queue:
        queue._keys.close()
        queue._keys = keys
        for _ in range(10):
            assert queue.receive(0) == []
            clock.advance(470)  # after two of these the first key has expired


def test_expired_key_is_renewed(sandbox: SandboxServer, clock: ManualClock) -> None:
    """The situation after a suspended machine resumes: its monotonic clock has stood still."""
    send_sms(sandbox.url, clock, NUMBERS[:1])
    with reading(sandbox.url, sandbox.url, clock) as queue:
        queue.delete([message.handle for message in queue.receive(0)])
        clock.time += 3600
        send_sms(sandbox.url, clock, NUMBERS[:1])

        assert len(queue.receive(0)) == 1


def test_queue_of_another_account_is_an_error(sandbox: SandboxServer, clock: ManualClock) -> None:
    with (
        reading(sandbox.url, sandbox.url, clock, "Alicom-Queue-1-SmsReport") as queue,
        pytest.raises(QueueError) as error,
    ):
        queue.receive(0)

    assert str(error.value) == "receive: QueueNotExist"


# ── requests and responses ──


def test_receive_request_has_the_format_of_aliyun(clock: ManualClock) -> None:
    with WireServer(answers_in_order(key_answer())) as keys, WireServer(answers_in_order(EMPTY)) as server:
        with reading(keys.url, server.url, clock) as queue:
            queue.receive(20)
        head = server.requests[0].decode().lower().split("\r\n")

    assert head[0] == f"get /queues/{REPORTS.lower()}/messages?numofmessages=16&waitseconds=20 http/1.1"
    names = sorted(line.split(":")[0] for line in head[1:] if line)
    assert names == [
        "accept-encoding",
        "authorization",
        "date",
        "host",
        "security-token",
        "user-agent",
        "x-mns-version",
    ]


def test_refused_call_is_repeated_once_with_a_new_key(clock: ManualClock) -> None:
    refused = response(error_xml("SecurityTokenExpired"), 403)
    with (
        WireServer(answers_in_order(key_answer("STS.1"), key_answer("STS.2"), key_answer("STS.3"))) as keys,
        WireServer(answers_in_order(refused, EMPTY, refused)) as server,
        reading(keys.url, server.url, clock) as queue,
    ):
        assert queue.receive(0) == []
        with pytest.raises(QueueError) as error:
            queue.receive(0)

        assert [b"MNS STS.1:" in request for request in server.requests] == [True, False, False, False]
        assert [b"MNS STS.2:" in request for request in server.requests] == [False, True, True, False]
        assert error.value.code == "SecurityTokenExpired"


def test_message_of_the_maximum_size_is_received(clock: ManualClock) -> None:
    body = b" " * 65_536
    answer = response(messages_xml(*(message_xml(body[:48_000], str(n)) for n in range(16))))
    with (
        WireServer(answers_in_order(key_answer())) as keys,
        WireServer(answers_in_order(answer)) as server,
        reading(keys.url, server.url, clock) as queue,
    ):
        assert [len(message.body) for message in queue.receive(0)] == [48_000] * 16


BAD = {
    "500": (wire.answers(response(error_xml("InternalServerError"), 500)), "InternalServerError"),
    "503 without a word": (wire.answers(response(b"", 503)), "http_503"),
    "502 in HTML": (wire.answers(response(b"<html><body>Bad gateway", 502)), "http_502"),
    "404 of something else": (wire.answers(response(b"no such page", 404)), "http_404"),
    "clock": (wire.answers(response(error_xml("TimeExpired"), 408)), "TimeExpired"),
    "redirect": (wire.answers(response(b"", 302, "Location: http://127.0.0.1:9/")), "http_302"),
    "malformed XML": (wire.answers(response(b"<Messages><Message>")), "unreadable"),
    "no XML": (wire.answers(response(b"[]")), "unreadable"),
    "no message": (wire.answers(response(messages_xml())), "unreadable"),
    "entity bomb": (
        wire.answers(response(b'<!DOCTYPE m [<!ENTITY a "b">]>' + messages_xml(message_xml("&a;")))),
        "unreadable",
    ),
    "too much": (wire.answers(response(b" " * (MAX_BODY + 1))), "BodyTooLarge"),
    "reset": (wire.resets(), "ConnectionResetError"),
    "hang-up": (wire.hangs_up, "RemoteDisconnected"),
    "truncated": (wire.answers_and_hangs_up(response(b"<Mess", length=50)), "IncompleteRead"),
}


@pytest.mark.parametrize("name", BAD)
def test_response_without_messages_is_an_error_with_a_code_only(clock: ManualClock, name: str) -> None:
    behave, code = BAD[name]
    with (
        WireServer(answers_in_order(key_answer())) as keys,
        WireServer(behave) as server,
        reading(keys.url, server.url, clock) as queue,
        pytest.raises(QueueError) as error,
    ):
        queue.receive(0)

    assert (error.value.call, error.value.code) == ("receive", code)
    assert error.value.__cause__ is None


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (response(error_xml("ReceiptHandleError"), 400), "ReceiptHandleError"),
        (response(b"", 500), "http_500"),
    ],
)
def test_failed_delete_is_an_error(clock: ManualClock, answer: bytes, code: str) -> None:
    with (
        WireServer(answers_in_order(key_answer())) as keys,
        WireServer(answers_in_order(answer)) as server,
        reading(keys.url, server.url, clock) as queue,
        pytest.raises(QueueError) as error,
    ):
        queue.delete(["1-a=="])

    assert str(error.value) == f"delete: {code}"


def test_delete_sends_handles_in_the_body_only(clock: ManualClock) -> None:
    with (
        WireServer(answers_in_order(key_answer())) as keys,
        WireServer(answers_in_order(DELETED)) as server,
        reading(keys.url, server.url, clock) as queue,
    ):
        queue.delete(["1-a==", "2-b=="])
        head, _, body = server.requests[0].partition(b"\r\n\r\n")

    assert head.startswith(f"DELETE /queues/{REPORTS}/messages HTTP/1.1\r\n".encode())
    assert b"1-a==" in body
    assert b"2-b==" in body
