"""Checks who calls the message queue, in the order of its error codes; the clock is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from werkzeug.http import parse_date

from otp_service.sandbox.clock import Clock
from otp_service.sandbox.credentials import Credentials, same
from otp_service.sandbox.queue_keys import QueueKeys
from otp_service.sandbox.verifier import SKEW
from otp_service.sms.aliyun.protocol import mns
from otp_service.sms.aliyun.protocol.mns_codes import MNS_CODES


class MnsRefused(Exception):
    """The queue refuses a call, with the row of one of its error codes."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.row = MNS_CODES[code]


@dataclass(frozen=True)
class MnsCall:
    """One call as it came over the wire."""

    method: str
    #: Path and query, not decoded.
    resource: str
    #: Under lower-case names.
    headers: Mapping[str, str]


class MnsVerifier:
    """Lets the holders of temporary keys through; permanent keys own other queues."""

    def __init__(self, keys: QueueKeys, credentials: Credentials, clock: Clock) -> None:
        self._keys = keys
        self._credentials = credentials
        self._clock = clock

    def verify(self, call: MnsCall) -> None:
        """Check authorization, date, key, security token and MAC.

        Raises:
            MnsRefused: With the code of the first check that failed.
        """
        said = _authorization(call)
        now = self._clock()
        _check_date(call, now)
        secret = self._secret(said.access_key_id, call.headers.get("security-token", ""), now)
        if not same(mns.sign(secret, mns.string_to_sign(call.method, call.headers, call.resource)), said.mac):
            raise MnsRefused("SignatureDoesNotMatch")

    def _secret(self, access_key_id: str, security_token: str, now: datetime) -> str:
        key = self._keys.find(access_key_id)
        if key is None:
            known = self._credentials.secret_of(access_key_id) is not None
            raise MnsRefused("AccessDenied" if known else "InvalidAccessKeyId")
        if not same(key.security_token, security_token):
            raise MnsRefused("InvalidSecurityToken")
        if key.expired(now):
            raise MnsRefused("SecurityTokenExpired")
        return key.secret


def _authorization(call: MnsCall) -> mns.Authorization:
    header = call.headers.get("authorization")
    if not header:
        raise MnsRefused("MissingAuthorizationHeader")
    try:
        return mns.parse_authorization(header)
    except ValueError as error:
        raise MnsRefused("InvalidAuthorizationHeader") from error


def _check_date(call: MnsCall, now: datetime) -> None:
    text = call.headers.get("date")
    if not text:
        raise MnsRefused("MissingDateHeader")
    moment = parse_date(text)
    if moment is None:
        raise MnsRefused("InvalidDateHeader")
    if abs(now - moment) > SKEW:
        raise MnsRefused("TimeExpired")
