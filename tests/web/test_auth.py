"""Keys: which key may make which call."""

from __future__ import annotations

import pytest
from flask import Request
from support import fakes
from web.web_app import PHONE, UNKNOWN_ID, WebApp, open_web_app, problem

from otp_service.domain.clients import Caller, KeyKind
from otp_service.domain.errors import Forbidden, Unauthorized
from otp_service.web.api import auth, endpoints
from otp_service.web.api.endpoints import ApiCall
from otp_service.web.api.routes import ENDPOINTS, Endpoint
from otp_service.web.api.schemas import SendCodeRequest, VerifyRequest

HEADERS = {
    "none": None,
    "empty": "",
    "no scheme": fakes.SHOP_KEY,
    "no key": "Bearer",
    "no key, a space": "Bearer ",
    "basic": "Basic c2hvcDpzaG9w",
    "unknown key": "Bearer sk_unknown-0123456789abcdefghijklmnopqrstu",
    "publishable key": "Bearer pk_shop-0123456789abcdefghijklmnopqrstuvwx",
    "key cut short": f"Bearer {fakes.SHOP_KEY[:-1]}",
    "key and more": f"Bearer {fakes.SHOP_KEY}x",
    "two keys": f"Bearer {fakes.SHOP_KEY}, {fakes.SHOP_KEY}",
    "odd characters": "Bearer sk_ÿÿÿÿ",
    "far too long": "Bearer sk_" + "a" * 5000,
    "digest instead of key": f"Bearer {fakes.SHOP.secret_key_digests[0]}",
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
@pytest.mark.parametrize("call", ENDPOINTS, ids=lambda call: call.name)
def test_call_without_a_known_key_is_rejected(web_app: WebApp, call: Endpoint, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}

    answer = web_app.client.post(call.path, data=b"{", headers=headers)

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert problem(answer)["code"] == "unauthorized"
    assert web_app.harness.store.calls == []


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_name_of_the_scheme_is_case_insensitive(scheme: str) -> None:
    caller = auth.authenticate(f"{scheme} {fakes.SHOP_KEY}", fakes.harness().clients)

    assert caller == Caller(fakes.SHOP, KeyKind.SECRET)


def test_each_key_identifies_its_own_client(web_app: WebApp) -> None:
    verification_id = web_app.open_verification()
    named = {"phone": PHONE, "verification_id": verification_id}

    assert problem(web_app.post("/otp/status", named, key=fakes.BANK_KEY))["code"] == "verification_not_found"
    assert web_app.post("/otp/status", named).status_code == 200


def test_permissions_of_keys_are_pinned() -> None:
    assert {call.name: sorted(call.callers) for call in ENDPOINTS} == {
        "request": ["pk", "sk"],
        "verify": ["pk", "sk"],
        "redeem": ["sk"],
        "status": ["pk", "sk"],
        "cancel": ["pk", "sk"],
        "unlock": ["sk"],
        "make_page": ["sk"],
    }


def test_publishable_key_cannot_make_server_calls() -> None:
    with pytest.raises(Forbidden):
        auth.require_kind(Caller(fakes.SHOP, KeyKind.PUBLISHABLE), auth.SERVERS)


@pytest.mark.parametrize(
    "field",
    [
        {"client_ip": "203.0.113.7"},
        {"known_phone": True},
        {"known_device": True},
        {"accepts_challenge": False},
    ],
    ids=str,
)
def test_publishable_key_cannot_use_server_fields(field: dict[str, object]) -> None:
    web_app = open_web_app()
    browser = Caller(fakes.SHOP, KeyKind.PUBLISHABLE)

    with pytest.raises(Forbidden):
        endpoints.request(
            ApiCall(web_app.deps, browser, Request.from_values()),
            SendCodeRequest.read({"phone": PHONE, "purpose": "login", **field}),
        )

    assert web_app.harness.sender.sent == []


@pytest.mark.parametrize("call", ["request", "resend"])
@pytest.mark.parametrize("known_device", [True, False, None])
def test_a38_known_device_is_passed_to_every_step_of_a_call(call: str, known_device: bool | None) -> None:  # noqa: FBT001
    web_app = open_web_app()
    fields = {} if known_device is None else {"known_device": known_device}
    if call == "request":
        answer = web_app.request(**fields)
    else:
        opened = {"phone": PHONE, "verification_id": web_app.open_verification()}
        web_app.harness.clock.advance(60)
        web_app.harness.store.phone_keys.clear()
        answer = web_app.post("/otp/request", {**opened, **fields})

    assert answer.status_code == 201
    assert {phone_key.known_device for phone_key in web_app.harness.store.phone_keys} == {
        known_device or False
    }


def test_browser_need_not_send_its_address() -> None:
    web_app = open_web_app()
    browser = Caller(fakes.BANK, KeyKind.PUBLISHABLE)

    call = ApiCall(web_app.deps, browser, Request.from_values())

    assert endpoints.request(call, SendCodeRequest.read({"phone": PHONE})).status == 201


def test_verify_accepts_an_address_from_servers_only() -> None:
    web_app = open_web_app()
    browser = Caller(fakes.SHOP, KeyKind.PUBLISHABLE)
    body = VerifyRequest.read(
        {"phone": PHONE, "verification_id": UNKNOWN_ID, "code": "123456", "client_ip": "203.0.113.7"}
    )

    with pytest.raises(Forbidden):
        endpoints.verify(ApiCall(web_app.deps, browser, Request.from_values()), body)


def test_malformed_header_is_not_repeated_in_the_answer() -> None:
    with pytest.raises(Unauthorized) as error:
        auth.authenticate("Bearer SECRET", fakes.harness().clients)

    assert "SECRET" not in repr(error.value)
