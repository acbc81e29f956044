"""urllib3's connections, made to tell whether a request left and to read against a deadline; touches sockets.

The types of urllib3's errors do not tell this: a time-out inside the TLS handshake and one while waiting for
the answer look the same. The connection itself knows.
"""

from __future__ import annotations

import io
import socket
import ssl
import threading
import time
from http.client import HTTPResponse
from typing import Any, ClassVar

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.connection import create_connection
from urllib3.util.ssl_ import ALPN_PROTOCOLS, create_urllib3_context

from otp_service.sms import trip
from otp_service.sms.resolver import Resolver

MAX_IDLE_SECONDS = 20.0
"""Aliyun closes a connection that was idle for 25 s (`Keep-Alive: timeout=25`). urllib3 drops those whose end
it can see, but a request may cross the closing on the wire, and then nobody knows whether it was read. So a
connection is not used again when that moment comes near."""


class TimedReader(io.RawIOBase):
    """Reads from a socket until the trip's answer is due.

    A socket's own time-out starts anew with each byte, so a server that drips could hold a thread for hours.
    """

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        """Return True: that is all it can do."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read what is there into *buffer*, waiting no longer than the trip may."""
        self._sock.settimeout(trip.current().left())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        """Let go of the socket, which lives as long as somebody reads from it."""
        self._raw.close()
        super().close()


class TimedResponse(HTTPResponse):
    """The standard library's response over a `TimedReader`."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(TimedReader(sock))


class Connection(HTTPConnection):
    """Marks its trip as departed before the first byte of the request is written, which is one write.

    It waits for nothing longer than its trip may: neither for the *resolver* nor for silent addresses.
    """

    response_class = TimedResponse
    resolver: Resolver
    _used_at = 0.0
    _held: list[bytes] | None = None

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Write head and body together: each write of its own lets go of the interpreter."""
        held: list[bytes] = []
        self._held = held
        try:
            super().request(*args, **kwargs)
        finally:
            self._held = None
        self.send(b"".join(held))

    def _new_conn(self) -> socket.socket:
        """Return a socket to the first address that answers."""
        failed = OSError()
        for address in self.resolver.addresses(trip.current().left()):
            try:
                return self._dialed(address)
            except OSError as error:
                failed = error
        raise failed

    def _dialed(self, address: str) -> socket.socket:
        sock = create_connection((address, self.port), self._patience(), None, self.socket_options)
        try:
            sock.settimeout(self._patience())  # a handshake takes it for the whole of itself
        except TimeoutError:
            sock.close()
            raise
        return sock

    def _patience(self) -> float:
        """Return the seconds that one step of connecting may take."""
        return min(float(self.timeout or 0), trip.current().left())

    def send(self, data: Any) -> None:
        """Write *data*, connecting first if need be."""
        if self._held is not None:
            self._held.append(data)
            return
        if self.sock is None:
            self.connect()
        under_way = trip.current()
        under_way.depart()
        self.sock.settimeout(under_way.left())  # for all that is written, not for each piece
        self._used_at = time.monotonic()
        super().send(data)

    @property
    def is_connected(self) -> bool:
        """Whether it may carry another request; urllib3 asks before each."""
        return super().is_connected and time.monotonic() - self._used_at < MAX_IDLE_SECONDS


class TlsConnection(Connection, HTTPSConnection):
    """The same over TLS, where connecting includes the handshake."""


class _Pool(HTTPConnectionPool):
    """Connections to one host, which find its addresses together."""

    ConnectionCls = Connection

    def __init__(self, host: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(host, *args, **kwargs)
        self._resolver = Resolver(host)

    def _new_conn(self) -> Any:
        connection: Any = super()._new_conn()
        connection.resolver = self._resolver
        return connection


class _TlsPool(_Pool, HTTPSConnectionPool):
    """The same over TLS, with one context for all: reading what it trusts takes 18 ms and 0.7 MiB."""

    ConnectionCls = TlsConnection

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._making = threading.Lock()
        self._made: ssl.SSLContext | None = None

    def _new_conn(self) -> Any:
        connection = super()._new_conn()
        connection.ssl_context = self._context()
        connection.ca_certs = connection.ca_cert_dir = None  # or they would be read again
        return connection

    def _context(self) -> ssl.SSLContext:
        with self._making:
            if self._made is None:
                self._made = _trusting(self.ca_certs, self.ca_cert_dir)
            return self._made


def _trusting(file: str | None, directory: str | None) -> ssl.SSLContext:
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    context.load_verify_locations(file, directory)
    context.set_alpn_protocols(ALPN_PROTOCOLS)
    # urllib3 would say it again at each handshake, while OpenSSL may be reading it for another one.
    context.set_alpn_protocols = _say_nothing  # type: ignore[assignment,method-assign]
    return context


def _say_nothing(_: object) -> None:
    """Stand for what has been said."""


class Adapter(HTTPAdapter):
    """requests' adapter over these connections, without what an answer of ours is never asked for.

    It parses no URL again, looks for no proxy and extracts no cookies: a third of a request's time.
    """

    pools: ClassVar = {"http": _Pool, "https": _TlsPool}

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._pools: dict[str, Any] = {}

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pool manager, and have it make our pools."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self.pools

    def get_connection_with_tls_context(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the pool of the request's host."""
        origin = request.url[: _path_at(request.url)]
        if origin not in self._pools:
            self._pools[origin] = super().get_connection_with_tls_context(request, *args, **kwargs)
        return self._pools[origin]

    def request_url(self, request: Any, proxies: Any) -> str:
        """Return path and query; there are no proxies."""
        del proxies
        target: str = request.url[_path_at(request.url) :]
        return target

    def build_response(self, req: Any, resp: Any) -> Any:
        """Return urllib3's response as it is."""
        del req
        return resp


def _path_at(url: str) -> int:
    """Return where the path of *url* begins; an `Endpoint` always has one."""
    return url.index("/", len("https://"))
