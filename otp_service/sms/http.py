"""The one door to requests: a lean request that tells whether it may have arrived; touches the network.

A prepared request goes straight through an adapter. That saves a third of the time a `requests.Session`
takes, and with it everything a session does behind our back: `~/.netrc` (which overwrites `Authorization`),
proxies from the environment, cookies, redirects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from requests import PreparedRequest
from requests.structures import CaseInsensitiveDict

from otp_service.sms import quiet
from otp_service.sms.connections import Adapter
from otp_service.sms.trip import Trip, under_way

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


class BodyTooLarge(Exception):
    """More came back than any answer can be."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; the names of *headers* are in lower case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


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
        # Retrying is not for this layer to decide: SendSms is not idempotent.
        self._adapter = Adapter(pool_connections=1, pool_maxsize=max_connections, max_retries=0)

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
            with under_way(trip):
                return self._exchange(_prepared(method, url, headers, body), seconds)
        except Exception as error:  # noqa: BLE001 - of requests, urllib3, ssl, http.client or the system
            reason = _root(error)
        # Raised here, where the caught one is gone: not even as a context shall it travel on.
        raise NoAnswer(reason) if trip.departed else NotSent(reason)

    def close(self) -> None:
        """Close the idle connections."""
        self._adapter.close()

    def _exchange(self, request: PreparedRequest, seconds: float) -> Answer:
        timeout = (min(self._connect_seconds, seconds), self._read_seconds)
        sent: Any = self._adapter.send(request, stream=True, timeout=timeout, verify=True)
        with sent as response:
            body = response.read(self._max_body + 1, decode_content=True)
            if len(body) > self._max_body:
                raise BodyTooLarge
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status, headers, body)


def _prepared(method: str, url: str, headers: Mapping[str, str], body: bytes) -> PreparedRequest:
    """Fill in what `Request.prepare` would, without its second parse of what is already encoded."""
    request = PreparedRequest()
    request.method = method
    request.url = url
    # An answer is too short to be worth compressing; one that is compressed all the same can be read.
    said = {"Content-Length": str(len(body))} if body or method == "POST" else {}
    request.headers = CaseInsensitiveDict(
        {
            **said,
            "Accept-Encoding": "identity",
            "User-Agent": "otp-service",
            **headers,
        }
    )
    request.body = body or (b"" if said else None)
    return request


def _root(error: BaseException) -> str:
    """Return the name of the type at the bottom of *error*: `ConnectionRefusedError`, `gaierror` ..."""
    while cause := error.__cause__ or error.__context__:
        error = cause
    return type(error).__name__
