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

from otp_service.sandbox.api.request import ApiRequest
from otp_service.sandbox.api.responses import ApiError
from otp_service.sandbox.api.verifier import Nonces, Verifier
from otp_service.sandbox.credentials import Credentials, StsKey
from otp_service.sms.aliyun.protocol.timestamps import parse_timestamp

_FILE = Path(__file__).parents[1] / "data" / "aliyun_vectors.json"
VECTORS = [v for v in json.loads(_FILE.read_text("utf-8")) if v["scheme"] != "MNS"]
SECURITY_TOKEN = "testSecurityToken/with+special=chars"


def _request(vector: dict[str, Any]) -> ApiRequest:
    """Rebuild a captured request. One vector has no target, only parameters."""
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
    """Create a verifier without used nonces whose clock shows the time of the capture."""
    moment = vector.get("params", {}).get("Timestamp") or vector["headers"]["x-acs-date"]
    return Verifier(_credentials(vector, secret), Nonces(), lambda: parse_timestamp(moment))


def _credentials(vector: dict[str, Any], secret: str) -> Credentials:
    """Return the key of the capture: a temporary one if the request has a security token."""
    if "x-acs-security-token" in vector.get("headers", {}):
        return Credentials({}, {"testId": StsKey(secret, SECURITY_TOKEN)})
    return Credentials({"testId": secret})


def _other(char: str) -> str:
    return "y" if char == "x" else "x"


def _changed(text: str) -> Iterator[str]:
    """Yield *text* with each character changed, without its last character, and with one more."""
    for place, char in enumerate(text):
        yield text[:place] + _other(char) + text[place + 1 :]
    if text:
        yield text[:-1]
    yield text + "x"


def _changed_pairs(pairs: tuple[tuple[str, str], ...]) -> Iterator[tuple[tuple[str, str], ...]]:
    for place, (name, value) in enumerate(pairs):
        for changed in _changed(value):
            yield (*pairs[:place], (name, changed), *pairs[place + 1 :])
        yield (*pairs[:place], (name + "x", value), *pairs[place + 1 :])
        yield (*pairs[:place], *pairs[place + 1 :])
    yield (*pairs, ("Extra", "1"))


def _changed_requests(request: ApiRequest) -> Iterator[ApiRequest]:
    yield replace(request, method="PUT")
    for query in _changed_pairs(request.query):
        yield replace(request, query=query)
    if request.is_v3:
        yield from _changed_v3_requests(request)
    else:
        for form in _changed_pairs(request.form):
            yield replace(request, form=form)


def _changed_v3_requests(request: ApiRequest) -> Iterator[ApiRequest]:
    """Yield changed V3 requests. V3 covers the form with the hash of the body."""
    for body in _changed(request.body.decode()):
        yield replace(request, body=body.encode())
    signed = request.headers["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    for name in (*signed, "authorization"):
        for changed in _changed(request.headers[name]):
            yield replace(request, headers={**request.headers, name: changed})
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

    with pytest.raises(ApiError, match="SignatureNonceUsed"):
        verifier.verify(_request(vector))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["name"])
def test_every_change_of_a_signed_value_is_refused(vector: dict[str, Any]) -> None:
    request = _request(vector)
    count = 0
    for changed in _changed_requests(request):
        count += 1
        with pytest.raises(ApiError):
            _verifier(vector).verify(changed)

    assert count > len(request.query) + len(request.form)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["name"])
def test_error_for_a_wrong_secret_contains_the_string_to_sign(vector: dict[str, Any]) -> None:
    verifier = _verifier(vector, secret="wrong")

    with pytest.raises(ApiError, match="SignatureDoesNotMatch") as caught:
        verifier.verify(_request(vector))

    if vector["scheme"].startswith("ACS3"):
        expected = (
            "Specified signature does not match our calculation. "
            f"server StringToSign is [{vector['string_to_sign']}] "
            f"server CanonicalRequest is [{vector['canonical_request']}]"
        )
    else:
        expected = (
            "Specified signature is not matched with our calculation. "
            f"server string to sign is:{vector['string_to_sign']}"
        )
    assert caught.value.message == expected
