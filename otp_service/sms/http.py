"""The one door to requests: a lean request that tells whether it may have arrived; touches the network.

requests' adapter finds the connection, and the request goes straight through that. It saves most of the time
that a `requests.Session` takes, and with it everything a session does behind our back: `~/.netrc` (which
overwrites `Authorization`), proxies from the environment, cookies, redirects.
"""

from __future__ import annotations

from collections.abc import Mapping

from otp_service.sms import quiet
from otp_service.sms.connections import Adapter
from otp_service.sms.exchange import Answer, written
from otp_service.sms.trip import Trip

__all__ = ["Answer", "HttpDoor", "NoAnswer", "NotSent", "TripError"]

CONNECT_SECONDS = 1.0
READ_SECONDS = 4.0
MAX_BODY = 64 * 1024
"""Bytes after decompression. Aliyun's answers have some hundred."""


class TripError(Exception):
    """No answer. *reason* is the name of the type of what went wrong, as the texts hold what was sent."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotSent(TripError):
    """Not one byte of the request left this machine: no connection, no address, no trust."""


class NoAnswer(TripError):
    """The request left, at least in part; what became of it is not known."""


class HttpDoor:
    """Speaks to one host; threads share it. An answer of more than *max_body* bytes is none."""

    def __init__(
        self,
        *,
        max_connections: int,
        connect_seconds: float = CONNECT_SECONDS,
        read_seconds: float = READ_SECONDS,
        max_body: int = MAX_BODY,
    ) -> None:
        quiet.install()
        self._connect_seconds = connect_seconds
        self._read_seconds = read_seconds
        self._max_body = max_body
        self._adapter = Adapter(pool_connections=1, pool_maxsize=max_connections)

    def post(self, url: str, headers: Mapping[str, str], body: bytes, *, seconds: float) -> Answer:
        """Post *body* once, following nothing, and return the answer within about *seconds*.

        Raises:
            NotSent: nothing left this machine.
            NoAnswer: something did, and no complete answer came back.
        """
        method = "POST"  # by itself: the line below stands in tracebacks
        return self.request(method, url, headers, body, seconds=seconds)

    def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, *, seconds: float
    ) -> Answer:
        """Do the same with any *method*; without a *body*, nothing is said of one.

        Raises:
            NotSent: nothing left this machine.
            NoAnswer: something did, and no complete answer came back.
        """
        trip = Trip(seconds=seconds, read_seconds=self._read_seconds)
        try:
            with trip:
                return self._exchange(method, url, headers, body, seconds)
        except Exception as error:  # noqa: BLE001 - of requests, urllib3, ssl, http.client or the system
            reason = _root(error)
        # Raised here, where the caught one is gone: not even as a context shall it travel on.
        raise NoAnswer(reason) if trip.departed else NotSent(reason)

    def close(self) -> None:
        """Close the idle connections."""
        self._adapter.close()

    def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, seconds: float
    ) -> Answer:
        path_at = url.index("/", len("https://"))  # an `Endpoint` always has one
        origin, target = url[:path_at], url[path_at:]
        request = written(method, origin.partition("://")[2], target, headers, body)
        pool = self._adapter.pool(origin)
        return pool.exchange(method, request, self._max_body, min(self._connect_seconds, seconds))


def _root(error: BaseException) -> str:
    """Return the name of the type at the bottom of *error*: `ConnectionRefusedError`, `gaierror` ..."""
    while cause := error.__cause__ or error.__context__:
        error = cause
    return type(error).__name__
