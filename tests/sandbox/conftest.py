from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import requests

from otp_service.sandbox import SandboxConfig, SandboxServer, start_sandbox
from otp_service.sms.aliyun.protocol import signature
from otp_service.sms.aliyun.protocol.timestamps import format_timestamp


class ManualClock:
    """A clock that shows the same time until a test advances it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 8, 7, 41, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **span: float) -> None:
        self.now += timedelta(**span)


class Caller:
    """A client of the API that signs requests and sends them to a sandbox."""

    def __init__(self, url: str, clock: ManualClock) -> None:
        self.url = url
        self.clock = clock
        self.session = requests.Session()
        self.session.trust_env = False

    def params(self, **changes: str | None) -> dict[str, str]:
        """Return the parameters of a valid SendSms request. A change to None removes a parameter."""
        params = {
            "AccessKeyId": "testId",
            "Action": "SendSms",
            "Format": "JSON",
            "PhoneNumbers": "13800138000",
            "SignName": "云通信测试",
            "SignatureMethod": "HMAC-SHA1",
            "SignatureNonce": uuid4().hex,
            "SignatureVersion": "1.0",
            "TemplateCode": "SMS_100000001",
            "TemplateParam": '{"code":"123456"}',
            "Timestamp": format_timestamp(self.clock()),
            "Version": "2017-05-25",
            **changes,
        }
        return {name: value for name, value in params.items() if value is not None}

    def call(self, action: str, secret: str = "testSecret", **business: str | None) -> requests.Response:
        """Call an action with the common parameters and *business* only."""
        sms = dict.fromkeys(("PhoneNumbers", "SignName", "TemplateCode", "TemplateParam"))
        return self.v1(secret=secret, **{**sms, "Action": action, **business})

    def v1(
        self, method: str = "POST", secret: str = "testSecret", **changes: str | None
    ) -> requests.Response:
        params = self.params(**changes)
        text = signature.v1_string_to_sign(method, params.items())
        params.setdefault("Signature", signature.v1_signature(secret, text))
        request = {"data": params} if method == "POST" else {"params": params}
        return self.raw(method, **request)

    def v3(
        self,
        headers: Mapping[str, str] | None = None,
        announced: str = signature.body_sha256(b""),
        **changes: str | None,
    ) -> requests.Response:
        params = self.params(**changes)
        business = ("PhoneNumbers", "SignName", "TemplateCode", "TemplateParam", "OutId", "MessageType")
        query = [(name, params[name]) for name in business if name in params]
        signed = {
            "host": self.url.removeprefix("http://"),
            "x-acs-action": params["Action"],
            "x-acs-version": params["Version"],
            "x-acs-date": params["Timestamp"],
            "x-acs-signature-nonce": params["SignatureNonce"],
            "x-acs-content-sha256": announced,
        }
        canonical = signature.v3_canonical_request("POST", query, signed, signature.body_sha256(b""))
        mac = signature.v3_signature("testSecret", signature.v3_string_to_sign(canonical))
        authorization = signature.v3_authorization("testId", signed, mac)
        sent = {**signed, "Authorization": authorization, **(headers or {})}
        return self.raw("POST", "/?" + signature.canonical_query(query), headers=sent)

    def raw(self, method: str, path: str = "/", **options: Any) -> requests.Response:
        return self.session.request(method, self.url + path, timeout=5, allow_redirects=False, **options)

    def inbox(self, query: str = "") -> list[dict[str, str]]:
        return json.loads(self.raw("GET", "/inbox.json" + query).content)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def config() -> SandboxConfig:
    return SandboxConfig.default({"testId": "testSecret", "otherId": "otherSecret"})


@pytest.fixture
def server(config: SandboxConfig, clock: ManualClock, pauses: list[float]) -> Iterator[SandboxServer]:
    with start_sandbox(config, clock=clock, pause=pauses.append) as server:
        yield server


@pytest.fixture
def caller(server: SandboxServer, clock: ManualClock) -> Iterator[Caller]:
    caller = Caller(server.url, clock)
    with caller.session:
        yield caller
