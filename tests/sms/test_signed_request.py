from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from otp_service.sms.aliyun.protocol import signature
from otp_service.sms.aliyun.signed_request import AccessKey, Operation, SignatureContext, sign_v1, sign_v3
from otp_service.sms.endpoint import Endpoint

VECTORS: dict[str, Any] = {
    vector["name"]: vector
    for vector in json.loads((Path(__file__).parents[1] / "data" / "aliyun_vectors.json").read_text())
}
BUSINESS = ("PhoneNumbers", "SignName", "TemplateCode", "TemplateParam", "OutId", "SmsUpExtendCode")
SEND_SMS = [
    name
    for name, vector in VECTORS.items()
    if vector.get("params", {}).get("Action") == "SendSms"
    or vector.get("headers", {}).get("x-acs-action") == "SendSms"
]
V1 = [name for name in SEND_SMS if "V1" in VECTORS[name]["scheme"]]
V3 = [name for name in SEND_SMS if "ACS3" in VECTORS[name]["scheme"]]
HERE = Endpoint.read("http://127.0.0.1:36559")
SEND = Operation("SendSms", "2017-05-25")


def access_key(vector: dict[str, Any]) -> AccessKey:
    token = vector.get("params", {}).get("SecurityToken") or vector.get("headers", {}).get(
        "x-acs-security-token"
    )
    return AccessKey(vector["access_key_id"], vector["access_key_secret"], token or "")


def test_v1_request_is_the_one_an_official_sdk_sent() -> None:
    vector = VECTORS["smssdk_post_simple"]
    params = vector["params"]
    business = {name: params[name] for name in BUSINESS if name in params}
    context = SignatureContext(params["SignatureNonce"], params["Timestamp"])
    request = sign_v1(HERE, access_key(vector), SEND, business, context)
    sent = dict(parse_qsl(request.body.decode(), keep_blank_values=True))

    assert sent == params
    assert sent["Signature"] == vector["signature"]
    assert signature.v1_string_to_sign("POST", sent.items()) == vector["string_to_sign"]
    assert request.url == "http://127.0.0.1:36559/"
    assert dict(request.headers) == {
        "Host": "127.0.0.1:36559",
        "Content-Type": "application/x-www-form-urlencoded",
    }


@pytest.mark.parametrize("name", V1)
def test_v1_signs_the_same_string_as_the_sdks_but_for_what_they_add(name: str) -> None:
    vector = VECTORS[name]
    params = vector["params"]
    business = {key: params[key] for key in BUSINESS if key in params}
    request = sign_v1(
        HERE,
        access_key(vector),
        SEND,
        business,
        SignatureContext(params["SignatureNonce"], params["Timestamp"]),
    )
    sent = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
    added = {key: params[key] for key in params if key not in sent}

    assert set(added) <= {"RegionId", "SignatureType", "customer"}
    sent["Format"] = params["Format"]
    ours = signature.v1_string_to_sign(vector["method"], {**sent, **added}.items())
    assert ours == vector["string_to_sign"]


@pytest.mark.parametrize("name", V3)
def test_v3_signs_the_same_canonical_request_as_the_sdks_but_for_what_they_add(name: str) -> None:
    vector = VECTORS[name]
    headers = vector["headers"]
    params = dict(parse_qsl(urlsplit(vector["target"]).query, keep_blank_values=True))
    context = SignatureContext(headers["x-acs-signature-nonce"], headers["x-acs-date"])
    endpoint = Endpoint.read(f"http://{headers['host']}")
    request = sign_v3(endpoint, access_key(vector), SEND, params, context)
    signed = {key: value for key, value in request.headers.items() if key != "Authorization"}
    added = {key: value for key, value in headers.items() if key not in signed}

    assert set(added) <= {"accept", "user-agent", "x-acs-credentials-provider"}
    content_sha256 = signed["x-acs-content-sha256"]
    canonical = signature.v3_canonical_request("POST", params.items(), {**signed, **added}, content_sha256)
    assert canonical == vector["canonical_request"]
    assert urlsplit(request.url).query == canonical.split("\n")[2]
    assert request.body == b""


def test_v3_authorization_covers_every_header_that_must_be_signed() -> None:
    context = SignatureContext("nonce", "2026-11-23T08:07:41Z")
    request = sign_v3(HERE, AccessKey("id", "secret", "token"), SEND, {"B": "2", "A": "1 ~*"}, context)
    names = sorted(set(request.headers) - {"Authorization"})
    canonical = "\n".join(
        [
            "POST",
            "/",
            f"A=1{quote(' ')}~{quote('*')}&B=2",
            *(f"{name}:{request.headers[name]}" for name in names),
            "",
            ";".join(names),
            hashlib.sha256(b"").hexdigest(),
        ]
    )
    to_sign = "ACS3-HMAC-SHA256\n" + hashlib.sha256(canonical.encode()).hexdigest()
    mac = hmac.new(b"secret", to_sign.encode(), "sha256").hexdigest()

    assert request.headers["Authorization"] == (
        f"ACS3-HMAC-SHA256 Credential=id,SignedHeaders={';'.join(names)},Signature={mac}"
    )
    assert names == [
        "host",
        "x-acs-accesskey-id",
        "x-acs-action",
        "x-acs-content-sha256",
        "x-acs-date",
        "x-acs-security-token",
        "x-acs-signature-nonce",
        "x-acs-version",
    ]


def test_v1_sends_and_signs_a_security_token() -> None:
    request = sign_v1(HERE, AccessKey("id", "secret", "token+/="), SEND, {}, SignatureContext("n", "t"))
    sent = dict(parse_qsl(request.body.decode()))

    assert sent["SecurityToken"] == "token+/="
    to_sign = signature.v1_string_to_sign("POST", sent.items())
    assert sent["Signature"] == signature.v1_signature("secret", to_sign)


def test_neither_key_nor_request_prints_its_secrets() -> None:
    key = AccessKey("testId", "testSecret", "testToken")
    params = {"PhoneNumbers": "13800138000"}
    printed = repr(
        (key, *(sign(HERE, key, SEND, params, SignatureContext("n", "t")) for sign in (sign_v1, sign_v3)))
    )

    assert "testId" in printed
    for secret in ("testSecret", "testToken", "13800138000"):
        assert secret not in printed
