from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from otp_service.sandbox.answers import Refused
from otp_service.sandbox.api_request import ApiRequest
from otp_service.sandbox.credentials import Credentials
from otp_service.sandbox.nonces import Nonces
from otp_service.sandbox.sts_key import StsKey
from otp_service.sandbox.verifier import Verifier
from otp_service.sms.aliyun.protocol.timestamps import parse_timestamp

_FILE = Path(__file__).parents[1] / "data" / "aliyun_vectors.json"
VECTORS = [v for v in json.loads(_FILE.read_text("utf-8")) if v["scheme"] != "MNS"]
SECURITY_TOKEN = "testSecurityToken/with+special=chars"


def _request(vector: dict[str, Any]) -> ApiRequest:
    """Rebuild a captured request; one vector has no target, only parameters."""
    signed = {**vector.get("params", {}), "Signature": vector["signature"]}
    target = vector.get("target", "/?" + urlencode(signed))
    headers = dict(vector.get("headers", {}))
    if "authorization" in vector:
        headers["authorization"] = vector["authorization"]
    builder = EnvironBuilder(
        path="/",
        query_string=target.partition("?")[2],
        method=vector["method"],
        headers=headers,
        data=vector.get("body", ""),
    )
    environ = builder.get_environ()
    environ["HTTP_HOST"] = headers.get("host", "dysmsapi.aliyuncs.com")
    return ApiRequest.from_flask(Request(environ))


def _verifier(vector: dict[str, Any], secret: str = "testSecret") -> Verifier:
    """A verifier that has seen no nonce and lives at the time of the capture."""
    moment = vector.get("params", {}).get("Timestamp") or vector["headers"]["x-acs-date"]
    return Verifier(_credentials(vector, secret), Nonces(), lambda: parse_timestamp(moment))


def _credentials(vector: dict[str, Any], secret: str) -> Credentials:
    """The key of the capture: a temporary one where a security token came along."""
    if "x-acs-security-token" in vector.get("headers", {}):
        return Credentials({}, {"testId": StsKey(secret, SECURITY_TOKEN)})
    return Credentials({"testId": secret})


def _other(char: str) -> str:
    return "y" if char == "x" else "x"


def _spoiled(text: str) -> Iterator[str]:
    """Change each character of *text* in turn, take its last one away, add one."""
    for place, char in enumerate(text):
        yield text[:place] + _other(char) + text[place + 1 :]
    if text:
        yield text[:-1]
    yield text + "x"


def _spoiled_pairs(pairs: tuple[tuple[str, str], ...]) -> Iterator[tuple[tuple[str, str], ...]]:
    for place, (name, value) in enumerate(pairs):
        for spoiled in _spoiled(value):
            yield (*pairs[:place], (name, spoiled), *pairs[place + 1 :])
        yield (*pairs[:place], (name + "x", value), *pairs[place + 1 :])
        yield (*pairs[:place], *pairs[place + 1 :])
    yield (*pairs, ("Extra", "1"))


def _spoiled_requests(request: ApiRequest) -> Iterator[ApiRequest]:
    yield replace(request, method="PUT")
    for query in _spoiled_pairs(request.query):
        yield replace(request, query=query)
    if request.is_v3:
        yield from _spoiled_v3_requests(request)
    else:
        for form in _spoiled_pairs(request.form):
            yield replace(request, form=form)


def _spoiled_v3_requests(request: ApiRequest) -> Iterator[ApiRequest]:
    """In V3 the form is covered through the hash of the body."""
    for body in _spoiled(request.body.decode()):
        yield replace(request, body=body.encode())
    signed = request.headers["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    for name in (*signed, "authorization"):
        for spoiled in _spoiled(request.headers[name]):
            yield replace(request, headers={**request.headers, name: spoiled})
        yield replace(request, headers={key: val for key, val in request.headers.items() if key != name})
    yield replace(request, headers={**request.headers, "x-acs-extra": "1"})
    yield replace(request, headers={**request.headers, "content-type": "text/plain"})


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["name"])
def test_captured_request_passes(vector: dict[str, Any]) -> None:
    _verifier(vector).verify(_request(vector))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["name"])
def test_captured_request_passes_once(vector: dict[str, Any]) -> None:
    verifier = _verifier(vector)
    verifier.verify(_request(vector))

    with pytest.raises(Refused, match="SignatureNonceUsed"):
        verifier.verify(_request(vector))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["name"])
def test_every_change_of_a_signed_value_is_refused(vector: dict[str, Any]) -> None:
    request = _request(vector)
    tried = 0
    for spoiled in _spoiled_requests(request):
        tried += 1
        with pytest.raises(Refused):
            _verifier(vector).verify(spoiled)

    assert tried > len(request.query) + len(request.form)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["name"])
def test_wrong_secret_is_told_our_string_to_sign(vector: dict[str, Any]) -> None:
    verifier = _verifier(vector, secret="wrong")

    with pytest.raises(Refused, match="SignatureDoesNotMatch") as caught:
        verifier.verify(_request(vector))

    if vector["scheme"].startswith("ACS3"):
        said = (
            "Specified signature does not match our calculation. "
            f"server StringToSign is [{vector['string_to_sign']}] "
            f"server CanonicalRequest is [{vector['canonical_request']}]"
        )
    else:
        said = (
            "Specified signature is not matched with our calculation. "
            f"server string to sign is:{vector['string_to_sign']}"
        )
    assert caught.value.message == said
