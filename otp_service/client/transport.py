"""The transport: one POST to the service and what came of it. Touches the network through requests.

What requests says of a failure can hold the address, a header or the body, so none of its errors leaves
this file, not even as the cause of ours: they are sorted first and raised outside the handler.
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
from otp_service.client.connections import Connections
from otp_service.client.errors import (
    OtpServiceError,
    OutcomeUnknown,
    ServiceUnreachable,
    UnexpectedAnswer,
    from_problem,
)

CONNECT_TIMEOUT = 3.0
"""Seconds at most for a connection to come about, so that one that cannot leaves time for another."""

REQUEST_ID = "X-Request-Id"
"""The header of a call's id, which the service repeats in its answer."""

_OUR_IDS = "otpc_"
"""How the ids that this client chooses begin."""

_BASE_URL = re.compile(r"https?://[^\s/?#@\\]+(/[^\s?#]*)?")
_KEY = re.compile(r"[!-~]+")

_NEVER_SENT = (ConnectTimeout, NewConnectionError, SSLCertVerificationError)
"""What proves, wherever it stands among the causes of a failure, that no byte of the request was sent."""

T = TypeVar("T")


class Transport:
    """The way to one service. One instance serves all threads of a process.

    Nothing of the environment is used: a proxy or a `.netrc` found there would see, or replace, the key.
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
        if not _can_be_sent_to(base_url):
            raise ValueError("base_url has a host or a port that nothing can be sent to")
        if not _KEY.fullmatch(secret_key):
            raise ValueError("secret_key must be printable ASCII without spaces")
        self.base_url = base_url.rstrip("/")
        self._timeout = (min(timeout, CONNECT_TIMEOUT), timeout)
        self._connections = Connections(
            partial(_configure, secret_key=secret_key, proxies=dict(proxies or {}), ca_bundle=ca_bundle)
        )

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._connections.drop()

    def post(
        self,
        path: str,
        body: Mapping[str, object],
        read: Callable[[Mapping[str, Any]], T],
        headers: Mapping[str, str],
        fits: Callable[[T], bool],
    ) -> T:
        """Send *body* once, with *headers*, and return what *read* makes of a good answer.

        *fits* tells whether a good answer is the answer to this call.

        Raises:
            ServiceUnreachable: nothing was sent.
            OutcomeUnknown: it may have been sent; no readable answer came, or that to another call.
            UnexpectedAnswer: something else than the service answered.
            ApiError: the service said no.
        """
        request_id = _new_request_id()
        response = self._send(path, body, {**headers, REQUEST_ID: request_id})
        if isinstance(response, OtpServiceError):
            raise response
        if _is_of_another_call(response.headers.get(REQUEST_ID, ""), request_id):
            raise self._mixed_up()
        answer = _json_object(response)
        if not 200 <= response.status_code < 300:  # noqa: PLR2004 - a redirect is no answer
            raise _refusal(response.status_code, answer)
        value = _value(answer, read)
        if not fits(value):
            raise self._mixed_up()
        return value

    def _mixed_up(self) -> OutcomeUnknown:
        """Give up the connections, on which answers have got out of step with requests."""
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


def _can_be_sent_to(base_url: str) -> bool:
    """Tell whether requests and urllib3 would take the URL; they would say so at the first call only."""
    try:
        requests.Request("POST", base_url).prepare()
        parts = urlsplit(base_url)
        host = parts.hostname or ""
        host.encode("idna")
        return parts.port != 0 and bool(host) and (":" in host) == ("[" in parts.netloc)
    except (RequestException, HTTPError, ValueError):
        return False


def _new_request_id() -> str:
    """Return an id that no other call has, in letters that the service takes for one."""
    letters = base64.b32encode(secrets.token_bytes(15)).decode()
    # Five digits in a row could be part of a phone number, so that the service would not take the id.
    return _OUR_IDS + letters.translate(str.maketrans("234567", "abcdef"))


def _is_of_another_call(told: str, request_id: str) -> bool:
    """Tell whether an answer bears the id of another call. A proxy may have put an id of its own there."""
    return told.startswith(_OUR_IDS) and told != request_id


def _failure(error: Exception) -> OtpServiceError:
    """Return what *error* means. In doubt the request was sent."""
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    nested = [e for e in (error, reason, *getattr(reason, "args", ())) if isinstance(e, Exception)]
    cause = type(nested[-1]).__name__
    if any(isinstance(e, _NEVER_SENT) for e in nested):
        return ServiceUnreachable(cause)
    return OutcomeUnknown(cause)


def _json_object(response: requests.Response) -> dict[str, Any] | None:
    if not response.content:
        return {}
    try:
        answer = json.loads(response.content)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _value(answer: dict[str, Any] | None, read: Callable[[Mapping[str, Any]], T]) -> T:
    if answer is not None:
        with suppress(KeyError, TypeError, ValueError):  # their texts may show what could not be read
            return read(answer)
    raise OutcomeUnknown("unreadable answer")


def _refusal(status: int, answer: dict[str, Any] | None) -> OtpServiceError:
    if answer and isinstance(answer.get("code"), str):
        return from_problem(status, answer)
    if status >= 500:  # noqa: PLR2004 - whoever answers so may have passed the request on before
        return OutcomeUnknown(f"HTTP status {status}")
    return UnexpectedAnswer(status)
