"""Builds the request of each call and reads the response. Pure: both clients share this module.

A call is not repeated once the request may have been sent: an SMS costs money, an attempt is used up, and a
proof can be redeemed only once. The client retries once if the request was certainly not sent, or if the
call can be repeated safely: `status`, which changes nothing, and every call with an idempotency key.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

import requests
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError

from otp_service_client import checks
from otp_service_client._version import __version__
from otp_service_client.errors import (
    OtpServiceError,
    OutcomeUnknown,
    ServiceUnreachable,
    UnexpectedAnswer,
    from_problem,
)
from otp_service_client.responses import Approved, Redeemed, Sent, VerificationStatus

TIMEOUT = 8.0
"""Seconds. The service responds within 6."""

CONNECT_TIMEOUT = 3.0
"""The maximum time for opening a connection, in seconds, so that time is left for a retry."""

RETRY_PAUSE = 0.2
"""Seconds before the retry: about the time that a restarting worker needs to listen again."""

MAX_RESPONSE_BYTES = 1_000_000
"""A longer response is not read to its end. The service's responses have a few kilobytes."""

REQUEST_ID = "X-Request-Id"
"""The header with a call's id, which the service repeats in its response."""

ANOTHER_CALL = "answer to another call"
"""The cause of an `OutcomeUnknown` after which the connections must not be used again."""

_OUR_IDS = "otpc_"
"""The prefix of the request ids that this client generates."""

