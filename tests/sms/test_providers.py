"""Providers built from settings, with every kind of account and endpoint."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from sms import wire
from sms.doubles import CODE, MAINLAND, ManualClock, RealClock, sms
from sms.wire import WireServer, response

from otp_service.domain.clients import key_digest
from otp_service.domain.messages import SendStatus, select_template
from otp_service.sandbox import SandboxConfig, SandboxServer, StsKey, start_sandbox
from otp_service.settings import load
from otp_service.settings.routes import RouteConfig
from otp_service.sms.aliyun.api import AliyunApi
from otp_service.sms.aliyun.pnvs import AliyunPnvs
from otp_service.sms.aliyun.protocol import signature
from otp_service.sms.aliyun.sms import AliyunSms
from otp_service.sms.factory import PROVIDER_FACTORIES, build_provider
from otp_service.sms.http import HttpClient, HttpResponse
from otp_service.sms.provider import Provider, ProviderResult
from otp_service.sms.webhook import WebhookProvider

WHSEC = "whsec_" + base64.b64encode(bytes(range(32))).decode()
PNVS = {"provider": "aliyun-pnvs", "sign_name": "速通互联验证码", "templates": [{"template_code": "100001"}]}
SMS = {"provider": "aliyun-sms", "sign_name": "云通信测试", "templates": [{"template_code": "SMS_100000000"}]}
BOTH = pytest.mark.parametrize("route", [SMS, PNVS], ids=["aliyun-sms", "aliyun-pnvs"])

Raw = dict[str, Any]


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    config = replace(
        SandboxConfig.default({"testId": "testSecret"}),
        sts_keys={"STS.id": StsKey("stsSecret", "stsToken", tomorrow)},
    )
    with start_sandbox(config) as server:
        yield server


def table(route: Raw, environ: Mapping[str, str] | None = None, **more: Any) -> RouteConfig:
    """Return the route as the settings load it, with the other settings that they require."""
    account = {} if environ else {"access_key_id": "testId", "access_key_secret": "testSecret"}
    raw = {"name": "main", **({} if route.get("provider") == "webhook" else account), **route, **more}
    around = {
        "KEYS": {"active_kid": "a", "pseudonym_key": _random(1), "roots": {"a": _random(2)}},
        "PURPOSES": {"login": {}},
        "CLIENTS": {"shop": {"secret_key_digests": [key_digest("sk")], "proof_keys": [_random(3)]}},
        "ROUTES": [raw],
    }
    variables = {f"OTP_SERVICE__{name}": json.dumps(value) for name, value in around.items()}
    return load(None, {**variables, **(environ or {})}).routes[0]


def _random(seed: int) -> str:
    return base64.b64encode(bytes((seed * 31 + i * 7) % 256 for i in range(32))).decode()


def send(route: RouteConfig) -> ProviderResult:
    provider = build_provider(route, code_seconds=330, clock=RealClock(), max_in_flight=1)
    message = sms()
    template = select_template(route.all_templates(), message)
    assert template is not None
    try:
        return provider.send(message, template, time.monotonic() + 5)
    finally:
        provider.close()


# ── each kind ──


def test_every_provider_of_the_settings_can_be_built() -> None:
    assert set(PROVIDER_FACTORIES) == set(get_args(RouteConfig.model_fields["provider"].annotation))


@pytest.mark.parametrize(
    ("route", "kind"),
    [
        (SMS, AliyunSms),
        (PNVS, AliyunPnvs),
        ({"provider": "webhook", "url": "https://example.org/otp", "secret": WHSEC}, WebhookProvider),
        ({**SMS, "provider": "sandbox", "endpoint": "http://127.0.0.1:1"}, AliyunSms),
    ],
    ids=["aliyun-sms", "aliyun-pnvs", "webhook", "sandbox"],
)
def test_settings_build_their_provider(route: Raw, kind: type[Provider]) -> None:
    provider = build_provider(table(route), code_seconds=300, clock=RealClock())
    provider.close()

    assert type(provider) is kind


def test_webhook_of_the_settings_posts_an_sms() -> None:
    with WireServer(wire.answers(response(b"{}"))) as server:
        route = {"provider": "webhook", "url": f"{server.url}/otp", "secret": WHSEC, "sign_name": "商店"}
        outcome = send(table(route)).outcome

    head, _, body = server.requests[0].decode().partition("\r\n\r\n")
    data = json.loads(body)["data"]
    assert outcome.status is SendStatus.ACCEPTED
    assert head.startswith("POST /otp HTTP/1.1\r\n")
    assert (data["phone"], data["code"], data["sign_name"]) == (MAINLAND.e164, CODE, "商店")
    assert (data["template_code"], data["params"]) == ("", {"code": CODE})


def test_minutes_of_pnvs_are_the_code_lifetime_rounded_down(sandbox: SandboxServer) -> None:
    """The text for 330 seconds says five minutes, so it promises no more than is true."""
    outcome = send(table(PNVS, endpoint=sandbox.url)).outcome

    assert outcome.status is SendStatus.ACCEPTED
    assert "5分钟内有效" in _last_text(sandbox)


def _last_text(server: SandboxServer) -> str:
    import requests  # noqa: PLC0415 - the inbox is a page

    with requests.Session() as session:
        session.trust_env = False
        return str(session.get(f"{server.inbox_url}.json", timeout=5).json()[0]["text"])


# ── each way to name an account ──


@BOTH
def test_account_may_be_in_the_settings(sandbox: SandboxServer, route: Raw) -> None:
    assert send(table(route, endpoint=sandbox.url)).outcome.status is SendStatus.ACCEPTED


@BOTH
def test_temporary_account_may_be_in_files(sandbox: SandboxServer, route: Raw, tmp_path: Path) -> None:
    account = {"access_key_id": "STS.id", "access_key_secret": "stsSecret", "security_token": "stsToken"}
    for name, text in account.items():
        (tmp_path / name).write_text(f"{text}\n", encoding="utf-8")
    files = {f"{name}_file": str(tmp_path / name) for name in account}
    configured = table(route, {"OTP_SERVICE_HOME": "-"}, endpoint=sandbox.url, **files)

    assert send(configured).outcome.status is SendStatus.ACCEPTED


@BOTH
@pytest.mark.parametrize(
    "account", [("testId", "testSecret", ""), ("STS.id", "stsSecret", "stsToken")], ids=["lasting", "STS"]
)
def test_account_may_be_in_alibabas_variables(
    sandbox: SandboxServer, route: Raw, account: tuple[str, str, str]
) -> None:
    names = ("ACCESS_KEY_ID", "ACCESS_KEY_SECRET", "SECURITY_TOKEN")
    environ = {f"ALIBABA_CLOUD_{name}": text for name, text in zip(names, account, strict=True)}

    assert send(table(route, environ, endpoint=sandbox.url)).outcome.status is SendStatus.ACCEPTED


@BOTH
def test_second_access_key_replaces_a_disabled_one(sandbox: SandboxServer, route: Raw) -> None:
    keys = {
        "access_key_id": "oldId",
        "access_key_secret": "oldSecret",
        "second_access_key_id": "testId",
        "second_access_key_secret": "testSecret",
    }

    assert send(table(route, endpoint=sandbox.url, **keys)).outcome.status is SendStatus.ACCEPTED


# ── each endpoint ──


class RecordingHttpClient(HttpClient):
    """Records posts without sending them."""

    def __init__(self) -> None:
        super().__init__(max_connections=1)
        self.posts: list[tuple[str, Mapping[str, str]]] = []

    def post(self, url: str, headers: Mapping[str, str], body: bytes, *, seconds: float) -> HttpResponse:
        self.posts.append((url, headers))
        return HttpResponse(200, {}, b"")


def signed_request_of(route: RouteConfig) -> tuple[str, Mapping[str, str]]:
    provider = build_provider(route, code_seconds=300, clock=ManualClock())
    assert isinstance(provider, AliyunSms | AliyunPnvs)
    api: AliyunApi = provider._api
    recording_client = RecordingHttpClient()
    api._http.close()
    api._http = recording_client
    provider.send(sms(), route.all_templates()[0], ManualClock().monotonic() + 5)
    return recording_client.posts[0]


@pytest.mark.parametrize("scheme", ["v1", "v3"])
@pytest.mark.parametrize(
    ("route", "endpoint", "host"),
    [
        (SMS, None, "dysmsapi.aliyuncs.com"),
        (PNVS, None, "dypnsapi.aliyuncs.com"),
        (SMS, "https://dysmsapi-xman.vpc-proxy.aliyuncs.com", "dysmsapi-xman.vpc-proxy.aliyuncs.com"),
        (
            SMS,
            "https://dysmsapi-xman-vpc.cn-beijing.aliyuncs.com",
            "dysmsapi-xman-vpc.cn-beijing.aliyuncs.com",
        ),
        (
            SMS,
            "https://dysmsapi.ap-southeast-1.aliyuncs.com:443/",
            "dysmsapi.ap-southeast-1.aliyuncs.com",
        ),
    ],
    ids=["SMS", "PNVS", "VPC", "VPC of a region", "region"],
)
def test_call_goes_to_its_endpoint_and_is_signed_for_it(
    route: Raw, endpoint: str | None, host: str, scheme: str
) -> None:
    more = {"endpoint": endpoint} if endpoint else {}
    url, headers = signed_request_of(table(route, signature=scheme, **more))

    assert url.partition("?")[0] == f"https://{host}/"
    assert {name.lower(): value for name, value in headers.items()}["host"] == host
    if scheme == "v3":
        assert "host" in headers["Authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
        assert headers["Authorization"].endswith(_v3_mac(url, {**headers, "host": host}))


def _v3_mac(url: str, headers: Mapping[str, str]) -> str:
    """Return the signature that Aliyun computes from the request that reached *host*."""
    signed = {name: headers[name] for name in sorted(headers) if name != "Authorization"}
    lines = "".join(f"{name}:{value}\n" for name, value in signed.items())
    empty = signature.body_sha256(b"")
    canonical = f"POST\n/\n{url.partition('?')[2]}\n{lines}\n{';'.join(signed)}\n{empty}"
    text = f"ACS3-HMAC-SHA256\n{signature.body_sha256(canonical.encode())}"
    return hmac.new(b"testSecret", text.encode(), "sha256").hexdigest()
