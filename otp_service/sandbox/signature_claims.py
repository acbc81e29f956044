"""What the signature of a call claims, the same for V1 and V3; touches nothing.

Both read the decoded parameters and encode them again: clients differ in what they
leave unencoded on the wire, and only the canonical form is signed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from otp_service.sandbox.answers import Refused
from otp_service.sandbox.api_request import ApiRequest
from otp_service.sms.aliyun.protocol import signature as signing

#: Headers that a V3 request must have and sign, besides every other `x-acs-*`.
V3_REQUIRED = frozenset(
    {
        "host",
        "x-acs-action",
        "x-acs-version",
        "x-acs-date",
        "x-acs-signature-nonce",
        "x-acs-content-sha256",
    }
)


@dataclass(frozen=True)
class Claim:
    """Who says to have made a call, when, and what they signed."""

    access_key_id: str
    timestamp: str
    nonce: str
    security_token: str
    signature: str
    string_to_sign: str
    #: Aliyun's message when the signature is wrong.
    mismatch: str
    #: Computes the signature that the right secret gives.
    sign: Callable[[str, str], str]


def read_claim(request: ApiRequest) -> Claim:
    """Read the claim of a call.

    Raises:
        Refused: The call is not signed in a form that Aliyun knows.
    """
    return _v3_claim(request) if request.is_v3 else _v1_claim(request)


def _v1_claim(request: ApiRequest) -> Claim:
    params = request.params
    pairs = (*request.query, *request.form)
    string_to_sign = signing.v1_string_to_sign(request.method, pairs)
    # The old Python SDK compares what follows the first colon with its own string and
    # then says "AccessKeySecret is incorrect" instead: the text must be exactly this.
    mismatch = (
        f"Specified signature is not matched with our calculation. server string to sign is:{string_to_sign}"
    )
    return Claim(
        access_key_id=params.get("AccessKeyId", ""),
        timestamp=params.get("Timestamp", ""),
        nonce=params.get("SignatureNonce", ""),
        security_token=params.get("SecurityToken", ""),
        signature=params.get("Signature", ""),
        string_to_sign=string_to_sign,
        mismatch=mismatch,
        sign=signing.v1_signature,
    )


def _v3_claim(request: ApiRequest) -> Claim:
    try:
        said = signing.parse_v3_authorization(request.headers["authorization"])
    except ValueError as error:
        raise Refused("IncompleteSignature") from error
    canonical = signing.v3_canonical_request(
        request.method,
        request.query,
        {name: request.headers.get(name, "") for name in said.signed_headers},
        signing.body_sha256(request.body),
    )
    string_to_sign = signing.v3_string_to_sign(canonical)
    mismatch = (
        "Specified signature does not match our calculation. "
        f"server StringToSign is [{string_to_sign}] "
        f"server CanonicalRequest is [{canonical}]"
    )
    return Claim(
        access_key_id=said.access_key_id,
        timestamp=request.headers.get("x-acs-date", ""),
        nonce=request.headers.get("x-acs-signature-nonce", ""),
        security_token=request.headers.get("x-acs-security-token", ""),
        signature=said.signature,
        string_to_sign=string_to_sign,
        mismatch=mismatch,
        sign=signing.v3_signature,
    )


def check_form(request: ApiRequest) -> None:
    """Check that a call is signed by a known method over all that it must cover.

    Raises:
        Refused: It is not.
    """
    complete = _v3_is_complete(request) if request.is_v3 else _v1_is_known(request)
    if not complete:
        raise Refused("IncompleteSignature")


def _v1_is_known(request: ApiRequest) -> bool:
    params = request.params
    return (
        params.get("SignatureMethod") == signing.V1_METHOD
        and params.get("SignatureVersion") == signing.V1_VERSION
        and bool(params.get("Signature"))
    )


def _v3_is_complete(request: ApiRequest) -> bool:
    headers = request.headers
    signed = signing.parse_v3_authorization(headers["authorization"]).signed_headers
    must = V3_REQUIRED | {name for name in headers if name.startswith("x-acs-")}
    if headers.get("content-type"):
        must |= {"content-type"}
    return must <= set(signed) <= set(headers)
