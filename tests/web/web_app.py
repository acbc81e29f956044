"""A Flask application with the web package and a service on fakes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from support import fakes
from werkzeug.test import TestResponse

from otp_service.sms.aliyun.reports import describe_failure
from otp_service.web import ApiDependencies, create_blueprint, install_problems
from otp_service.web.aliyun_reports import AliyunReportEndpoint

PHONE = "+8613800138000"
OTHER_PHONE = "+8613900139000"
UNKNOWN_ID = "A" * 22


@dataclass
class WebApp:
    """Makes calls to the application, and records the responses as *answers*."""

    harness: fakes.Harness
    deps: ApiDependencies
    client: FlaskClient
    routes: list[dict[str, object]]
    answers: list[TestResponse] = field(default_factory=list)

    def post(
        self, path: str, body: object, *, key: str | None = fakes.SHOP_KEY, **headers: str
    ) -> TestResponse:
        return self.send(path, json.dumps(body).encode(), key=key, **headers)

    def send(
        self,
        path: str,
        raw: bytes,
        *,
        key: str | None = fakes.SHOP_KEY,
        media_type: str | None = "application/json",
        **headers: str,
    ) -> TestResponse:
        all_headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            all_headers["Authorization"] = f"Bearer {key}"
        return self._record(self.client.post(path, data=raw, headers=all_headers, content_type=media_type))

    def get(self, path: str) -> TestResponse:
        return self._record(self.client.get(path))

    def request(self, phone: str = PHONE, **fields: Any) -> TestResponse:
        return self.post("/otp/request", {"phone": phone, "purpose": "login", **fields})

    def resend(self, verification_id: str) -> TestResponse:
        return self.post("/otp/request", {"phone": PHONE, "verification_id": verification_id})

    def verify(self, verification_id: str, code: object, **fields: Any) -> TestResponse:
        return self.post(
            "/otp/verify", {"phone": PHONE, "verification_id": verification_id, "code": code, **fields}
        )

    def open_verification(self) -> str:
        """Request a code and return the id of the verification."""
        return str(self.request().get_json()["verification_id"])

    def proof(self) -> str:
        """Complete a verification and return the proof."""
        return str(self.verify(self.open_verification(), self.harness.sender.last_code).get_json()["proof"])

    def _record(self, answer: TestResponse) -> TestResponse:
        self.answers.append(answer)
        return answer


def open_web_app(
    harness: fakes.Harness | None = None,
    prefix: str | None = None,
    report_receiver: AliyunReportEndpoint | None = None,
) -> WebApp:
    """Return an application with the API; with *prefix*, only its blueprint under that prefix."""
    harness = harness or fakes.harness()
    routes: list[dict[str, object]] = [{"name": "main", "state": "ok"}]
    deps = ApiDependencies(
        service=harness.service,
        pages=harness.pages,
        clients=harness.clients,
        store=harness.store,
        describe_failure=describe_failure,
        route_states=lambda: routes,
        events=harness.events,
        clock=harness.clock,
        report_receiver=report_receiver,
        global_risk_level=harness.usage_counters.global_risk_level,
    )
    app = Flask("web_app", static_folder=None)
    app.register_blueprint(create_blueprint(deps), url_prefix=prefix)
    if prefix is None:
        install_problems(app, deps)
    return WebApp(harness, deps, app.test_client(), routes)


def problem(answer: TestResponse) -> dict[str, Any]:
    """Return the problem document of *answer*, after checking its status, headers and fields."""
    document: dict[str, Any] = answer.get_json()
    assert answer.content_type == "application/problem+json"
    assert document["status"] == answer.status_code
    assert document["type"] == f"urn:otp-service:problem:{document['code']}"
    assert document["title"]
    assert document["request_id"] == answer.headers["X-Request-Id"]
    return document


def pointers(answer: TestResponse) -> list[str]:
    """Return the pointers in an `invalid_request`."""
    document = problem(answer)
    assert document["code"] == "invalid_request"
    assert all(error["detail"] for error in document["errors"])
    return [error["pointer"] for error in document["errors"]]
