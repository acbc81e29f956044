"""Sends the calls of `OtpClient` with requests.

Exceptions of requests can contain the URL, a header or the body. None of them leaves this module, not even as
the cause of another exception: they are converted first, and the result is raised outside the handler.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from ssl import SSLCertVerificationError
from time import sleep
from typing import TypeVar

import requests
from requests.exceptions import ConnectTimeout, RequestException
from urllib3.exceptions import HTTPError, NewConnectionError

from otp_service_client import calls
from otp_service_client.calls import Call, Response
from otp_service_client.connections import Connections
from otp_service_client.errors import OtpServiceError, OutcomeUnknown, ServiceUnreachable

_NEVER_SENT = (ConnectTimeout, NewConnectionError, SSLCertVerificationError)
"""Errors that prove, anywhere in the chain of causes, that no byte of the request was sent."""

_CHUNK = 16 * 1024

T = TypeVar("T")


class Transport:
    """Makes calls to one service. Thread-safe.

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
        calls.check_access(base_url, secret_key)
        self.base_url = base_url.rstrip("/")
        self._timeout = (min(timeout, calls.CONNECT_TIMEOUT), timeout)
        self._connections = Connections(
            partial(_configure, secret_key=secret_key, proxies=dict(proxies or {}), ca_bundle=ca_bundle)
        )

    def close(self) -> None:
        """Close the idle connections."""
        self._connections.drop()

    def run(self, call: Call[T]) -> T:
        """Make *call*, and retry it once if that is safe.

        Raises:
            ServiceUnreachable: Nothing was sent.
            OutcomeUnknown: The request may have been sent, but there was no readable response to it.
            UnexpectedAnswer: The response is not from the service.
            ApiError: The service refused the request.
        """
        try:
            return self._attempt(call)
        except call.retry_on:
            sleep(calls.RETRY_PAUSE)
        return self._attempt(call)

    def _attempt(self, call: Call[T]) -> T:
        request_id = calls.new_request_id()
        response = self._send(call, call.headers(request_id))
        if isinstance(response, OtpServiceError):
            raise response
        try:
            return calls.read_response(call, request_id, response)
        except OutcomeUnknown as error:
            if error.cause == calls.ANOTHER_CALL:
                self._connections.drop()
            raise

    def _send(self, call: Call[T], headers: Mapping[str, str]) -> Response | OtpServiceError:
        try:
            with self._connections.session().post(
                self.base_url + call.path,
                data=call.content,
                headers=headers,
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
            ) as response:
                request_id = response.headers.get(calls.REQUEST_ID, "")
                return Response(response.status_code, request_id, _content(response))
        except (RequestException, HTTPError) as error:
            return _failure(error)


def _configure(
    session: requests.Session, *, secret_key: str, proxies: dict[str, str], ca_bundle: str | None
) -> None:
    session.trust_env = False
    session.proxies = proxies
    session.verify = ca_bundle or True
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers.update(calls.common_headers(secret_key))


def _content(response: requests.Response) -> bytes | None:
    content = b""
    for chunk in response.iter_content(_CHUNK):
        content += chunk
        if len(content) > calls.MAX_RESPONSE_BYTES:
            return None
    return content


def _failure(error: Exception) -> OtpServiceError:
    """Convert an exception of requests. Only known cases count as not sent."""
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    nested = [e for e in (error, reason, *getattr(reason, "args", ())) if isinstance(e, Exception)]
    cause = type(nested[-1]).__name__
    if any(isinstance(e, _NEVER_SENT) for e in nested):
        return ServiceUnreachable(cause)
    return OutcomeUnknown(cause)
