from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from otp_service.sms.aliyun.protocol import signature

_FILE = Path(__file__).parents[2] / "data" / "aliyun_vectors.json"
VECTORS = [v for v in json.loads(_FILE.read_text("utf-8")) if v["scheme"] != "MNS"]
V1 = [v for v in VECTORS if v["scheme"].startswith("RPC-V1")]
V3 = [v for v in VECTORS if v["scheme"].startswith("ACS3")]


def _name(vector: dict[str, Any]) -> str:
    return vector["name"]


def _canonical(vector: dict[str, Any]) -> str:
    query = parse_qsl(urlsplit(vector["target"]).query, keep_blank_values=True)
    body = signature.body_sha256(vector["body"].encode())
    return signature.v3_canonical_request(vector["method"], query, vector["headers"], body)


def test_vectors_are_the_eighteen_requests_of_the_sms_apis() -> None:
    assert (len(V1), len(V3)) == (11, 7)


@pytest.mark.parametrize("vector", V1, ids=_name)
def test_v1_string_to_sign_is_the_sdks_own(vector: dict[str, Any]) -> None:
    ours = signature.v1_string_to_sign(vector["method"], vector["params"].items())

    assert ours == vector["string_to_sign"]


@pytest.mark.parametrize("vector", V1, ids=_name)
def test_v1_signature_is_the_sdks_own(vector: dict[str, Any]) -> None:
    ours = signature.v1_signature(vector["access_key_secret"], vector["string_to_sign"])

    assert ours == vector["signature"]


def test_v1_signature_is_left_out_of_its_own_string() -> None:
    pairs = [("Action", "SendSms"), ("Signature", "x")]

    assert signature.v1_string_to_sign("GET", pairs) == "GET&%2F&Action%3DSendSms"


@pytest.mark.parametrize("vector", V3, ids=_name)
def test_v3_canonical_request_is_the_sdks_own(vector: dict[str, Any]) -> None:
    assert _canonical(vector) == vector["canonical_request"]


@pytest.mark.parametrize("vector", V3, ids=_name)
def test_v3_authorization_is_the_sdks_own(vector: dict[str, Any]) -> None:
    string_to_sign = signature.v3_string_to_sign(_canonical(vector))
    mac = signature.v3_signature(vector["access_key_secret"], string_to_sign)

    assert string_to_sign == vector["string_to_sign"]
    assert mac == vector["signature"]
    assert signature.v3_authorization("testId", vector["headers"], mac) == vector["authorization"]


@pytest.mark.parametrize("vector", V3, ids=_name)
def test_v3_authorization_can_be_read_again(vector: dict[str, Any]) -> None:
    parsed = signature.parse_v3_authorization(vector["authorization"])

    assert parsed == signature.V3Authorization(
        "testId", tuple(sorted(vector["headers"])), vector["signature"]
    )


@pytest.mark.parametrize(
    "header",
    ["", "ACS3-HMAC-SHA256", "ACS3-HMAC-SM3 Credential=a,SignedHeaders=b,Signature=c", "Bearer x"],
)
def test_other_authorization_is_not_read(header: str) -> None:
    with pytest.raises(ValueError, match="not an ACS3"):
        signature.parse_v3_authorization(header)


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("AZaz09-_.~", "AZaz09-_.~"),
        (" +*/", "%20%2B%2A%2F"),
        ("!'()", "%21%27%28%29"),
        ("验", "%E9%AA%8C"),
        ("😀", "%F0%9F%98%80"),
    ],
    ids=["unreserved", "form_traps", "node_traps", "chinese", "emoji"],
)
def test_percent_encode_leaves_only_unreserved(text: str, encoded: str) -> None:
    assert signature.percent_encode(text) == encoded
