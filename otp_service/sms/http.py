"""The HTTP client for providers and webhooks: sends a request once, and reports whether it may have arrived.

requests' `HTTPAdapter` sends prepared requests. There is no session, so the client reads nothing from the
environment (proxies, `~/.netrc`), follows no redirects and keeps no cookies.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache, lru_cache
from http import HTTPStatus
from http.client import BadStatusLine
from ssl import SSLContext
from typing import Any

import gevent
from gevent import monkey
from requests import PreparedRequest, Response, certs
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import Timeout
from urllib3.util.ssl_ import create_urllib3_context

from otp_service import forks

CONNECT_SECONDS = 1.0
READ_SECONDS = 4.0
MAX_BODY = 64 * 1024
"""Bytes after decompression. Aliyun's responses have a few hundred."""

LOGGERS = (
    "urllib3.connection",
    "urllib3.connectionpool",
    "urllib3.poolmanager",
    "urllib3.response",
    "urllib3.util.retry",
)
"""All loggers of urllib3. A filter of their parent would not see their records."""

_CHUNK = 16 * 1024
_HEADERS = {"Accept-Encoding": "identity", "User-Agent": "otp-service"}


class TransportError(Exception):
    """No response. *reason* is the type of the cause, because its text may contain what was sent."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ConnectFailed(TransportError):
    """Not one byte of the request left this machine: no address, no connection or no trusted certificate."""


class ResponseLost(TransportError):
    """The request left, at least in part, and no complete response came back: its outcome is unknown."""


class BodyTooLarge(Exception):
    """The body of a response is longer than any valid one."""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A response; names in *headers* are case-insensitive."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class RequestDeadline:
    """The time by which a request must end, and whether any byte of it may have left this machine."""

    def __init__(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds
        self.sent = False

    def remaining(self) -> float:
        """Return the remaining seconds.

        Raises:
            TimeoutError: no time remains.
        """
        seconds = self._ends_at - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        return seconds

    def mark_sent(self) -> None:
        """Record that bytes leave from now on.

        Raises:
            TimeoutError: it is too late to begin.
        """
        if not self.sent:
            self.remaining()
        self.sent = True

    def enforced(self) -> AbstractContextManager[object]:
        """Return a context manager that, under gevent, ends its block at the deadline, whatever it waits for.

        Threads cannot be interrupted: without gevent, each wait ends at its own timeout.
        """
        if not monkey.is_module_patched("socket"):
            return nullcontext()
        silently: Any = False  # which gevent documents, and its stubs do not
        return gevent.Timeout(self.remaining(), silently)


_current: ContextVar[RequestDeadline | None] = ContextVar("request_deadline", default=None)


class _Connection(HTTPConnection):
    """Records when the first byte leaves.

    The errors of urllib3 do not distinguish a failed TLS handshake from a lost response.
    """

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        if deadline := _current.get():
            deadline.mark_sent()
        super().send(data)


class _TlsConnection(_Connection, HTTPSConnection):
    """The same over TLS, where connecting includes the handshake."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


def tls_context() -> SSLContext:
    """Return the context that trusts the CAs of requests (certifi), and none that this machine adds."""
    return _tls_context(certs.where())  # type: ignore[attr-defined]  # missing in its stubs


@cache
def _tls_context(ca_file: str) -> SSLContext:
    """Return the TLS context of all connections of this process, and of the processes that it forks.

    Loading the trusted certificates takes 18 ms and 0.7 MiB; requests would do it for every connection.
    """
    context = create_urllib3_context()
    context.load_verify_locations(ca_file)
    return context


class _Adapter(HTTPAdapter):
    """requests' adapter with our connections, which share one TLS context."""

    _pool: Any = None

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=tls_context(), **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def cert_verify(self, *_: Any, **__: Any) -> None:
        """Do nothing: the TLS context verifies certificates."""

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        self._pool = super().get_connection_with_tls_context(*args, **kwargs)
        return self._pool

    def build_response(self, req: PreparedRequest, resp: Any) -> Response:
        """Return what `HttpClient` reads of a response; cookies and the encoding of text cost 40 µs."""
        response = Response()
        response.request, response.raw = req, resp
        response.status_code, response.headers = resp.status, resp.headers
        return response

    def abandon(self) -> None:
        """Close this process's copies of the parent's idle connections, without sending anything.

        Their queue is re-initialized: its lock may be held by a thread that does not exist in this process.
        """
        queue = self._pool and self._pool.pool
        if queue:
            idle = [connection for connection in queue.queue if connection]
            queue.__init__(queue.maxsize)
            for connection in idle:
                connection.close()


