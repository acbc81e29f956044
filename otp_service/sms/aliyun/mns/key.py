"""The temporary key that opens a queue, renewed before it expires; touches the network through `AliyunApi`.

https://help.aliyun.com/document_detail/101508.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from otp_service.services.interfaces import Clock
from otp_service.sms.aliyun.api import AliyunApi, read_fields
from otp_service.sms.aliyun.mns.trouble import QueueError
from otp_service.sms.aliyun.protocol.mns import MessageType
from otp_service.sms.aliyun.protocol.timestamps import parse_china
from otp_service.sms.http import HttpResponse, TransportError

ACTION, VERSION = "QueryTokenForMnsQueue", "2017-05-25"

CALL_SECONDS = 10.0

MAX_AGE = 600.0
"""Seconds. Aliyun's own SDK takes a new key after ten minutes, whatever the key says."""

LEAST_LEFT = 120.0
"""Seconds before its end from which on a key is renewed."""

LEAST_AGE = 30.0
"""Seconds before which a key is not renewed, unless it is refused. With a clock that is wrong by an hour
every key looks as if it had expired; it is used all the same, and no key is fetched for each call."""

_PART = re.compile(r"[!-~]{1,4096}")


@dataclass(frozen=True, slots=True)
class QueueKey:
    """A temporary key; *expires_at* in unix seconds, None where that can't be read."""

    id: str
    secret: str = field(repr=False)
    security_token: str = field(repr=False)
    expires_at: float | None


class StsTokenProvider:
    """Hands out the key to one queue. Not for several threads."""

    def __init__(self, *, api: AliyunApi, message_type: MessageType, queue_name: str, clock: Clock) -> None:
        self._api = api
        self._params = {"MessageType": str(message_type), "QueueName": queue_name}
        self._clock = clock
        self._key: QueueKey | None = None
        self._renew_at = 0.0

    def current(self) -> QueueKey:
        """Return a key that is good for a while, fetching it if need be.

        Raises:
            QueueError: there is none, and none could be fetched.
        """
        if self._key is None:
            return self._renew()
        if self._clock.monotonic() < self._renew_at:
            return self._key
        try:
            return self._renew()
        except QueueError:
            if not self._is_alive(self._key):
                raise
            self._renew_at = self._clock.monotonic() + LEAST_AGE
            return self._key

    def renewed(self) -> QueueKey:
        """Return another key, as the queue does not take the current one.

        Raises:
            QueueError: none could be fetched.
        """
        self._key = None
        return self._renew()

    def close(self) -> None:
        """Close the idle connections."""
        self._api.close()

    def _renew(self) -> QueueKey:
        key = _read_key(self._fetch())
        life = MAX_AGE
        if key.expires_at is not None:
            life = min(life, key.expires_at - LEAST_LEFT - self._clock.now())
        self._renew_at = self._clock.monotonic() + max(life, LEAST_AGE)
        self._key = key
        return key

    def _fetch(self) -> HttpResponse:
        try:
            return self._api.call(ACTION, self._params, seconds=CALL_SECONDS)
        except TransportError as error:
            reason = error.reason
        raise QueueError("key", reason)

    def _is_alive(self, key: QueueKey) -> bool:
        return key.expires_at is None or self._clock.now() < key.expires_at


def _read_key(answer: HttpResponse) -> QueueKey:
    fields = read_fields(answer.headers, answer.body)
    if answer.status != 200 or fields.code != "OK":  # noqa: PLR2004 - HTTP's own number
        raise QueueError("key", fields.code or f"http_{answer.status}")
    told = fields.all.get("MessageTokenDTO")
    if not isinstance(told, dict):
        raise QueueError("key", "unreadable")
    return QueueKey(
        id=_part(told, "AccessKeyId"),
        secret=_part(told, "AccessKeySecret"),
        security_token=_part(told, "SecurityToken"),
        expires_at=_moment(told.get("ExpireTime")),
    )


def _part(told: Mapping[str, object], name: str) -> str:
    """Return a part of a key, which goes into a header."""
    value = told.get(name)
    if isinstance(value, str) and _PART.fullmatch(value):
        return value
    raise QueueError("key", "unreadable")


def _moment(text: object) -> float | None:
    try:
        return parse_china(text).timestamp() if isinstance(text, str) else None
    except ValueError:
        return None
