"""Delivery of an SMS, from the provider's report to the status that a caller reads."""

from __future__ import annotations

import json
import os
import secrets
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from support.deployment import Deployment, exchange, new_phone, running_service
from support.redis_servers import Server, redis_binary, running
from support.waiting import eventually

from otp_service.sandbox.config import SandboxConfig
from otp_service.sms.aliyun.protocol.mns import MessageType

PATH_SECRET = secrets.token_urlsafe(32)
ADDRESS = f"/aliyun/reports/{PATH_SECRET}"


def with_reports(text: str) -> str:
    return f'{text}\n[reports]\nsecret = "{PATH_SECRET}"\n'


def reporting(config: SandboxConfig, port: int) -> SandboxConfig:
    url = f"http://127.0.0.1:{port}{ADDRESS}"
    return replace(config, report_urls={MessageType.SMS_REPORT: url}, report_time_factor=0.01)


@pytest.fixture(scope="module")
def service(redis_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    directory = tmp_path_factory.mktemp("service")
    with running_service(
        redis_server, directory, change=with_reports, sandbox_config=reporting
    ) as deployment:
        yield deployment


def status(service: Deployment, phone: str, verification_id: str) -> Any:
    return service.post("/otp/status", {"phone": phone, "verification_id": verification_id}).body


@pytest.mark.parametrize(
    ("phone", "delivery", "code"),
    [(None, "delivered", None), ("+8613800007001", "undelivered", "MOBILE_NOT_ON_SERVICE")],
    ids=["delivered", "undelivered"],
)
def test_pushed_report_reaches_the_status(
    service: Deployment, phone: str | None, delivery: str, code: str | None
) -> None:
    phone = phone or new_phone()
    verification_id = service.request(phone).body["verification_id"]

    assert eventually(lambda: status(service, phone, verification_id)["delivery"] == delivery)

    (send,) = status(service, phone, verification_id)["sends"]
    assert (send["reason"] and send["reason"]["code"]) == code


def test_code_of_an_undelivered_sms_still_verifies(service: Deployment) -> None:
    """Carriers make mistakes: a user who can type the code has received it."""
    phone = "+8613800007002"
    verification_id = service.request(phone).body["verification_id"]
    assert eventually(lambda: status(service, phone, verification_id)["delivery"] == "undelivered")

    assert service.verify(phone, verification_id, service.code(phone)).status == 200


def test_reports_leave_no_number_and_no_secret_in_the_log_or_the_store(service: Deployment) -> None:
    phone = new_phone()
    verification_id = service.request(phone).body["verification_id"]
    assert eventually(lambda: status(service, phone, verification_id)["delivery"] == "delivered")

    assert eventually(lambda: '"event":"delivery_report"' in service.log.read_text())
    log = service.log.read_text()
    assert phone[3:] not in log
    assert PATH_SECRET not in log
    with service.redis.client() as client:
        stored = b"".join(key + (client.get(key) or b"") for key in client.scan_iter())
    assert phone[3:].encode() not in stored


def push(service: Deployment, items: object) -> tuple[int, float]:
    """Push *items*; return the status and how many seconds the answer took."""
    began = time.monotonic()
    answer = exchange("POST", service.url + ADDRESS, json.dumps(items).encode(), {})
    return answer.status, time.monotonic() - began


def test_answer_comes_within_700_ms_even_when_the_store_hangs(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    directory = tmp_path_factory.mktemp("frozen")
    with (
        running(redis_binary()) as redis,
        running_service(redis, directory, change=with_reports) as service,
    ):
        phone = new_phone()
        verification_id = service.request(phone).body["verification_id"]
        out_id = service.inbox(phone)[0]["out_id"]
        report = [{"out_id": out_id, "success": True, "err_code": "DELIVERED"}]
        os.kill(redis.process.pid, signal.SIGSTOP)
        frozen = [push(service, report) for _ in range(3)]
        os.kill(redis.process.pid, signal.SIGCONT)

        assert [status for status, _ in frozen] == [503] * 3
        assert min(seconds for _, seconds in frozen) < 0.7
        assert eventually(lambda: push(service, report)[0] == 200)
        assert status(service, phone, verification_id)["delivery"] == "delivered"
