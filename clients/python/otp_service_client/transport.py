"""Sends one POST request to the service and converts the response or failure.

Exceptions of requests can contain the URL, a header or the body. None of them leaves this module, not even as
the cause of another exception: they are converted first, and the result is raised outside the handler.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from ssl import SSLCertVerificationError
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
from requests.exceptions import ConnectTimeout, RequestException
from urllib3.exceptions import HTTPError, NewConnectionError

from otp_service import __version__
from otp_service_client.connections import Connections
from otp_service_client.errors import (
    OtpServiceError,
    OutcomeUnknown,
    ServiceUnreachable,
    UnexpectedAnswer,
    from_problem,
)

CONNECT_TIMEOUT = 3.0
"""The maximum time for opening a connection, in seconds, so that time is left for a retry."""

REQUEST_ID = "X-Request-Id"
"""The header with a call's id, which the service repeats in its response."""

_OUR_IDS = "otpc_"
"""The prefix of the request ids that this client generates."""

_BASE_URL = re.compile(r"https?://[^\s/?#@\\]+(/[^\s?#]*)?")
_KEY = re.compile(r"[!-~]+")

_NEVER_SENT = (ConnectTimeout, NewConnectionError, SSLCertVerificationError)
"""Errors that prove, anywhere in the chain of causes, that no byte of the request was sent."""

T = TypeVar("T")


class Transport:
    """Sends requests to one service. Thread-safe.

    Nothing from the environment is used: a proxy or a `.netrc` could read or replace the key.
    """

    def __init__(
        self,
        base_url: str,
        secret_key: str,
        *,
        timeout: float,
        proxies: Mapping[str, str] | None,
        ca_bundle: str | None,
    ) -> None:
        if not _BASE_URL.fullmatch(base_url):
            raise ValueError("base_url must be like https://otp.example.com, without query or credentials")
        if not _is_valid_target(base_url):
            raise ValueError("base_url has an invalid host or port")
        if not _KEY.fullmatch(secret_key):
            raise ValueError("secret_key must be printable ASCII without spaces")
        self.base_url = base_url.rstrip("/")
        self._timeout = (min(timeout, CONNECT_TIMEOUT), timeout)
        self._connections = Connections(
            partial(_configure, secret_key=secret_key, proxies=dict(proxies or {}), ca_bundle=ca_bundle)
        )

    def close(self) -> None:
        """Close the idle connections."""
        self._connections.drop()

    def post(
        self,
        path: str,
        body: Mapping[str, object],
        read: Callable[[Mapping[str, Any]], T],
        headers: Mapping[str, str],
        matches: Callable[[T], bool],
    ) -> T:
        """Send *body* once, with *headers*, and return a successful response as converted by *read*.

        *matches* tells whether a successful response belongs to this call.

        Raises:
            ServiceUnreachable: Nothing was sent.
            OutcomeUnknown: The request may have been sent, but there was no readable response to it.
            UnexpectedAnswer: The response is not from the service.
            ApiError: The service refused the request.
        """
        request_id = _new_request_id()
        response = self._send(path, body, {**headers, REQUEST_ID: request_id})
        if isinstance(response, OtpServiceError):
            raise response
        if _is_of_another_call(response.headers.get(REQUEST_ID, ""), request_id):
            raise self._mismatch()
        answer = _parse_json_object(response)
        if not 200 <= response.status_code < 300:  # noqa: PLR2004 - redirects are not followed
            raise _error(response.status_code, answer)
        value = _read_value(answer, read)
        if not matches(value):
            raise self._mismatch()
        return value

    def _mismatch(self) -> OutcomeUnknown:
        """Drop the connections, on which requests and responses are out of step."""
        self._connections.drop()
        return OutcomeUnknown("answer to another call")

    def _send(
        self, path: str, body: Mapping[str, object], headers: Mapping[str, str]
    ) -> requests.Response | OtpServiceError:
        try:
            return self._connections.session().post(
                self.base_url + path,
                data=json.dumps(body).encode(),
                headers=headers,
                timeout=self._timeout,
                allow_redirects=False,
            )
        except (RequestException, HTTPError) as error:
            return _failure(error)


def _configure(
    session: requests.Session, *, secret_key: str, proxies: dict[str, str], ca_bundle: str | None
) -> None:
    session.trust_env = False
    session.proxies = proxies
    session.verify = ca_bundle or True
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers.update(
        {
            "Authorization": f"Bearer {secret_key}",
            "Content-Type": "application/json",
            "Accept": "application/json, application/problem+json",
            "User-Agent": f"otp_service-client/{__version__}",
        }
    )


def _is_valid_target(base_url: str) -> bool:
    """Tell whether requests and urllib3 accept the URL, which they would check only at the first call."""
    try:
        requests.Request("POST", base_url).prepare()
        parts = urlsplit(base_url)
        host = parts.hostname or ""
        host.encode("idna")
        return parts.port != 0 and bool(host) and (":" in host) == ("[" in parts.netloc)
    except (RequestException, HTTPError, ValueError):
        return False


def _new_request_id() -> str:
    """Generate a unique id in a format that the service accepts."""
    letters = base64.b32encode(secrets.token_bytes(15)).decode()
    # Five digits in a row could be part of a phone number; the service ignores such ids.
    return _OUR_IDS + letters.translate(str.maketrans("234567", "abcdef"))


def _is_of_another_call(received: str, request_id: str) -> bool:
    """Tell whether a response has the id of another call. A proxy may have replaced the id with its own."""
    return received.startswith(_OUR_IDS) and received != request_id


def _failure(error: Exception) -> OtpServiceError:
    """Convert an exception of requests. In case of doubt, the request is treated as sent."""
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    nested = [e for e in (error, reason, *getattr(reason, "args", ())) if isinstance(e, Exception)]
    cause = type(nested[-1]).__name__
    if any(isinstance(e, _NEVER_SENT) for e in nested):
        return ServiceUnreachable(cause)
    return OutcomeUnknown(cause)


def _parse_json_object(response: requests.Response) -> dict[str, Any] | None:
    if not response.content:
        return {}
    try:
        answer = json.loads(response.content)
    except ValueError:
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
