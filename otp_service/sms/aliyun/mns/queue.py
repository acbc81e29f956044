"""One queue of Aliyun's message service (MNS): receives and deletes up to 16 messages at once.

https://help.aliyun.com/document_detail/35137.html and https://help.aliyun.com/document_detail/35139.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from email.utils import formatdate

from otp_service.services.interfaces import Clock
from otp_service.sms.aliyun.mns.messages import (
    BadXml,
    Message,
    QueueError,
    read_error_code,
    read_messages,
    write_handles,
)
from otp_service.sms.aliyun.mns.sts_token import QueueKey, StsTokenProvider
from otp_service.sms.aliyun.protocol import mns
from otp_service.sms.endpoint import Endpoint
from otp_service.sms.http import HttpClient, HttpResponse, TransportError

CALL_SECONDS = 10.0
"""The time limit of a call, in addition to the wait that it requests."""

MAX_BODY = 2 * 1024 * 1024
"""Bytes of a response: 16 messages of 64 KiB, the maximum of a queue, and their XML."""

_QUEUE_EMPTY = "MessageNotExist"
_OK, _NO_CONTENT, _FORBIDDEN = 200, 204, 403


@dataclass(frozen=True, slots=True)
class _Call:
    """One call, with its *name* in the log and its time limit in *seconds*."""

    name: str
    method: str
    target: str = field(repr=False)
    body: bytes = field(repr=False, default=b"")
    seconds: float = CALL_SECONDS


class Queue:
    """Reads one queue. Not thread-safe.

    *http* must not be shared, and its timeout must be long enough for `receive`.

    Raises:
        BadEndpoint: *endpoint* is not `https://host[:port]`, or `http://` to this machine.
    """

    def __init__(
        self, *, endpoint: str, name: str, keys: StsTokenProvider, http: HttpClient, clock: Clock
    ) -> None:
        self._endpoint = Endpoint.read(endpoint)
        self._target = f"/queues/{name}/messages"
        self._keys = keys
        self._http = http
        self._clock = clock

    def receive(self, wait_seconds: int) -> list[Message]:
        """Return the messages that are there or arrive within *wait_seconds*.

        Received messages are invisible for a while. Unless they are deleted, they can be received again.

        Raises:
            QueueError: the queue could not be read.
        """
        target = f"{self._target}?numOfMessages={mns.MAX_BATCH}&waitseconds={wait_seconds}"
        response = self._call(_Call("receive", "GET", target, seconds=CALL_SECONDS + wait_seconds))
        if response.status != _OK:
            return _empty_or_error("receive", response)
        try:
            return read_messages(response.body)
        except BadXml:
            raise QueueError("receive", "unreadable") from None

    def delete(self, handles: Sequence[str]) -> None:
        """Delete the messages with these *handles*. A message whose handle has expired is received again.

        Raises:
            QueueError: possibly none was deleted.
        """
        response = self._call(_Call("delete", "DELETE", self._target, write_handles(handles)))
        if response.status not in (_OK, _NO_CONTENT):
            _empty_or_error("delete", response)

    def close(self) -> None:
        """Close idle connections."""
        self._keys.close()
        self._http.close()

    def _call(self, call: _Call) -> HttpResponse:
        """Make a call, and repeat it once with a new key if the first key is refused."""
        response = self._send(call, self._keys.current())
        return response if response.status != _FORBIDDEN else self._send(call, self._keys.renewed())

    def _send(self, call: _Call, key: QueueKey) -> HttpResponse:
        headers = self._headers(call, key)
        url = self._endpoint.url.rstrip("/") + call.target
        try:
            return self._http.request(call.method, url, headers, call.body, seconds=call.seconds)
        except TransportError as error:
            reason = error.reason
        raise QueueError(call.name, reason)

    def _headers(self, call: _Call, key: QueueKey) -> dict[str, str]:
        signed = {
            "date": formatdate(self._clock.now(), usegmt=True),
            "x-mns-version": mns.VERSION,
            **({"content-type": "text/xml"} if call.body else {}),
        }
        mac = mns.sign(key.secret, mns.string_to_sign(call.method, signed, call.target))
        return {
            **signed,
            "host": self._endpoint.host,
            "security-token": key.security_token,
            "authorization": mns.authorization(key.id, mac),
        }


def _empty_or_error(call: str, response: HttpResponse) -> list[Message]:
    """Return an empty list if the response says that the queue is empty.

    Raises:
        QueueError: the response says something else.
    """
    code = read_error_code(response.body)
    if code == _QUEUE_EMPTY:
        return []
    raise QueueError(call, code or f"http_{response.status}")
