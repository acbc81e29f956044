"""Route selection by client, purpose, country and locale, through the whole service."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator

import pytest
from standardwebhooks import Webhook as Receiver
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
from support.scripted_service import Answer as ScriptedAnswer
from support.scripted_service import ScriptedService, says, serving

from otp_service.domain.clients import key_digest
from otp_service.sandbox.config import DEFAULT_SIGN_NAME

BANK_KEY = f"sk_{secrets.token_urlsafe(32)}"
WHSEC = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
PRESET = "速通互联验证码"


def new_hong_kong_phone() -> str:
    return f"+8525123{secrets.randbelow(10**4):04d}"


def with_more_routes(text: str, sandbox_url: str, receiver_url: str) -> str:
    """Add a route for the bank and one for other countries than the mainland, before the default route."""
    more = f"""
[clients.bank]
secret_key_digests = ["{key_digest(BANK_KEY)}"]
proof_keys = ["{secrets.token_urlsafe(32)}"]
sms_per_day = 100

[[routes]]
name = "bank"
provider = "aliyun-pnvs"
clients = ["bank"]
access_key_id = "{ACCESS_KEY_ID}"
access_key_secret = "{ACCESS_KEY_SECRET}"
endpoint = "{sandbox_url}"
sign_name = "{PRESET}"
[[routes.templates]]
template_code = "100001"
[[routes.templates]]
purpose = "signup"
template_code = "100005"

[[routes]]
name = "abroad"
provider = "webhook"
url = "{receiver_url}/otp"
secret = "{WHSEC}"
[[routes.templates]]
country = "international"
[[routes.templates]]
country = "international"
locale = "en"
template_code = "english"
[[routes.templates]]
country = "international"
locale = "fr"
template_code = "rests after a refusal"

[[routes]]
name = "main"
"""
    text = text.replace("[service]", '[service]\ncountries = ["CN", "HK"]', 1)
    text = text.replace('purpose = "', 'country = "CN"\npurpose = "')
    return text.replace('\n[[routes]]\nname = "main"\n', more, 1)


@pytest.fixture(scope="module")
def receiver() -> Iterator[ScriptedService]:
    with serving() as scripted:
        yield scripted


@pytest.fixture(scope="module")
def service(
    redis_server: Server, receiver: ScriptedService, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    def change(text: str) -> str:
        endpoint = text.partition('endpoint = "')[2].partition('"')[0]
        return with_more_routes(text, endpoint, receiver.url)

    with running_service(redis_server, tmp_path_factory.mktemp("service"), change=change) as deployment:
        yield deployment


def call_as_bank(service: Deployment, path: str, **body: object) -> Answer:
    return post(f"{service.url}{path}", body, Authorization=f"Bearer {BANK_KEY}")


def test_client_without_its_own_route_uses_the_shared_one(service: Deployment) -> None:
    phone = new_phone()

    assert service.request(phone).status == 201
    assert [message["sign_name"] for message in service.inbox(phone)] == [DEFAULT_SIGN_NAME]


@pytest.mark.parametrize(("purpose", "template_code"), [("login", "100001"), ("signup", "100005")])
def test_client_with_its_own_route_uses_its_own_sign_name(
    service: Deployment, purpose: str, template_code: str
) -> None:
    """PNVS carries a code of this service, which verifies it."""
    phone = new_phone()
    response = call_as_bank(service, "/otp/request", phone=phone, purpose=purpose)
    (message,) = service.inbox(phone)
    verified = call_as_bank(
        service,
        "/otp/verify",
        phone=phone,
        verification_id=response.body["verification_id"],
        code=message["code"],
    )

    assert (response.status, verified.status) == (201, 200)
    assert (message["sign_name"], message["template_code"]) == (PRESET, template_code)
    assert "5分钟" in message["text"]


@pytest.mark.parametrize(("locale", "template_code"), [("en", "english"), ("zh-HK", "")])
def test_number_of_another_country_is_sent_by_the_webhook(
    service: Deployment, receiver: ScriptedService, locale: str, template_code: str
) -> None:
    phone = new_hong_kong_phone()
    receiver.will(says(202, {}))
    response = service.request(phone, locale=locale)
    call = receiver.calls[-1]
    data = Receiver(WHSEC).verify(call.body, call.headers)["data"]

    assert response.status == 201
    assert (data["phone"], data["client"], data["template_code"]) == (phone, "shop", template_code)
    assert service.verify(phone, response.body["verification_id"], data["code"]).status == 200


@pytest.mark.parametrize(
    ("locale", "refusal", "expected"),
    [
        ("", says(422, {"code": "destination_rejected"}), (422, "destination_rejected")),
        ("de", says(429, {}, Retry_After="3"), (503, "provider_unavailable")),
        ("fr", says(401, {}), (502, "provider_misconfigured")),
    ],
    ids=["rejected", "busy", "wrong secret"],
)
def test_rejection_by_the_webhook_reaches_the_caller(
    service: Deployment,
    receiver: ScriptedService,
    locale: str,
    refusal: ScriptedAnswer,
    expected: tuple[int, str],
) -> None:
    phone = new_hong_kong_phone()
    receiver.will(refusal)
    answer = service.request(phone, **({"locale": locale} if locale else {}))

    assert (answer.status, answer.body["code"]) == expected
    assert service.inbox(phone) == []
