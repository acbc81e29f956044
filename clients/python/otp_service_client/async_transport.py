"""Sends the calls of `AsyncOtpClient` with httpx, under asyncio.

Exceptions of httpx can contain the URL, a header or the body. None of them leaves this module, not even as
the cause of another exception: they are converted first, and the result is raised outside the handler.
"""

from __future__ import annotations

import asyncio
import ssl
from asyncio import sleep
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import TypeVar

import httpx
from requests.utils import select_proxy

from otp_service_client import calls
from otp_service_client.calls import Call, Response
from otp_service_client.errors import OtpServiceError, OutcomeUnknown, ServiceUnreachable

_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout)
"""Errors that prove that no byte of the request was sent. httpx itself never sends a request again."""

_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=10)
"""No maximum: a call never waits until another one releases its connection."""

T = TypeVar("T")


class AsyncTransport:
    """Makes calls to one service.

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
        try:
            httpx.URL(base_url)
        except httpx.InvalidURL:
            raise ValueError("base_url has an invalid host or port") from None
        self.base_url = base_url.rstrip("/")
        self._timeout = timeout
        self._headers = calls.common_headers(secret_key)
        # Compression gains nothing in a response of a few kilobytes, and could hide the size of a huge one.
        self._headers["Accept-Encoding"] = "identity"
        self._proxy = select_proxy(base_url, dict(proxies or {}))
        self._tls = _tls_context(ca_bundle)
        self._pool: _Pool | None = None

    async def aclose(self) -> None:
        """Close the connections. Calls in progress are not affected."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.drop()

    async def run(self, call: Call[T]) -> T:
        """Make *call*, and retry it once if that is safe.

        Raises:
            ServiceUnreachable: Nothing was sent.
            OutcomeUnknown: The request may have been sent, but there was no readable response to it.
            UnexpectedAnswer: The response is not from the service.
            ApiError: The service refused the request.
        """
        try:
            return await self._attempt(call)
        except call.retry_on:
            await sleep(calls.RETRY_PAUSE)
        return await self._attempt(call)

    async def _attempt(self, call: Call[T]) -> T:
        request_id = calls.new_request_id()
        pool = self._current_pool()
        response = await self._send(pool, call, call.headers(request_id))
        if isinstance(response, OtpServiceError):
            raise response
        try:
            return calls.read_response(call, request_id, response)
        except OutcomeUnknown as error:
            if error.cause == calls.ANOTHER_CALL:
                await self._forget(pool)
            raise

    async def _send(
        self, pool: _Pool, call: Call[T], headers: Mapping[str, str]
    ) -> Response | OtpServiceError:
        try:
            async with (
                pool.client() as client,
                asyncio.timeout(self._timeout),
                client.stream(
                    "POST", self.base_url + call.path, content=call.content, headers=headers
                ) as response,
            ):
                request_id = response.headers.get(calls.REQUEST_ID, "")
                return Response(response.status_code, request_id, await _content(response))
        except (httpx.HTTPError, OSError) as error:  # TimeoutError is an OSError
            return _failure(error)

    def _current_pool(self) -> _Pool:
        """Return the connections of the running event loop. Those of another loop cannot be used in it."""
        loop = asyncio.get_running_loop()
        if self._pool is None or self._pool.loop is not loop:
            self._pool = _Pool(loop, self._new_client())
        return self._pool

    async def _forget(self, pool: _Pool) -> None:
        """Drop connections on which requests and responses are out of step."""
        if self._pool is pool:
            self._pool = None
        await pool.drop()

    def _new_client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            headers=self._headers,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            verify=self._tls,
            proxy=self._proxy,
            # At most half the time: otherwise the total timeout could come first, and a failed connection
            # would look like a lost response.
            timeout=httpx.Timeout(None, connect=min(self._timeout / 2, calls.CONNECT_TIMEOUT)),
            limits=_LIMITS,
            follow_redirects=False,
            trust_env=False,
        )


class _Pool:
    """The connections of one event loop. Once dropped, they are closed after the last call on them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, client: httpx.AsyncClient) -> None:
        self.loop = loop
        self._client = client
        self._calls = 0
        self._is_dropped = False

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
        self._calls += 1
        try:
            yield self._client
        finally:
            self._calls -= 1
            await self._close_unless_used()

    async def drop(self) -> None:
        self._is_dropped = True
        await self._close_unless_used()

    async def _close_unless_used(self) -> None:
        # The connections of a loop that has ended were closed with it.
        if self._is_dropped and not self._calls and self.loop is asyncio.get_running_loop():
            await self._client.aclose()


def _tls_context(ca_bundle: str | None) -> ssl.SSLContext:
    if ca_bundle is None:
        context: ssl.SSLContext = httpx.create_ssl_context(trust_env=False)
        return context
    if Path(ca_bundle).is_dir():
        return ssl.create_default_context(capath=ca_bundle)
    return ssl.create_default_context(cafile=ca_bundle)


async def _content(response: httpx.Response) -> bytes | None:
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        return None
    content = b""
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > calls.MAX_RESPONSE_BYTES:
            return None
    return content


def _failure(error: Exception) -> OtpServiceError:
    """Convert an exception of httpx or a timeout. Only known cases count as not sent."""
    cause = type(error).__name__
    if not isinstance(error, _NEVER_SENT):
        return OutcomeUnknown(cause)
    reasons = [e for e in _causes(error) if isinstance(e, OSError) and not isinstance(e, TimeoutError)]
    return ServiceUnreachable(type(reasons[-1]).__name__ if reasons else cause)


def _causes(error: BaseException) -> Iterator[BaseException]:
    below = error.__cause__ or error.__context__
    while below is not None:
        yield below
        below = below.__cause__ or below.__context__
