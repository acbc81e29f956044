"""The transport: one POST to the service and what came of it. Touches the network through requests.

What requests says of a failure can hold the address, a header or the body, so none of its errors leaves
this file, not even as the cause of ours: they are sorted first and raised outside the handler.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.cookiejar import DefaultCookiePolicy
from ssl import SSLCertVerificationError
from typing import Any, TypeVar

import requests
from requests.exceptions import ConnectTimeout, RequestException
from urllib3.exceptions import HTTPError, NewConnectionError

from otp_service import __version__
from otp_service.client.errors import (
    OtpServiceError,
    OutcomeUnknown,
    ServiceUnreachable,
    UnexpectedAnswer,
    from_problem,
)

CONNECT_TIMEOUT = 3.0
"""Seconds at most for a connection to come about, so that one that cannot leaves time for another."""

_BASE_URL = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?")
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
        if not _KEY.fullmatch(secret_key):
            raise ValueError("secret_key must be printable ASCII without spaces")
        self.base_url = base_url.rstrip("/")
        self._timeout = (min(timeout, CONNECT_TIMEOUT), timeout)
        self._session = _session(secret_key, proxies, ca_bundle)

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._session.close()

    def post(
        self,
        path: str,
        body: Mapping[str, object],
        read: Callable[[Mapping[str, Any]], T],
        headers: Mapping[str, str],
    ) -> T:
        """Send *body* once, with *headers*, and return what *read* makes of a good answer.

        Raises:
            ServiceUnreachable: nothing was sent.
            OutcomeUnknown: it may have been sent; no readable answer came.
            UnexpectedAnswer: something else than the service answered.
            ApiError: the service said no.
        """
        response = self._send(path, body, headers)
        if isinstance(response, OtpServiceError):
            raise response
        answer = _json_object(response)
        if 200 <= response.status_code < 300:  # noqa: PLR2004 - a redirect is no answer
            return _value(answer, read)
        raise _refusal(response.status_code, answer)

    def _send(
        self, path: str, body: Mapping[str, object], headers: Mapping[str, str]
    ) -> requests.Response | OtpServiceError:
        try:
            return self._session.post(
                self.base_url + path,
                data=json.dumps(body).encode(),
                headers=headers,
                timeout=self._timeout,
                allow_redirects=False,
            )
        except (RequestException, HTTPError) as error:
            return _failure(error)


def _session(secret_key: str, proxies: Mapping[str, str] | None, ca_bundle: str | None) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.proxies = dict(proxies or {})
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
    return session


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
