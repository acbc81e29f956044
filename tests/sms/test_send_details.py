"""QuerySendDetails: the status of a send, and responses that are no answer."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import pytest
from sms import wire
from sms.doubles import HONG_KONG, MAINLAND, TEMPLATE, MakeProvider, sms
from sms.wire import WireServer, response

from otp_service.domain.messages import DeliveryLookup, DeliveryLookupResult, DeliveryLookupStatus
from otp_service.domain.phone import Phone
from otp_service.sandbox import SandboxConfig, start_sandbox
from otp_service.sms.aliyun.send_details import days

NOON = datetime(2026, 11, 23, 4, 0, tzinfo=UTC).timestamp()
OURS = "abcdefgh"


def lookup(phone: Phone = MAINLAND, *, began_at: float = NOON) -> DeliveryLookup:
    return DeliveryLookup(phone, "shop", "login", "main", began_at, lambda text: text == OURS)


def page(*rows: object, total: object | None = None, **changes: object) -> bytes:
    count = len(rows) if total is None else total
    body = {"Code": "OK", "TotalCount": count, "SmsSendDetailDTOs": {"SmsSendDetailDTO": list(rows)}}
    return json.dumps({**body, **changes}).encode()


def row(status: object = 3, out_id: object = OURS, **more: object) -> dict[str, object]:
    return {"OutId": out_id, "SendStatus": status, "PhoneNum": "13800138000", "Content": "code", **more}


@contextmanager
def asking(
    make: MakeProvider, behave: wire.Behave
) -> Iterator[tuple[Callable[..., DeliveryLookupResult], WireServer]]:
    with WireServer(behave) as server:
        provider = make(server.url)
        yield lambda i=None: provider.lookup_delivery(i or lookup(), time.monotonic() + 2), server


def found(make: MakeProvider, body: bytes, status: int = 200) -> DeliveryLookupResult:
    with asking(make, wire.answers(response(body, status))) as (run, _):
        return run()


# ── answers ──


@pytest.mark.parametrize(
    ("row_of_ours", "expected"),
    [
        (row(1), DeliveryLookupResult(DeliveryLookupStatus.ACCEPTED)),
        (row(3, ErrCode="DELIVERED"), DeliveryLookupResult(DeliveryLookupStatus.DELIVERED, "DELIVERED")),
        (row("3"), DeliveryLookupResult(DeliveryLookupStatus.DELIVERED)),
        (
            row(2, ErrCode="MOBILE_NOT_ON_SERVICE"),
            DeliveryLookupResult(DeliveryLookupStatus.UNDELIVERED, "MOBILE_NOT_ON_SERVICE"),
        ),
        (row(2, ErrCode="<b>evil</b>"), DeliveryLookupResult(DeliveryLookupStatus.UNDELIVERED)),
        (row(2, ErrCode=17), DeliveryLookupResult(DeliveryLookupStatus.UNDELIVERED, "17")),
        (row(7), DeliveryLookupResult(DeliveryLookupStatus.ACCEPTED)),
        (row(None), DeliveryLookupResult(DeliveryLookupStatus.ACCEPTED)),
    ],
)
def test_own_row_has_the_status_of_the_send(
    make_provider: MakeProvider, row_of_ours: dict[str, object], expected: DeliveryLookupResult
) -> None:
    assert found(make_provider, page(row(3, "another"), row_of_ours)) == expected


@pytest.mark.parametrize(
    "rows",
    [(), (row(3, "another"),), (row(3, None),), (row(3, 17),), ("no row",)],
    ids=["empty", "of another send", "no out id", "a number", "no row at all"],
)
def test_list_without_own_row_is_not_found(make_provider: MakeProvider, rows: tuple[object, ...]) -> None:
    total = sum(isinstance(row, dict) for row in rows)
    assert found(make_provider, page(*rows, total=total)) == DeliveryLookupResult(
        DeliveryLookupStatus.NOT_FOUND
    )


def test_total_may_be_a_text(make_provider: MakeProvider) -> None:
    assert found(make_provider, page(total="0")) == DeliveryLookupResult(DeliveryLookupStatus.NOT_FOUND)


# ── no answer ──

NO_LISTS: dict[str, tuple[bytes, int]] = {
    "not OK": (page(Code="isp.SYSTEM_ERROR"), 200),
    "not allowed": (b'{"Code":"Forbidden.RAM"}', 403),
    "throttled": (b'{"Code":"Throttling.User"}', 400),
    "OK with a 502": (page(), 502),
    "HTML": (b"<html>", 200),
    "empty": (b"", 200),
    "no total": (page(TotalCount=None), 200),
    "negative total": (page(total=-1), 200),
    "no list": (b'{"Code":"OK","TotalCount":0}', 200),
    "list of another type": (page(SmsSendDetailDTOs={"SmsSendDetailDTO": "none"}), 200),
    "fewer rows than there are": (page(row(3, "another"), total=2), 200),
    "no row of many": (page(total=9), 200),
    "redirect": (page(), 302),
}


@pytest.mark.parametrize("answer", NO_LISTS.values(), ids=NO_LISTS)
def test_incomplete_or_malformed_list_is_no_answer(
    make_provider: MakeProvider, answer: tuple[bytes, int]
) -> None:
    assert found(make_provider, *answer) == DeliveryLookupResult(DeliveryLookupStatus.NO_ANSWER)


HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"


@pytest.mark.parametrize("behave", [wire.resets(), wire.answers(HALF)], ids=["reset", "half a body"])
def test_lost_response_is_no_answer(make_provider: MakeProvider, behave: wire.Behave) -> None:
    with asking(make_provider, behave) as (run, _):
        assert run() == DeliveryLookupResult(DeliveryLookupStatus.NO_ANSWER)


def test_refused_connection_is_no_answer(make_provider: MakeProvider) -> None:
    provider = make_provider("http://127.0.0.1:9")
    assert provider.lookup_delivery(lookup(), time.monotonic() + 2) == DeliveryLookupResult(
        DeliveryLookupStatus.NO_ANSWER
    )


def test_lookup_after_the_deadline_is_no_answer_and_sends_nothing(make_provider: MakeProvider) -> None:
    with WireServer(wire.answers(response(page()))) as server:
        assert make_provider(server.url).lookup_delivery(lookup(), time.monotonic()) == DeliveryLookupResult(
            DeliveryLookupStatus.NO_ANSWER
        )
    assert server.requests == []


def test_ambiguous_number_is_not_looked_up(make_provider: MakeProvider) -> None:
    american = Phone("+18624017194", "US", "mobile", 1)
    with asking(make_provider, wire.answers(response(page()))) as (run, server):
        assert run(lookup(american)) == DeliveryLookupResult(DeliveryLookupStatus.NO_ANSWER)
    assert server.requests == []


# ── the request ──


def form_of(request: bytes) -> dict[str, str]:
    """Return the form fields in the body of *request*."""
    form = parse_qs(request.partition(b"\r\n\r\n")[2].decode())
    return {name: values[0] for name, values in form.items()}


@pytest.mark.parametrize(("phone", "number"), [(MAINLAND, "13800138000"), (HONG_KONG, "85251234567")])
def test_lookup_request_has_number_and_day_in_a_signed_body(
    make_provider: MakeProvider, phone: Phone, number: str
) -> None:
    with asking(make_provider, wire.answers(response(page()))) as (run, server):
        run(lookup(phone))

    (request,) = server.requests
    params = form_of(request)
    assert request.startswith(b"POST / HTTP/1.1\r\n")
    assert params["Action"] == "QuerySendDetails"
    assert (params["PhoneNumber"], params["SendDate"]) == (number, "20261123")
    assert (params["PageSize"], params["CurrentPage"]) == ("50", "1")
    assert params["Signature"]


def test_pages_are_read_until_the_own_row_is_found(make_provider: MakeProvider) -> None:
    others = [row(3, f"other-{n}") for n in range(50)]
    pages = {"1": page(*others, total=51), "2": page(row(), total=51)}

    def behave(connection: Any) -> None:
        wire.answers(response(pages[form_of(server.requests[-1])["CurrentPage"]]))(connection)

    with asking(make_provider, behave) as (run, server):
        assert run() == DeliveryLookupResult(DeliveryLookupStatus.DELIVERED)


def test_endless_list_is_no_answer(make_provider: MakeProvider) -> None:
    with asking(make_provider, wire.answers(response(page(*[row(3, "another")] * 50, total=999)))) as (
        run,
        server,
    ):
        assert run() == DeliveryLookupResult(DeliveryLookupStatus.NO_ANSWER)
    assert len(server.requests) == 3


# ── midnight in China ──


@pytest.mark.parametrize(
    ("china", "expected"),
    [
        ("2026-11-23T00:09:59", ["20261123", "20261122"]),
        ("2026-11-23T00:10:01", ["20261123"]),
        ("2026-11-23T12:00:00", ["20261123"]),
        ("2026-11-23T23:49:59", ["20261123"]),
        ("2026-11-23T23:50:01", ["20261123", "20261124"]),
        ("2026-12-31T23:59:59", ["20261231", "20270101"]),
    ],
)
def test_near_midnight_both_days_are_looked_up(china: str, expected: list[str]) -> None:
    assert days(datetime.fromisoformat(f"{china}+08:00").timestamp()) == expected


def test_send_listed_on_the_next_day_is_found(make_provider: MakeProvider) -> None:
    before_midnight = datetime.fromisoformat("2026-11-23T23:59:58+08:00").timestamp()

    def behave(connection: Any) -> None:
        is_next_day = form_of(server.requests[-1])["SendDate"] == "20261124"
        wire.answers(response(page(row()) if is_next_day else page()))(connection)

    with asking(make_provider, behave) as (run, server):
        assert run(lookup(began_at=before_midnight)) == DeliveryLookupResult(DeliveryLookupStatus.DELIVERED)


def test_no_answer_for_one_day_is_no_answer(make_provider: MakeProvider) -> None:
    before_midnight = datetime.fromisoformat("2026-11-23T23:59:58+08:00").timestamp()

    def behave(connection: Any) -> None:
        is_next_day = form_of(server.requests[-1])["SendDate"] == "20261124"
        wire.answers(response(b"", 502) if is_next_day else response(page()))(connection)

    with asking(make_provider, behave) as (run, server):
        assert run(lookup(began_at=before_midnight)) == DeliveryLookupResult(DeliveryLookupStatus.NO_ANSWER)


# ── against the sandbox ──


@pytest.mark.parametrize(
    ("seconds", "finding"), [(0.0, DeliveryLookupStatus.DELIVERED), (900.0, DeliveryLookupStatus.ACCEPTED)]
)
def test_sandbox_finds_what_was_sent(
    make_provider: MakeProvider, seconds: float, finding: DeliveryLookupStatus
) -> None:
    config = replace(SandboxConfig.default({"testId": "testSecret"}), delivery_seconds=seconds)
    with start_sandbox(config) as sandbox:
        provider = make_provider(sandbox.url)
        unsent = provider.lookup_delivery(lookup(began_at=time.time()), time.monotonic() + 2)
        provider.send(sms(), TEMPLATE, time.monotonic() + 2)
        sent = provider.lookup_delivery(lookup(began_at=time.time()), time.monotonic() + 2)

    assert (unsent.status, sent.status) == (DeliveryLookupStatus.NOT_FOUND, finding)


@pytest.mark.parametrize("ending", ["8001", "8002", "8004", "8005"])
def test_silent_sandbox_is_no_answer(make_provider: MakeProvider, ending: str) -> None:
    phone = Phone(f"+861380000{ending}", "CN", "mobile", 86)
    with start_sandbox(SandboxConfig.default({"testId": "testSecret"})) as sandbox:
        provider = make_provider(sandbox.url)
        provider.send(sms(phone=phone), TEMPLATE, time.monotonic() + 2)
        found = provider.lookup_delivery(lookup(phone, began_at=time.time()), time.monotonic() + 2)

    assert found == DeliveryLookupResult(DeliveryLookupStatus.NO_ANSWER)