class HttpClient:
    """Sends requests to one host; thread-safe. A response with more than *max_body* bytes counts as lost."""

    def __init__(
        self,
        *,
        max_connections: int,
        connect_seconds: float = CONNECT_SECONDS,
        read_seconds: float = READ_SECONDS,
        max_body: int = MAX_BODY,
    ) -> None:
        for name in LOGGERS:
            logging.getLogger(name).addFilter(_is_not_ours)
        self._connect_seconds = connect_seconds
        self._read_seconds = read_seconds
        self._max_body = max_body
        self._max_connections = max_connections
        self._adapter = self._new_adapter()
        forks.call_in_child(self._restart)

    def post(self, url: str, headers: Mapping[str, str], body: bytes, *, seconds: float) -> HttpResponse:
        """Post *body* once and return the response, whatever its status; see `request`."""
        return self.request("POST", url, headers, body, seconds=seconds)

    def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, *, seconds: float
    ) -> HttpResponse:
        """Send a request once and return the response, whatever its status, within *seconds*.

        Raises:
            ConnectFailed: nothing left this machine.
            ResponseLost: something did, and no complete response came back.
        """
        deadline = RequestDeadline(min(seconds, self._connect_seconds + self._read_seconds))
        token = _current.set(deadline)
        reason = TimeoutError.__name__
        try:
            with deadline.enforced():
                return self._exchange(method, url, headers, body, deadline)
        except Exception as error:  # noqa: BLE001 - of requests, urllib3, ssl, http.client or the system
            reason = _root_cause(error)
        finally:
            _current.reset(token)
        # Raised here, where the caught error is gone: its text and its context may contain what was sent.
        raise ResponseLost(reason) if deadline.sent else ConnectFailed(reason)

    def close(self) -> None:
        """Close the idle connections."""
        self._adapter.close()

    def _new_adapter(self) -> _Adapter:
        return _Adapter(pool_connections=1, pool_maxsize=self._max_connections, max_retries=0)

    def _restart(self) -> None:
        """Replace the parent's connections: a child that used them would read the parent's responses."""
        inherited, self._adapter = self._adapter, self._new_adapter()
        inherited.abandon()

    def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, deadline: RequestDeadline
    ) -> HttpResponse:
        request = _prepare(method, url, {**_HEADERS, **headers}, body)
        timeout: Any = Timeout(deadline.remaining(), self._connect_seconds, self._read_seconds)
        with self._adapter.send(request, stream=True, timeout=timeout) as response:
            if response.status_code < HTTPStatus.OK:  # another response follows on this connection
                raise BadStatusLine("")
            return HttpResponse(response.status_code, response.headers, self._read_body(response, deadline))

    def _read_body(self, response: Response, deadline: RequestDeadline) -> bytes:
        body = bytearray()
        while chunk := response.raw.read1(_CHUNK, decode_content=True):
            body += chunk
            if len(body) > self._max_body:
                raise BodyTooLarge
            deadline.remaining()
        return bytes(body)


def _prepare(method: str, url: str, headers: Mapping[str, str], body: bytes) -> PreparedRequest:
    """Return a request without what `PreparedRequest.prepare` would add: cookies, authentication, hooks."""
    request = PreparedRequest()
    request.prepare_method(method)
    # With signature V3, the query contains phone and code, which must not be kept.
    request.url = _prepare_url(url) if "?" in url else _prepare_constant_url(url)
    request.prepare_headers(headers)
    request.prepare_body(body, None)
    return request


def _prepare_url(url: str) -> str | None:
    request = PreparedRequest()
    request.prepare_url(url, None)
    return request.url


_prepare_constant_url = lru_cache(maxsize=64)(_prepare_url)
"""Preparing a URL takes half as long as preparing the whole request."""


def _is_not_ours(_: logging.LogRecord) -> bool:
    """Drop what urllib3 logs about our requests: with signature V3, a URL contains phone and code."""
    return _current.get() is None


def _root_cause(error: BaseException) -> str:
    """Return the name of the type at the bottom of *error*: `ConnectionRefusedError`, `gaierror` ..."""
    while cause := error.__cause__ or error.__context__:
        error = cause
    return type(error).__name__
