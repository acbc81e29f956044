"""Authenticates requests by access key, security token, timestamp, signature and nonce."""

from __future__ import annotations

import threading
from collections import OrderedDict
from datetime import datetime, timedelta

from otp_service.sandbox.api.request import (
    ApiRequest,
    SignatureClaims,
    check_signature_is_complete,
    read_claims,
)
from otp_service.sandbox.api.responses import ApiError
from otp_service.sandbox.config import Clock
from otp_service.sandbox.credentials import Credentials, secrets_equal
from otp_service.sms.aliyun.protocol.signature import body_sha256
from otp_service.sms.aliyun.protocol.timestamps import parse_timestamp

#: How far a timestamp may be from the clock, in either direction.
MAX_CLOCK_SKEW = timedelta(minutes=15)

#: How long a timestamp can stay valid: it may be up to 15 minutes ahead, and then 15 minutes behind.
NONCE_LIFETIME = 2 * MAX_CLOCK_SKEW


class Nonces:
    """The recently used nonces of each access key. In memory, thread-safe, at most *max_size* of them."""

    def __init__(self, max_size: int = 100_000) -> None:
        self._max_size = max_size
        self._lock = threading.Lock()
        self._used: OrderedDict[tuple[str, str], datetime] = OrderedDict()

    def use(self, access_key_id: str, nonce: str, now: datetime) -> bool:
        """Mark a nonce as used. Return whether it was new."""
        with self._lock:
            self._remove_expired(now)
            if (access_key_id, nonce) in self._used:
                return False
            self._used[access_key_id, nonce] = now
            if len(self._used) > self._max_size:
                self._used.popitem(last=False)
            return True

    def _remove_expired(self, now: datetime) -> None:
        while self._used and now - next(iter(self._used.values())) > NONCE_LIFETIME:
            self._used.popitem(last=False)


class Verifier:
    """Accepts each request once, if it was signed with one of the account's access keys."""

    def __init__(self, credentials: Credentials, nonces: Nonces, clock: Clock) -> None:
        """Store the keys, the used nonces and the clock."""
        self._credentials = credentials
        self._nonces = nonces
        self._clock = clock

    def verify(self, request: ApiRequest) -> None:
        """Check access key, security token, timestamp, signature and nonce, in Alibaba Cloud's order.

        Only a request with a correct signature uses up a nonce, so that a caller without the secret cannot
        block the requests of others.

        Raises:
            ApiError: With the code of the first failed check.
        """
        claims = read_claims(request)
        now = self._clock()
        secret = self._secret(claims, now)
        check_signature_is_complete(request)
        _check_timestamp(claims, now)
        _check_signature(request, claims, secret)
        self._check_nonce(claims, now)

    def _secret(self, claims: SignatureClaims, now: datetime) -> str:
        if not claims.access_key_id:
            raise ApiError("MissingAccessKeyId")
        secret = self._credentials.secret_of(claims.access_key_id)
        if secret is None:
            raise ApiError("InvalidAccessKeyId.NotFound")
        self._credentials.check_token(claims.access_key_id, claims.security_token, now)
        return secret

    def _check_nonce(self, claims: SignatureClaims, now: datetime) -> None:
        if not claims.nonce:
            raise ApiError("MissingSignatureNonce")
        if not self._nonces.use(claims.access_key_id, claims.nonce, now):
            raise ApiError("SignatureNonceUsed")


def _check_timestamp(claims: SignatureClaims, now: datetime) -> None:
    if not claims.timestamp:
        raise ApiError("MissingTimestamp")
    try:
        moment = parse_timestamp(claims.timestamp)
    except ValueError as error:
        raise ApiError("InvalidTimeStamp.Format") from error
    if abs(now - moment) > MAX_CLOCK_SKEW:
        raise ApiError("InvalidTimeStamp.Expired")


def _check_signature(request: ApiRequest, claims: SignatureClaims, secret: str) -> None:
    expected = claims.sign(secret, claims.string_to_sign)
    if not (secrets_equal(expected, claims.signature) and _body_hash_matches(request)):
        raise ApiError("SignatureDoesNotMatch", claims.mismatch_message)


def _body_hash_matches(request: ApiRequest) -> bool:
    announced = request.headers.get("x-acs-content-sha256", "")
    return not request.is_v3 or announced == body_sha256(request.body)
