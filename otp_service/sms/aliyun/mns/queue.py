"""One queue of Aliyun's message service: receives and deletes up to 16 messages at once; touches the network.

https://help.aliyun.com/document_detail/35137.html and https://help.aliyun.com/document_detail/35139.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from email.utils import formatdate

from otp_service.services.interfaces import Clock
from otp_service.sms.aliyun.mns.key import QueueKey, StsTokenProvider
from otp_service.sms.aliyun.mns.message import BadXml, Message, read_code, read_messages, write_handles
from otp_service.sms.aliyun.mns.trouble import QueueError
from otp_service.sms.aliyun.protocol import mns
from otp_service.sms.endpoint import Endpoint
from otp_service.sms.http import HttpClient, HttpResponse, TransportError

CALL_SECONDS = 10.0
"""What a call may take besides the waiting that it asks for."""

MAX_BODY = 2 * 1024 * 1024
"""Bytes of an answer: 16 messages of 64 KiB, the most that a queue takes, and their XML."""

_NOTHING_THERE = "MessageNotExist"
_OK, _NO_CONTENT, _FORBIDDEN = 200, 204, 403


@dataclass(frozen=True, slots=True)
class _Call:
    """One call: its *name* in the log, and what goes over the wire within *seconds*."""

    name: str
    method: str
    target: str = field(repr=False)
    body: bytes = field(repr=False, default=b"")
    seconds: float = CALL_SECONDS


class Queue:
    """Reads one queue. *http* is its own and waits long enough for `receive`. Not for several threads.

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
        """Return what is there, or comes within *wait_seconds*; nothing if nothing does.

        What was received is invisible to others for a while, and comes again if it is not deleted by then.

        Raises:
            QueueError: nobody knows what is there.
        """
        target = f"{self._target}?numOfMessages={mns.MAX_BATCH}&waitseconds={wait_seconds}"
        answer = self._make(_Call("receive", "GET", target, seconds=CALL_SECONDS + wait_seconds))
        if answer.status != _OK:
            return _nothing_or_trouble("receive", answer)
        try:
            return read_messages(answer.body)
        except BadXml:
            raise QueueError("receive", "unreadable") from None

    def delete(self, handles: Sequence[str]) -> None:
        """Delete the messages with these *handles*; one whose handle is too old comes again.

        Raises:
            QueueError: perhaps none was deleted.
        """
        answer = self._make(_Call("delete", "DELETE", self._target, write_handles(handles)))
        if answer.status not in (_OK, _NO_CONTENT):
            _nothing_or_trouble("delete", answer)

    def close(self) -> None:
        """Close the idle connections."""
        self._keys.close()
        self._http.close()

    def _make(self, call: _Call) -> HttpResponse:
        """Make a call, and once more with another key if the first one is refused."""
        answer = self._send(call, self._keys.current())
        return answer if answer.status != _FORBIDDEN else self._send(call, self._keys.renewed())

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


def _nothing_or_trouble(call: str, answer: HttpResponse) -> list[Message]:
    """Return nothing if that is what the queue says.

    Raises:
        QueueError: it says something else.
    """
    code = read_code(answer.body)
    if code == _NOTHING_THERE:
        return []
    raise QueueError(call, code or f"http_{answer.status}")
