"""urllib3's connections, made to tell whether a request left and to read against a deadline; touches sockets.

The types of urllib3's errors do not tell this: a time-out inside the TLS handshake and one while waiting for
the answer look the same. The connection itself knows.
"""

from __future__ import annotations

import io
import socket
import ssl
import sys
import threading
import time
from typing import Any, ClassVar

from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.connection import create_connection
from urllib3.util.ssl_ import ALPN_PROTOCOLS, create_urllib3_context

from otp_service.sms import exchange, trip
from otp_service.sms.exchange import Answer
from otp_service.sms.resolver import Resolver
from otp_service.sms.response import Response

MAX_IDLE_SECONDS = 20.0
"""Aliyun closes a connection that was idle for 25 s (`Keep-Alive: timeout=25`). urllib3 drops those whose end
it can see, but a request may cross the closing on the wire, and then nobody knows whether it was read. So a
connection is not used again when that moment comes near."""

FRESH_SECONDS = 0.02
"""A connection used so lately has nothing to read that it should not have. Whether the other side has ended
it can be asked without letting go of the interpreter; looking for something to read lets go of it."""

_ESTABLISHED = 1
"""What the first byte of TCP_INFO says of a connection that nobody has ended, on Linux."""

TOLERATED_SECONDS = 0.01
"""By so little a wait may be longer than its trip allows; a send ends much longer before its request does."""


class TimedReader(io.RawIOBase):
    """Reads from a socket until the trip's answer is due.

    A socket's own time-out starts anew with each byte, so a server that drips could hold a thread for hours.
    """

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        self._sock = sock

    def readable(self) -> bool:
        """Return True: that is all it can do."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what is there into *buffer*, waiting no longer than the trip may."""
        _allow(self._sock, trip.current().left())
        return self._sock.recv_into(buffer)


class _Source:
    """What the standard library's response takes for a socket, and asks for nothing but a reader."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def makefile(self, _: str) -> io.BufferedReader:
        return io.BufferedReader(TimedReader(self._sock))


class Connection(HTTPConnection):
    """Marks its trip as departed before the first byte of the request is written, which is one write.

    It waits for nothing longer than its trip may: neither for the *resolver* nor for silent addresses.
    """

    resolver: Resolver
    _used_at = 0.0

    def exchange(self, method: str, request: bytes, most: int) -> Answer:
        """Write *request* and return the answer to it, whose body has no more than *most* bytes.

        Raises:
            OSError, http.client.HTTPException, BodyTooLarge, zlib.error: there is none.
        """
        self.send(request)
        response = Response(_Source(self.sock), method=method)  # type: ignore[arg-type]
        response.begin()
        answer = exchange.read(response, most)
        if response.will_close:
            self.close()
        return answer

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
        if self.sock is None:
            self.connect()
        under_way = trip.current()
        under_way.depart()
        _allow(self.sock, under_way.left())  # for all that is written, not for each piece
        self._used_at = time.monotonic()
        super().send(data)

    @property
    def is_connected(self) -> bool:
        """Whether it may carry another request; urllib3 asks before each."""
        idle = time.monotonic() - self._used_at
        if idle < FRESH_SECONDS and sys.platform == "linux":
            return self.sock is not None and _is_established(self.sock)
        return idle < MAX_IDLE_SECONDS and super().is_connected


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

    def exchange(self, method: str, request: bytes, most: int, connect_seconds: float) -> Answer:
        """Do what `Connection.exchange` does over one that is kept for others if nothing goes wrong on it."""
        connection: Any = self._get_conn()
        connection.timeout = connect_seconds
        try:
            answer: Answer = connection.exchange(method, request, most)
        except BaseException:
            connection.close()
            raise
        finally:
            self._put_conn(connection)
        return answer


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
    """requests' adapter as a place to find connections, and what they trust; nothing is sent through it."""

    pools: ClassVar = {"http": _Pool, "https": _TlsPool}

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._pools: dict[str, _Pool] = {}

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pool manager, and have it make our pools."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self.pools

    def pool(self, origin: str) -> _Pool:
        """Return the connections to *origin*, `scheme://host[:port]`."""
        if origin not in self._pools:
            request = PreparedRequest()
            request.url = f"{origin}/"
            pool: Any = self.get_connection_with_tls_context(request, verify=True)
            self.cert_verify(pool, request.url, verify=True, cert=None)  # type: ignore[no-untyped-call]
            self._pools[origin] = pool
        return self._pools[origin]


def _is_established(sock: socket.socket) -> bool:
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _ESTABLISHED


def _allow(sock: socket.socket, seconds: float) -> None:
    """Give each step on *sock* so many seconds, unless that is what it has got.

    Setting a time-out lets go of the interpreter, and under load winning it back costs more than the step.
    """
    if abs((sock.gettimeout() or 0) - seconds) > TOLERATED_SECONDS:
        sock.settimeout(seconds)
