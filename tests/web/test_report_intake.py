"""The endpoint that Aliyun pushes reports to; its path contains a secret."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from support import fakes
from web.web_app import PHONE, WebApp, open_web_app, problem

from otp_service.domain.messages import InboundSms
from otp_service.services.delivery_reports import DeliveryReportService
from otp_service.sms.aliyun.reports import AliyunReportParser
from otp_service.web.aliyun_reports import AliyunReportEndpoint

SECRET = "kP3xT9vQ2mZr7wLs4bNy8cHd6fGj1aEu"
ADDRESS = f"/aliyun/reports/{SECRET}"
RECEIVED = {"code": 0, "msg": "接收成功"}


class RecordingForwarder:
    takes = True

    def forward(self, inbound_sms: InboundSms, seconds: float) -> bool:
        return self.takes


@pytest.fixture
def recorder() -> RecordingForwarder:
    return RecordingForwarder()


@pytest.fixture
def web_app(recorder: RecordingForwarder) -> WebApp:
    harness = fakes.harness()
    reports = DeliveryReportService(
        keyring=harness.keyring,
        store=harness.store,
        clock=harness.clock,
        events=harness.events,
        parser=AliyunReportParser(),
        forwarder=recorder,
    )
    return open_web_app(
        harness, report_receiver=AliyunReportEndpoint(SECRET.encode(), reports, harness.clock)
    )


def push(web_app: WebApp, *items: object, address: str = ADDRESS) -> Any:
    return web_app.send(address, json.dumps(items).encode(), key=None)


def test_compressed_push_is_refused(web_app: WebApp) -> None:
    web_app.open_verification()
    raw = gzip.compress(json.dumps([delivered(web_app)]).encode())

    assert web_app.send(ADDRESS, raw, key=None, content_encoding="gzip").status_code == 415


def delivered(web_app: WebApp) -> dict[str, object]:
    return {"out_id": web_app.harness.sender.sent[-1].reference, "success": True, "err_code": "DELIVERED"}


def test_push_is_accepted_and_answered_in_aliyuns_format(web_app: WebApp) -> None:
    verification_id = web_app.open_verification()

    answer = push(web_app, delivered(web_app))

    assert (answer.status_code, answer.get_json()) == (200, RECEIVED)
    status = web_app.post("/otp/status", {"phone": PHONE, "verification_id": verification_id}).get_json()
    assert status["delivery"] == "delivered"


def test_undelivered_is_explained_in_both_languages(web_app: WebApp) -> None:
    verification_id = web_app.open_verification()
    push(web_app, {**delivered(web_app), "success": False, "err_code": "MOBILE_NOT_ON_SERVICE"})

    status = web_app.post("/otp/status", {"phone": PHONE, "verification_id": verification_id}).get_json()

    assert status["delivery"] == "undelivered"
    assert status["sends"][0]["reason"] == {
        "code": "MOBILE_NOT_ON_SERVICE",
        "en": "The number is switched off, suspended or not in use.",
        "zh": "停机、空号、暂停服务或关机",
    }


def test_get_is_the_test_of_the_console_and_changes_nothing(web_app: WebApp) -> None:
    answer = web_app.get(ADDRESS)

    assert (answer.status_code, answer.get_json()) == (200, RECEIVED)
    assert web_app.harness.store.calls == []


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("secret", ["x", SECRET[:-1], SECRET + "x", SECRET.lower(), "é"])
def test_wrong_secret_is_a_404(web_app: WebApp, method: str, secret: str) -> None:
    answer = getattr(web_app.client, method)(f"/aliyun/reports/{secret}")

    assert answer.status_code == 404
    assert problem(answer)["code"] == "not_found"
    assert web_app.harness.store.calls == []


def test_secret_is_in_no_event_and_no_answer(web_app: WebApp) -> None:
    texts = [
        push(web_app, delivered(web_app) if web_app.open_verification() else None).get_data(as_text=True),
        push(web_app, address="/aliyun/reports/" + SECRET[:-1]).get_data(as_text=True),
        web_app.send(ADDRESS, b"no json", key=None).get_data(as_text=True),
        repr(web_app.deps.report_receiver),
    ]

    assert SECRET[:-1] not in str(texts) + str(web_app.harness.events.emitted)


def test_without_a_secret_the_endpoint_does_not_exist() -> None:
    assert open_web_app().get(ADDRESS).status_code == 404


@pytest.mark.parametrize("body", [b"", b"no json", b"17", b"\xff"])
def test_invalid_push_is_rejected(web_app: WebApp, body: bytes) -> None:
    assert problem(web_app.send(ADDRESS, body, key=None))["code"] == "invalid_request"


def test_media_type_does_not_matter(web_app: WebApp) -> None:
    assert web_app.send(ADDRESS, b"[]", key=None, media_type=None).status_code == 200
    assert web_app.send(ADDRESS, b"[]", key=None, media_type="text/plain").status_code == 200


def test_size_has_a_limit(web_app: WebApp) -> None:
    fits = b"[" + b" " * (256 * 1024 - 2) + b"]"

    assert web_app.send(ADDRESS, fits, key=None).status_code == 200
    assert problem(web_app.send(ADDRESS, fits + b" ", key=None))["code"] == "payload_too_large"


def test_malformed_items_do_not_affect_the_others(web_app: WebApp) -> None:
    web_app.open_verification()

    assert push(web_app, 17, delivered(web_app), {"new": "kind"}).status_code == 200
    (counts,) = web_app.harness.events.of("delivery_report_batch")
    assert (counts["updated"], counts["malformed"]) == (1, 2)


def test_failing_store_makes_aliyun_push_again(web_app: WebApp) -> None:
    web_app.open_verification()
    web_app.harness.store.failing.add("apply_delivery_reports")

    assert push(web_app, delivered(web_app)).status_code == 503
    web_app.harness.store.failing.clear()
    assert push(web_app, delivered(web_app)).status_code == 200


def test_unforwarded_inbound_sms_is_pushed_again(web_app: WebApp, recorder: RecordingForwarder) -> None:
    reply = {"phone_number": "13800138000", "content": "T"}
    recorder.takes = False
    first = push(web_app, reply).status_code
    recorder.takes = True

    assert (first, push(web_app, reply).status_code) == (503, 200)


@pytest.mark.parametrize("method", ["put", "delete", "patch", "options"])
def test_other_methods_are_not_allowed(web_app: WebApp, method: str) -> None:
    assert getattr(web_app.client, method)(ADDRESS).status_code == 405
