"""The temporary access key (STS token) of a queue, which is renewed before it expires.

https://help.aliyun.com/document_detail/101508.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from otp_service.services.interfaces import Clock
from otp_service.sms.aliyun.api import AliyunApi, read_fields
from otp_service.sms.aliyun.mns.messages import QueueError
from otp_service.sms.aliyun.protocol.mns import MessageType
from otp_service.sms.aliyun.protocol.timestamps import parse_china
from otp_service.sms.http import HttpResponse, TransportError

ACTION, VERSION = "QueryTokenForMnsQueue", "2017-05-25"

CALL_SECONDS = 10.0

MAX_AGE = 600.0
"""In seconds. Aliyun's own SDK fetches a new key after ten minutes, whatever the expiry of the key."""

RENEWAL_MARGIN = 120.0
"""Seconds before its expiry at which a key is renewed."""

MIN_AGE = 30.0
"""Seconds for which a key is not renewed, unless it is refused.

If the clock is wrong by an hour, every key seems to have expired. It is still used, so that not every call
fetches a new key.
"""

_PART = re.compile(r"[!-~]{1,4096}")


@dataclass(frozen=True, slots=True)
class QueueKey:
    """A temporary access key; *expires_at* is in unix seconds, None if it cannot be parsed."""

    id: str
    secret: str = field(repr=False)
    security_token: str = field(repr=False)
    expires_at: float | None


class StsTokenProvider:
    """Provides the access key of one queue. Not thread-safe."""

    def __init__(self, *, api: AliyunApi, message_type: MessageType, queue_name: str, clock: Clock) -> None:
        self._api = api
        self._params = {"MessageType": str(message_type), "QueueName": queue_name}
        self._clock = clock
        self._key: QueueKey | None = None
        self._renew_at = 0.0

    def current(self) -> QueueKey:
        """Return a key that is valid for a while, and fetch one if necessary.

        Raises:
            QueueError: there is no valid key, and fetching one failed.
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
            self._renew_at = self._clock.monotonic() + MIN_AGE
            return self._key

    def renewed(self) -> QueueKey:
        """Return a new key, because the queue refuses the current one.

        Raises:
            QueueError: fetching it failed.
        """
        self._key = None
        return self._renew()

    def close(self) -> None:
        """Close idle connections."""
        self._api.close()

    def _renew(self) -> QueueKey:
        key = _read_key(self._fetch())
        seconds = MAX_AGE
        if key.expires_at is not None:
            seconds = min(seconds, key.expires_at - RENEWAL_MARGIN - self._clock.now())
        self._renew_at = self._clock.monotonic() + max(seconds, MIN_AGE)
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


def _read_key(response: HttpResponse) -> QueueKey:
    fields = read_fields(response.headers, response.body)
    if response.status != 200 or fields.code != "OK":  # noqa: PLR2004 - HTTP's own number
        raise QueueError("key", fields.code or f"http_{response.status}")
    token = fields.all.get("MessageTokenDTO")
    if not isinstance(token, dict):
        raise QueueError("key", "unreadable")
    return QueueKey(
        id=_part(token, "AccessKeyId"),
        secret=_part(token, "AccessKeySecret"),
        security_token=_part(token, "SecurityToken"),
        expires_at=_moment(token.get("ExpireTime")),
    )


def _part(token: Mapping[str, object], name: str) -> str:
    """Return a part of a key, which must be safe in a header."""
    value = token.get(name)
    if isinstance(value, str) and _PART.fullmatch(value):
        return value
    raise QueueError("key", "unreadable")


def _moment(text: object) -> float | None:
    try:
        return parse_china(text).timestamp() if isinstance(text, str) else None
    except ValueError:
        return None
