"""Checks who made a call, in Aliyun's order; the clock is given, nonces are kept."""

from __future__ import annotations

from datetime import datetime, timedelta

from otp_service.sandbox.answers import Refused
from otp_service.sandbox.api_request import ApiRequest
from otp_service.sandbox.clock import Clock
from otp_service.sandbox.credentials import Credentials, same
from otp_service.sandbox.nonces import Nonces
from otp_service.sandbox.signature_claims import Claim, check_form, read_claim
from otp_service.sms.aliyun.protocol.signature import body_sha256
from otp_service.sms.aliyun.protocol.timestamps import parse_timestamp

#: How far a timestamp may be from the clock, either way.
SKEW = timedelta(minutes=15)


class Verifier:
    """Knows the access keys and lets only their holders' calls through, once each."""

    def __init__(self, credentials: Credentials, nonces: Nonces, clock: Clock) -> None:
        """Keep the keys, the nonces used so far and the clock."""
        self._credentials = credentials
        self._nonces = nonces
        self._clock = clock

    def verify(self, request: ApiRequest) -> None:
        """Check access key, security token, timestamp, signature and nonce, in this order.

        A nonce is used up only by a call with the right signature, so that nobody
        without the secret can spoil one.

        Raises:
            Refused: With the code of the first check that failed.
        """
        claim = read_claim(request)
        now = self._clock()
        secret = self._secret(claim, now)
        check_form(request)
        _check_timestamp(claim, now)
        _check_signature(request, claim, secret)
        self._check_nonce(claim, now)

    def _secret(self, claim: Claim, now: datetime) -> str:
        if not claim.access_key_id:
            raise Refused("MissingAccessKeyId")
        secret = self._credentials.secret_of(claim.access_key_id)
        if secret is None:
            raise Refused("InvalidAccessKeyId.NotFound")
        self._credentials.check_token(claim.access_key_id, claim.security_token, now)
        return secret

    def _check_nonce(self, claim: Claim, now: datetime) -> None:
        if not claim.nonce:
            raise Refused("MissingSignatureNonce")
        if not self._nonces.use(claim.access_key_id, claim.nonce, now):
            raise Refused("SignatureNonceUsed")


def _check_timestamp(claim: Claim, now: datetime) -> None:
    if not claim.timestamp:
        raise Refused("MissingTimestamp")
    try:
        moment = parse_timestamp(claim.timestamp)
    except ValueError as error:
        raise Refused("InvalidTimeStamp.Format") from error
    if abs(now - moment) > SKEW:
        raise Refused("InvalidTimeStamp.Expired")


def _check_signature(request: ApiRequest, claim: Claim, secret: str) -> None:
    right = claim.sign(secret, claim.string_to_sign)
    if not (same(right, claim.signature) and _body_is_as_announced(request)):
        raise Refused("SignatureDoesNotMatch", claim.mismatch)


def _body_is_as_announced(request: ApiRequest) -> bool:
    announced = request.headers.get("x-acs-content-sha256", "")
    return not request.is_v3 or announced == body_sha256(request.body)
