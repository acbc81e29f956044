"""Builds signed requests to Aliyun's APIs, with either signature version.

V1 is sent by POST with everything in the form body, so no URL contains a number or a code. V3 has its
parameters in the query, as all official SDKs send it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from otp_service.sms.aliyun.protocol import signature
from otp_service.sms.endpoint import Endpoint

_FORM = "application/x-www-form-urlencoded"


class Signature(StrEnum):
    """The version of Aliyun's signature; Aliyun accepts both."""

    V1 = "v1"
    V3 = "v3"


@dataclass(frozen=True, slots=True)
class AccessKey:
    """The credentials of a caller; only temporary keys have a *security_token*."""

    id: str
    secret: str = field(repr=False)
    security_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Operation:
    """An *action* in one *version* of its API."""

    action: str
    version: str


@dataclass(frozen=True, slots=True)
class SignatureContext:
    """What makes a request unique: a fresh *nonce* and the time as `yyyy-MM-ddTHH:mm:ssZ`."""

    nonce: str
    timestamp: str


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """The request as it is sent."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


Sign = Callable[[Endpoint, AccessKey, Operation, Mapping[str, str], SignatureContext], SignedRequest]


def sign_v1(
    endpoint: Endpoint,
    key: AccessKey,
    operation: Operation,
    params: Mapping[str, str],
    context: SignatureContext,
) -> SignedRequest:
    """Return a request with the business *params*, signed with HMAC-SHA1."""
    signed = {**params, **_v1_common(key, operation, context)}
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
    context: SignatureContext,
) -> SignedRequest:
    """Return a request with the business *params*, signed with ACS3-HMAC-SHA256."""
    body = b""
    headers = _v3_headers(endpoint, key, operation, context, body)
    content_sha256 = headers["x-acs-content-sha256"]
    canonical = signature.v3_canonical_request("POST", params.items(), headers, content_sha256)
    mac = signature.v3_signature(key.secret, signature.v3_string_to_sign(canonical))
    authorization = signature.v3_authorization(key.id, headers, mac)
    url = f"{endpoint.url}?{signature.canonical_query(params.items())}"
    return SignedRequest(url, {**headers, "Authorization": authorization}, body)


SIGN: Mapping[Signature, Sign] = {Signature.V1: sign_v1, Signature.V3: sign_v3}


def _v1_common(key: AccessKey, operation: Operation, context: SignatureContext) -> dict[str, str]:
    common = {
        "Action": operation.action,
        "Version": operation.version,
        "Format": "JSON",
        "AccessKeyId": key.id,
        "SignatureMethod": signature.V1_METHOD,
        "SignatureVersion": signature.V1_VERSION,
        "SignatureNonce": context.nonce,
        "Timestamp": context.timestamp,
    }
    if key.security_token:
        common["SecurityToken"] = key.security_token
    return common


def _v3_headers(
    endpoint: Endpoint, key: AccessKey, operation: Operation, context: SignatureContext, body: bytes
) -> dict[str, str]:
    """Return the headers to sign. The host must be signed exactly as it is sent."""
    headers = {
        "host": endpoint.host,
        "x-acs-action": operation.action,
        "x-acs-version": operation.version,
        "x-acs-date": context.timestamp,
        "x-acs-signature-nonce": context.nonce,
        "x-acs-content-sha256": signature.body_sha256(body),
    }
    if key.security_token:
        headers["x-acs-accesskey-id"] = key.id
        headers["x-acs-security-token"] = key.security_token
    return headers
