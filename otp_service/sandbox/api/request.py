"""A decoded request to the API, and what its signature (V1 or V3) covers.

The signature is checked over parameters that are decoded and encoded again: clients differ in what they leave
unencoded on the wire, and only the canonical form is signed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flask import Request

from otp_service.sandbox.api.responses import ApiError
from otp_service.sms.aliyun.protocol import signature as signing

_FORM = "application/x-www-form-urlencoded"

Pairs = tuple[tuple[str, str], ...]

#: Headers that a V3 request must have and sign, in addition to every other `x-acs-*` header that it has.
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
class ApiRequest:
    """A request: everything that a signature may cover, and the parameters of the action."""

    method: str
    query: Pairs
    form: Pairs
    #: By lower-case name.
    headers: Mapping[str, str]
    body: bytes

    @classmethod
    def from_flask(cls, request: Request) -> ApiRequest:
        """Convert a Flask *request*. The raw body is read first because parsing the form consumes it."""
        body = request.get_data(cache=True)
        has_form = request.mimetype == _FORM
        return cls(
            method=request.method,
            query=tuple(request.args.items(multi=True)),
            form=tuple(request.form.items(multi=True)) if has_form else (),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=body,
        )

    @property
    def params(self) -> dict[str, str]:
        """The parameters by name. If a name is repeated, the first value counts."""
        return dict(reversed((*self.query, *self.form)))

    @property
    def is_v3(self) -> bool:
        """Whether the request has a V3-style signature. All other requests are treated as V1."""
        return self.headers.get("authorization", "").startswith("ACS3-")

    @property
    def action(self) -> str:
        """The name of the action."""
        return self._common("x-acs-action", "Action")

    @property
    def version(self) -> str:
        """The requested version of the API."""
        return self._common("x-acs-version", "Version")

    @property
    def wants_xml(self) -> bool:
        """Whether the response must be XML: the default of V1; V3 requests choose with `Accept`."""
        if self.is_v3:
            return "xml" in self.headers.get("accept", "")
        return self.params.get("Format", "").lower() != "json"

    def _common(self, header: str, param: str) -> str:
        source = self.headers if self.is_v3 else self.params
        return source.get(header if self.is_v3 else param, "")


@dataclass(frozen=True)
class SignatureClaims:
    """What a request claims: its access key, time and nonce, and the signature that must prove it."""

    access_key_id: str
    timestamp: str
    nonce: str
    security_token: str
    signature: str
    string_to_sign: str
    #: Alibaba Cloud's message for a wrong signature.
    mismatch_message: str
    #: Computes the expected signature from a secret and the string to sign.
    sign: Callable[[str, str], str]


def read_claims(request: ApiRequest) -> SignatureClaims:
    """Read the claims of a request.

    Raises:
        ApiError: The V3 `Authorization` header is malformed.
    """
    return _v3_claims(request) if request.is_v3 else _v1_claims(request)


def _v1_claims(request: ApiRequest) -> SignatureClaims:
    params = request.params
    pairs = (*request.query, *request.form)
    string_to_sign = signing.v1_string_to_sign(request.method, pairs)
    # The old Python SDK compares the text after the first colon with its own string to sign and, if they are
    # equal, reports "AccessKeySecret is incorrect" instead. The text must therefore match exactly.
    mismatch_message = (
        f"Specified signature is not matched with our calculation. server string to sign is:{string_to_sign}"
    )
    return SignatureClaims(
        access_key_id=params.get("AccessKeyId", ""),
        timestamp=params.get("Timestamp", ""),
        nonce=params.get("SignatureNonce", ""),
        security_token=params.get("SecurityToken", ""),
        signature=params.get("Signature", ""),
        string_to_sign=string_to_sign,
        mismatch_message=mismatch_message,
        sign=signing.v1_signature,
    )


def _v3_claims(request: ApiRequest) -> SignatureClaims:
    try:
        authorization = signing.parse_v3_authorization(request.headers["authorization"])
    except ValueError as error:
        raise ApiError("IncompleteSignature") from error
    canonical = signing.v3_canonical_request(
        request.method,
        request.query,
        {name: request.headers.get(name, "") for name in authorization.signed_headers},
        signing.body_sha256(request.body),
    )
    string_to_sign = signing.v3_string_to_sign(canonical)
    mismatch_message = (
        "Specified signature does not match our calculation. "
        f"server StringToSign is [{string_to_sign}] "
        f"server CanonicalRequest is [{canonical}]"
    )
    return SignatureClaims(
        access_key_id=authorization.access_key_id,
        timestamp=request.headers.get("x-acs-date", ""),
        nonce=request.headers.get("x-acs-signature-nonce", ""),
        security_token=request.headers.get("x-acs-security-token", ""),
        signature=authorization.signature,
        string_to_sign=string_to_sign,
        mismatch_message=mismatch_message,
        sign=signing.v3_signature,
    )


def check_signature_is_complete(request: ApiRequest) -> None:
    """Check that a request is signed by a known method and that the signature covers all that it must.

    Raises:
        ApiError: It is not.
    """
    complete = _v3_covers_all_headers(request) if request.is_v3 else _v1_has_known_method(request)
    if not complete:
        raise ApiError("IncompleteSignature")


def _v1_has_known_method(request: ApiRequest) -> bool:
    params = request.params
    return (
        params.get("SignatureMethod") == signing.V1_METHOD
        and params.get("SignatureVersion") == signing.V1_VERSION
        and bool(params.get("Signature"))
    )


def _v3_covers_all_headers(request: ApiRequest) -> bool:
    headers = request.headers
    signed = signing.parse_v3_authorization(headers["authorization"]).signed_headers
    required = V3_REQUIRED | {name for name in headers if name.startswith("x-acs-")}
    if headers.get("content-type"):
        required |= {"content-type"}
    return required <= set(signed) <= set(headers)
