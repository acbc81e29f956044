"""A signed call of one of Aliyun's APIs, in either signature. Touches nothing: nonce and time are given.

V1 travels by POST with everything in the form body, so that no URL holds a number or a code. V3 has its
parameters in the query, as all official SDKs send it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from otp_service.sms.aliyun.endpoint import Endpoint
from otp_service.sms.aliyun.protocol import signature

_FORM = "application/x-www-form-urlencoded"


class Signature(StrEnum):
    """Which of Aliyun's two signatures; both are accepted."""

    V1 = "v1"
    V3 = "v3"


@dataclass(frozen=True, slots=True)
class AccessKey:
    """Who calls; *security_token* comes with temporary keys only."""

    id: str
    secret: str = field(repr=False)
    security_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Operation:
    """What is called: an *action* of the *version* of its API."""

    action: str
    version: str


@dataclass(frozen=True, slots=True)
class SignatureContext:
    """What makes a request unlike every other: a fresh *nonce* and the time as `yyyy-MM-ddTHH:mm:ssZ`."""

    nonce: str
    timestamp: str


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """What goes over the wire."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


Sign = Callable[[Endpoint, AccessKey, Operation, Mapping[str, str], SignatureContext], SignedRequest]


def sign_v1(
    endpoint: Endpoint,
    key: AccessKey,
    operation: Operation,
    params: Mapping[str, str],
    stamp: SignatureContext,
) -> SignedRequest:
    """Sign the business *params* with HMAC-SHA1."""
    signed = {**params, **_v1_common(key, operation, stamp)}
    canonical = signature.canonical_query(signed.items())
    string_to_sign = signature.v1_string_over("POST", canonical)
    mac = signature.v1_signature(key.secret, string_to_sign)
    body = f"{canonical}&Signature={signature.percent_encode(mac)}".encode()
    return SignedRequest(endpoint.url, {"Host": endpoint.host, "Content-Type": _FORM}, body)


def sign_v3(
    endpoint: Endpoint,
    key: AccessKey,
    operation: Operation,
    params: Mapping[str, str],
    stamp: SignatureContext,
) -> SignedRequest:
    """Sign the business *params* with ACS3-HMAC-SHA256."""
    body = b""
    headers = _v3_headers(endpoint, key, operation, stamp, body)
    content_sha256 = headers["x-acs-content-sha256"]
    canonical = signature.v3_canonical_request("POST", params.items(), headers, content_sha256)
    mac = signature.v3_signature(key.secret, signature.v3_string_to_sign(canonical))
    authorization = signature.v3_authorization(key.id, headers, mac)
    url = f"{endpoint.url}?{signature.canonical_query(params.items())}"
    return SignedRequest(url, {**headers, "Authorization": authorization}, body)


SIGN: Mapping[Signature, Sign] = {Signature.V1: sign_v1, Signature.V3: sign_v3}


def _v1_common(key: AccessKey, operation: Operation, stamp: SignatureContext) -> dict[str, str]:
    common = {
        "Action": operation.action,
        "Version": operation.version,
        "Format": "JSON",
        "AccessKeyId": key.id,
        "SignatureMethod": signature.V1_METHOD,
        "SignatureVersion": signature.V1_VERSION,
        "SignatureNonce": stamp.nonce,
        "Timestamp": stamp.timestamp,
    }
    if key.security_token:
        common["SecurityToken"] = key.security_token
    return common


def _v3_headers(
    endpoint: Endpoint, key: AccessKey, operation: Operation, stamp: SignatureContext, body: bytes
) -> dict[str, str]:
    """Return the headers that are signed; the host must be signed exactly as it is sent."""
    headers = {
        "host": endpoint.host,
        "x-acs-action": operation.action,
        "x-acs-version": operation.version,
        "x-acs-date": stamp.timestamp,
        "x-acs-signature-nonce": stamp.nonce,
        "x-acs-content-sha256": signature.body_sha256(body),
    }
    if key.security_token:
        headers["x-acs-accesskey-id"] = key.id
        headers["x-acs-security-token"] = key.security_token
    return headers