_BASE_URL = re.compile(r"https?://[^\s/?#@\\]+(/[^\s?#]*)?")
_KEY = re.compile(r"[!-~]+")
_IDEMPOTENCY_KEY = re.compile(r"[!-~](?:[ -~]{0,253}[!-~])?")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One call of a method.

    *read* converts a successful response. *matches* returns whether that response belongs to this call.
    """

    path: str
    content: bytes = field(repr=False)
    read: Callable[[Mapping[str, Any]], T]
    matches: Callable[[T], bool] = checks.no_check
    idempotency_key: str | None = None
    is_read_only: bool = False

    def __post_init__(self) -> None:
        """Check the idempotency key before it becomes a header.

        Raises:
            ValueError: The service would not accept it.
        """
        if self.idempotency_key is not None and not _IDEMPOTENCY_KEY.fullmatch(self.idempotency_key):
            raise ValueError("idempotency_key must be 1 to 255 printable ASCII characters")

    @property
    def retry_on(self) -> tuple[type[OtpServiceError], ...]:
        """The errors after which the call may be retried once."""
        if self.is_read_only or self.idempotency_key is not None:
            return (ServiceUnreachable, OutcomeUnknown)
        return (ServiceUnreachable,)

    def headers(self, request_id: str) -> dict[str, str]:
        """Return the headers of one attempt, in addition to those of all calls."""
        if self.idempotency_key is None:
            return {REQUEST_ID: request_id}
        return {"Idempotency-Key": self.idempotency_key, REQUEST_ID: request_id}


@dataclass(frozen=True, slots=True)
class Response:
    """What a transport has received. *content* is None if it was too long or cannot be decoded."""

    status: int
    request_id: str
    content: bytes | None = field(repr=False)


# ── requests ──


def request(
    phone: str,
    *,
    purpose: str | None,
    locale: str | None,
    client_ip: str | None,
    risk_solution: str | None,
    known_phone: bool | None,
    known_device: bool | None,
    accepts_challenge: bool | None,
    idempotency_key: str | None,
) -> Call[Sent]:
    """Return the call that starts a verification."""
    content = _body(
        phone=phone,
        purpose=purpose,
        locale=locale,
        client_ip=client_ip,
        risk_solution=risk_solution,
        known_phone=known_phone,
        known_device=known_device,
        accepts_challenge=accepts_challenge,
    )
    return Call("/otp/request", content, Sent.read, checks.for_purpose(purpose), idempotency_key)


def resend(
    phone: str,
    verification_id: str,
    *,
    locale: str | None,
    client_ip: str | None,
    risk_solution: str | None,
    known_phone: bool | None,
    known_device: bool | None,
    accepts_challenge: bool | None,
    idempotency_key: str | None,
) -> Call[Sent]:
    """Return the call that sends a code again."""
    content = _body(
        phone=phone,
        verification_id=verification_id,
        locale=locale,
        client_ip=client_ip,
        risk_solution=risk_solution,
        known_phone=known_phone,
        known_device=known_device,
        accepts_challenge=accepts_challenge,
    )
    return Call("/otp/request", content, Sent.read, checks.of_verification(verification_id), idempotency_key)


def verify(
    phone: str, verification_id: str, code: str, *, client_ip: str | None, idempotency_key: str | None
) -> Call[Approved]:
    """Return the call that submits a code."""
    content = _body(phone=phone, verification_id=verification_id, code=code, client_ip=client_ip)
    matches = checks.of_verification(verification_id)
    return Call("/otp/verify", content, Approved.read, matches, idempotency_key)


def redeem(
    proof: str, *, purpose: str, allow_test: bool | None, idempotency_key: str | None
) -> Call[Redeemed]:
    """Return the call that redeems a proof."""
    content = _body(proof=proof, purpose=purpose, allow_test=allow_test)
    return Call("/otp/redeem", content, Redeemed.read, checks.of_proof(proof, purpose), idempotency_key)


def status(phone: str, verification_id: str) -> Call[VerificationStatus]:
    """Return the call that reads the state of a verification."""
    content = _body(phone=phone, verification_id=verification_id)
    matches = checks.of_verification(verification_id)
    return Call("/otp/status", content, VerificationStatus.read, matches, is_read_only=True)


def cancel(phone: str, verification_id: str) -> Call[None]:
    """Return the call that ends a verification."""
    return Call("/otp/cancel", _body(phone=phone, verification_id=verification_id), _no_content)


def unlock(phone: str) -> Call[None]:
    """Return the call that resets the failed attempts of a phone."""
    return Call("/otp/unlock", _body(phone=phone), _no_content)


def _body(**members: object) -> bytes:
    return json.dumps({name: value for name, value in members.items() if value is not None}).encode()


def _no_content(body: Mapping[str, Any]) -> None:
    """Read a response without a body."""


def common_headers(secret_key: str) -> dict[str, str]:
    """Return the headers of all calls."""
    return {
        "Authorization": f"Bearer {secret_key}",
        "Content-Type": "application/json",
        "Accept": "application/json, application/problem+json",
        "User-Agent": f"otp_service-client/{__version__}",
    }


def new_request_id() -> str:
    """Generate a unique id in a format that the service accepts."""
    letters = base64.b32encode(secrets.token_bytes(15)).decode()
    # Five digits in a row could be part of a phone number; the service ignores such ids.
    return _OUR_IDS + letters.translate(str.maketrans("234567", "abcdef"))


# ── arguments of the clients ──


def check_access(base_url: str, secret_key: str) -> None:
    """Check the arguments that a client is created with.

    Raises:
        ValueError: The URL or the key is malformed.
    """
    if not _BASE_URL.fullmatch(base_url):
        raise ValueError("base_url must look like https://otp.example.com, without a query or credentials")
    if not _is_valid_target(base_url):
        raise ValueError("base_url has an invalid host or port")
    if not _KEY.fullmatch(secret_key):
        raise ValueError("secret_key must be printable ASCII without spaces")


def _is_valid_target(base_url: str) -> bool:
    """Return whether requests and urllib3 accept the URL. They themselves check it only at the first call."""
    try:
        requests.Request("POST", base_url).prepare()
        parts = urlsplit(base_url)
        host = parts.hostname or ""
        host.encode("idna")
        return parts.port != 0 and bool(host) and (":" in host) == ("[" in parts.netloc)
    except (RequestException, HTTPError, ValueError):
        return False


# ── responses ──


def read_response(call: Call[T], request_id: str, response: Response) -> T:
    """Return a successful response to *call*, which was sent with *request_id*.

    Raises:
        OutcomeUnknown: The response cannot be read, or belongs to another call.
        UnexpectedAnswer: The response is not from the service.
        ApiError: The service refused the request.
    """
    if _is_of_another_call(response.request_id, request_id):
        raise OutcomeUnknown(ANOTHER_CALL)
    answer = _parse_json_object(response.content)
    if not 200 <= response.status < 300:  # noqa: PLR2004 - redirects are not followed
        raise _error(response.status, answer)
    value = _read_value(answer, call.read)
    if not call.matches(value):
        raise OutcomeUnknown(ANOTHER_CALL)
    return value


def _is_of_another_call(received: str, request_id: str) -> bool:
    """Return whether a response has the id of another call. A proxy may have replaced the id with its own."""
    return received.startswith(_OUR_IDS) and received != request_id


def _parse_json_object(content: bytes | None) -> dict[str, Any] | None:
    if content is None:
        return None
    if not content:
        return {}
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def _read_value(answer: dict[str, Any] | None, read: Callable[[Mapping[str, Any]], T]) -> T:
    if answer is not None:
        with suppress(KeyError, TypeError, ValueError):  # the exceptions may quote the response
            return read(answer)
    raise OutcomeUnknown("unreadable answer")


def _error(status: int, answer: dict[str, Any] | None) -> OtpServiceError:
    if answer and isinstance(answer.get("code"), str):
        return from_problem(status, answer)
    if status >= 500:  # noqa: PLR2004 - a proxy may have forwarded the request
        return OutcomeUnknown(f"HTTP status {status}")
    return UnexpectedAnswer(status)
