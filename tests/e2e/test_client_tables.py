"""Settings of one client, through the whole service: the routes of its SMS and its limits."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
from support.deployment import (
    ACCESS_KEY_ID,
    ACCESS_KEY_SECRET,
    Answer,
    Deployment,
    new_phone,
    post,
    running_service,
)
from support.redis_servers import Server

from otp_service.domain.clients import key_digest
from otp_service.sandbox.config import DEFAULT_SIGN_NAME

BANK_KEY = f"sk_{secrets.token_urlsafe(32)}"
PRESET = "速通互联验证码"


def add_bank(text: str) -> str:
    """Add a client with its own limits that uses only the second route, which is open to all clients."""
    endpoint = text.partition('endpoint = "')[2].partition('"')[0]
    bank = f"""
[clients.bank]
secret_key_digests = ["{key_digest(BANK_KEY)}"]
proof_keys = ["{secrets.token_urlsafe(32)}"]
routes = ["second"]
sms_per_day = 100

[clients.bank.limits]
sends_per_hour = 1

[[routes]]
name = "main"
"""
    second = f"""
[[routes]]
name = "second"
provider = "aliyun-pnvs"
access_key_id = "{ACCESS_KEY_ID}"
access_key_secret = "{ACCESS_KEY_SECRET}"
endpoint = "{endpoint}"
sign_name = "{PRESET}"
[[routes.templates]]
template_code = "100001"
"""
    return text.replace('\n[[routes]]\nname = "main"\n', bank, 1) + second


@pytest.fixture(scope="module")
def service(redis_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    directory = tmp_path_factory.mktemp("service")
    with running_service(redis_server, directory, change=add_bank) as deployment:
        yield deployment


def request_as_bank(service: Deployment, phone: str) -> Answer:
    body = {"phone": phone, "purpose": "login"}
    return post(f"{service.url}/otp/request", body, Authorization=f"Bearer {BANK_KEY}")


def test_client_uses_only_its_routes(service: Deployment) -> None:
    ours, banks = new_phone(), new_phone()

    assert (service.request(ours).status, request_as_bank(service, banks).status) == (201, 201)
    assert [message["sign_name"] for message in service.inbox(ours)] == [DEFAULT_SIGN_NAME]
    assert [message["sign_name"] for message in service.inbox(banks)] == [PRESET]


def test_client_has_its_own_limits(service: Deployment) -> None:
    """The phone and its SMS are the same; the limits are those of the calling client."""
    phone = new_phone()
    response = request_as_bank(service, phone)
    as_bank, as_shop = request_as_bank(service, phone), service.request(phone)

    assert (response.status, response.body["sends_left"]) == (201, 0)
    assert (as_bank.body["limit"], as_shop.body["limit"]) == ("phone_sends_per_hour", "phone_cooldown")
    assert as_bank.body["retry_after"] > as_shop.body["retry_after"]
    assert len(service.inbox(phone)) == 1
