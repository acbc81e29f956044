"""Temporary keys to the account's queues, and the authentication of requests to them."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from werkzeug.http import parse_date

from otp_service.sandbox.api.verifier import MAX_CLOCK_SKEW
from otp_service.sandbox.config import Clock
from otp_service.sandbox.credentials import Credentials, StsKey, secrets_equal
from otp_service.sms.aliyun.protocol import mns
from otp_service.sms.aliyun.protocol.mns import MNS_CODES


class QueueKeys:
    """Issues temporary keys and keeps them in memory, at most *max_keys*; the oldest are dropped first."""

    def __init__(self, lifetime_seconds: float, max_keys: int = 1000) -> None:
        self._lifetime = timedelta(seconds=lifetime_seconds)
        self._max_keys = max_keys
        self._lock = threading.Lock()
        self._keys: OrderedDict[str, StsKey] = OrderedDict()

    def issue(self, now: datetime) -> tuple[str, StsKey]:
        """Create a key. Return its id and the key."""
        access_key_id = f"STS.{secrets.token_hex(10)}"
        key = StsKey(secrets.token_urlsafe(24), secrets.token_urlsafe(48), now + self._lifetime)
        with self._lock:
            self._keys[access_key_id] = key
            if len(self._keys) > self._max_keys:
                self._keys.popitem(last=False)
        return access_key_id, key

    def find(self, access_key_id: str) -> StsKey | None:
        """Return the key with this id, or None if it was never issued or has been dropped."""
        with self._lock:
            return self._keys.get(access_key_id)


class MnsError(Exception):
    """The queue refuses a request with one of its error codes."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.info = MNS_CODES[code]


@dataclass(frozen=True)
class MnsRequest:
    """A request to a queue."""

    method: str
    #: The raw path and query.
    resource: str
    #: By lower-case name.
    headers: Mapping[str, str]


class MnsVerifier:
    """Accepts requests that are signed with a temporary key. Permanent keys have no access to the queues."""

    def __init__(self, keys: QueueKeys, credentials: Credentials, clock: Clock) -> None:
        self._keys = keys
        self._credentials = credentials
        self._clock = clock

    def verify(self, request: MnsRequest) -> None:
        """Check authorization header, date, key, security token and MAC, in this order.

        Raises:
            MnsError: With the code of the first failed check.
        """
        authorization = _parse_authorization(request)
        now = self._clock()
        _check_date(request, now)
        security_token = request.headers.get("security-token", "")
        secret = self._secret(authorization.access_key_id, security_token, now)
        string_to_sign = mns.string_to_sign(request.method, request.headers, request.resource)
        if not secrets_equal(mns.sign(secret, string_to_sign), authorization.mac):
            raise MnsError("SignatureDoesNotMatch")

    def _secret(self, access_key_id: str, security_token: str, now: datetime) -> str:
        key = self._keys.find(access_key_id)
        if key is None:
            is_permanent = self._credentials.secret_of(access_key_id) is not None
            raise MnsError("AccessDenied" if is_permanent else "InvalidAccessKeyId")
        if not secrets_equal(key.security_token, security_token):
            raise MnsError("InvalidSecurityToken")
        if key.is_expired(now):
            raise MnsError("SecurityTokenExpired")
        return key.secret


def _parse_authorization(request: MnsRequest) -> mns.Authorization:
    header = request.headers.get("authorization")
    if not header:
        raise MnsError("MissingAuthorizationHeader")
    try:
        return mns.parse_authorization(header)
    except ValueError as error:
        raise MnsError("InvalidAuthorizationHeader") from error


def _check_date(request: MnsRequest, now: datetime) -> None:
    text = request.headers.get("date")
    if not text:
        raise MnsError("MissingDateHeader")
    moment = parse_date(text)
    if moment is None:
        raise MnsError("InvalidDateHeader")
    if abs(now - moment) > MAX_CLOCK_SKEW:
        raise MnsError("TimeExpired")
