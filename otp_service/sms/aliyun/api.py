"""Calls the actions of one of Aliyun's APIs with signed requests, and parses what all responses share."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

from otp_service.services.interfaces import Clock
from otp_service.sms.aliyun.protocol.gateway_codes import ACCESS_KEY_REFUSALS
from otp_service.sms.aliyun.protocol.timestamps import format_timestamp
from otp_service.sms.aliyun.signed_request import SIGN, AccessKey, Operation, Signature, SignatureContext
from otp_service.sms.endpoint import Endpoint
from otp_service.sms.http import ConnectFailed, HttpClient, HttpResponse

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}")
_ID = re.compile(r"[A-Za-z0-9^._-]{1,64}")


class AliyunApi:
    """Calls the actions of one API.

    *keys* has usually one key, and two during a key rotation. When one is refused, the other is used from
    then on, so no call fails, whichever is disabled first. *http* must not be shared, because it keeps
    connections to one host. *nonce* returns a different text at each call.

    Raises:
        BadEndpoint: *endpoint* is not `https://host[:port]`, or `http://` to this machine.
    """

    def __init__(
        self,
        *,
        keys: Sequence[AccessKey],
        version: str,
        endpoint: str,
        http: HttpClient,
        clock: Clock,
        signature: Signature = Signature.V1,
        nonce: Callable[[], str] = lambda: uuid4().hex,
    ) -> None:
        self._keys = tuple(keys)
        self._current = 0
        self._version = version
        self._endpoint = Endpoint.read(endpoint)
        self._http = http
        self._clock = clock
        self._sign = SIGN[signature]
        self._nonce = nonce

    def call(self, action: str, params: Mapping[str, str], *, seconds: float) -> HttpResponse:
        """Call *action* within about *seconds* and return the response, whatever its status.

        The call is repeated, with the other key, only if the access key was refused, which happens before
        anything is done.

        Raises:
            ConnectFailed: nothing left this machine.
            ResponseLost: something did, and no complete response came back.
        """
        ends_at = self._clock.monotonic() + seconds
        index = self._current
        response = self._post(action, params, index, seconds)
        for _ in self._keys[1:]:
            remaining = ends_at - self._clock.monotonic()
            if remaining <= 0 or not _refuses_the_key(response):
                break
            index = (index + 1) % len(self._keys)
            try:
                response = self._post(action, params, index, remaining)
            except ConnectFailed:
                break
            if not _refuses_the_key(response):
                self._current = index
        return response

    def now(self) -> datetime:
        """Return the time of this machine."""
        return datetime.fromtimestamp(self._clock.now(), UTC)

    def close(self) -> None:
        """Close idle connections."""
        self._http.close()

    def _post(self, action: str, params: Mapping[str, str], index: int, seconds: float) -> HttpResponse:
        context = SignatureContext(self._nonce(), format_timestamp(self.now()))
        operation = Operation(action, self._version)
        request = self._sign(self._endpoint, self._keys[index], operation, params, context)
        return self._http.post(request.url, request.headers, request.body, seconds=seconds)


@dataclass(frozen=True, slots=True)
class ResponseFields:
    """A response's *code* and *request_id*, empty unless well-formed, and *all* of its fields.

    The other fields repeat parts of the request: do not log them.
    """

    code: str
    request_id: str
    all: Mapping[str, object] = field(repr=False)


def read_fields(headers: Mapping[str, str], body: bytes) -> ResponseFields:
    """Parse a response, which may be anything."""
    fields = _json_object(body)
    request_id = plain_id(fields.get("RequestId")) or plain_id(headers.get("x-acs-request-id"))
    return ResponseFields(_if_matches(_CODE, fields.get("Code")), request_id, fields)


def plain_id(value: object) -> str:
    """Return *value* if it has the form of an id, else an empty text: untrusted text must not be logged."""
    return _if_matches(_ID, value)


def _json_object(body: bytes) -> dict[str, object]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _if_matches(pattern: re.Pattern[str], value: object) -> str:
    return value if isinstance(value, str) and pattern.fullmatch(value) else ""


def _refuses_the_key(response: HttpResponse) -> bool:
    is_refusal = 400 <= response.status < 500  # noqa: PLR2004 - HTTP's own class
    return is_refusal and read_fields(response.headers, response.body).code in ACCESS_KEY_REFUSALS
