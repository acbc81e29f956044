"""OtpClient: the calls of the service, for a server that holds a secret key. Touches network and clock.

No call is made twice once its bytes may have left: an SMS costs money, an attempt is used up, a proof is
redeemed once. Only what never arrived, and what can be repeated, is tried again, once: `status`, which
changes nothing, and every call under an idempotency key.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

from otp_service.client import checks
from otp_service.client.answers import Approved, Redeemed, Sent, VerificationStatus
from otp_service.client.errors import OtpServiceError, OutcomeUnknown, ServiceUnreachable
from otp_service.client.transport import Transport

TIMEOUT = 8.0
"""Seconds; the service answers within 6."""

RETRY_PAUSE = 0.2
"""Seconds before the second try: about what a restarting worker needs to listen again."""

T = TypeVar("T")

_REPEATABLE = (ServiceUnreachable, OutcomeUnknown)
"""After these a call that changes nothing a second time is made again."""


class OtpClient:
    """The service at *base_url*, called with *secret_key*. One instance serves all threads of a process.

    A *base_url* to which nothing can be sent, like one with port 99999, is a ValueError.

    *timeout* is how many seconds to wait for an answer; *proxies* is what requests calls so, and proxies of
    the environment are not used; *ca_bundle* is the path of the certificates to trust instead of the public
    ones.

    A client may be made before a fork: connections belong to the process that opened them, and a child opens
    its own. With gevent, patch (`monkey.patch_all()`) before this module is imported; greenlets share a
    client as threads do. A pickled client, as multiprocessing sends one to a spawned process, holds the
    secret key and no connection.

    An answer is checked against the call: the id of its verification, what a redeemed proof says itself, and
    the id of the call where the service tells it. One that belongs to another call is an `OutcomeUnknown`.

    Calls take an *idempotency_key* (1 to 255 printable ASCII characters, another one for every new call):
    under the same key the same call is made once, however often it is repeated, and answered the same.

    Every method raises, beside what it names, `ServiceUnreachable` (nothing was sent), `OutcomeUnknown` (no
    answer came), `UnexpectedAnswer` (something else answered), `Unauthorized` and `StoreUnavailable`.
    """

    def __init__(
        self,
        base_url: str,
        secret_key: str,
        *,
        timeout: float = TIMEOUT,
        proxies: Mapping[str, str] | None = None,
        ca_bundle: str | None = None,
    ) -> None:
        self._transport = Transport(
            base_url, secret_key, timeout=timeout, proxies=proxies, ca_bundle=ca_bundle
        )

    def __repr__(self) -> str:
        return f"OtpClient({self._transport.base_url})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._transport.close()

    def request(
        self,
        phone: str,
        *,
        purpose: str | None = None,
        locale: str | None = None,
        client_ip: str | None = None,
        risk_solution: str | None = None,
        known_phone: bool | None = None,
        known_device: bool | None = None,
        accepts_challenge: bool | None = None,
        idempotency_key: str | None = None,
    ) -> Sent:
        """Open a verification of *phone* and send its code.

        *purpose* may be left out when the client has one only; *client_ip* is the end user's address, which
        the limits per requester need. *known_phone*: you have an account with this phone. *known_device*: you
        recognise the device or session of this very person, so that strangers cannot keep them out; do not
        say it because the account exists, since anybody can start a login. *accepts_challenge*: your page can
        solve a risk challenge, so that one may be asked for while the alarm for wrong codes is on.

        Raises:
            InvalidPhone, DestinationBlocked: this phone gets no SMS.
            ChallengeRequired: a risk challenge must be solved first, and its *risk_solution* sent along.
            LimitError: too early, or a limit or budget is full.
            ProviderError: nothing was sent.
        """
        body = {
            "phone": phone,
            "purpose": purpose,
            "locale": locale,
            "client_ip": client_ip,
            "risk_solution": risk_solution,
            "known_phone": known_phone,
            "known_device": known_device,
            "accepts_challenge": accepts_challenge,
        }
        fits = checks.for_purpose(purpose)
        return self._once("/otp/request", body, Sent.read, idempotency_key, fits)

    def resend(
        self,
        phone: str,
        verification_id: str,
        *,
        locale: str | None = None,
        client_ip: str | None = None,
        risk_solution: str | None = None,
        known_phone: bool | None = None,
        known_device: bool | None = None,
        accepts_challenge: bool | None = None,
        idempotency_key: str | None = None,
    ) -> Sent:
        """Send the same code of the same verification once more.

        Raises:
            VerificationError: it is unknown, has ended or is too old.
            LimitError, ProviderError: as `request`.
        """
        body = {
            "phone": phone,
            "verification_id": verification_id,
            "locale": locale,
            "client_ip": client_ip,
            "risk_solution": risk_solution,
            "known_phone": known_phone,
            "known_device": known_device,
            "accepts_challenge": accepts_challenge,
        }
        fits = checks.of_verification(verification_id)
        return self._once("/otp/request", body, Sent.read, idempotency_key, fits)

    def verify(
        self,
        phone: str,
        verification_id: str,
        code: str,
        *,
        client_ip: str | None = None,
        idempotency_key: str | None = None,
    ) -> Approved:
        """Submit what the person typed; return the proof if it was right.

        Raises:
            InvalidCode: no code looks like this; no attempt was used.
            WrongCode, AttemptsExhausted: an attempt was used, or none was left.
            VerificationError: the verification has ended otherwise, or is unknown.
        """
        body = {
            "phone": phone,
            "verification_id": verification_id,
            "code": code,
            "client_ip": client_ip,
        }
        fits = checks.of_verification(verification_id)
        return self._once("/otp/verify", body, Approved.read, idempotency_key, fits)

    def redeem(
        self,
        proof: str,
        *,
        purpose: str,
        allow_test: bool | None = None,
        idempotency_key: str | None = None,
    ) -> Redeemed:
        """Use *proof* up and return what it proves. Works once.

        *allow_test* takes proofs of configured test phones, too.

        Raises:
            ProofError: not valid for this client and *purpose*, too old, or used before.
        """
        body = {"proof": proof, "purpose": purpose, "allow_test": allow_test}
        fits = checks.of_proof(proof, purpose)
        return self._once("/otp/redeem", body, Redeemed.read, idempotency_key, fits)

    def status(self, phone: str, verification_id: str) -> VerificationStatus:
        """Return a verification as it stands.

        Raises:
            VerificationNotFound: unknown, or not of this phone and client.
        """
        body = {"phone": phone, "verification_id": verification_id}
        fits = checks.of_verification(verification_id)
        return self._post("/otp/status", body, VerificationStatus.read, _REPEATABLE, headers={}, fits=fits)

    def cancel(self, phone: str, verification_id: str) -> None:
        """End a pending verification.

        Raises:
            VerificationError: unknown, or ended otherwise.
        """
        self._once("/otp/cancel", {"phone": phone, "verification_id": verification_id}, _nothing)

    def unlock(self, phone: str) -> None:
        """Forget the wrong codes of *phone*, so that it can be verified again after too many in a row.

        Raises:
            Forbidden: this client has no `may_unlock`.
            InvalidPhone, DestinationBlocked: this phone cannot be verified here.
        """
        self._once("/otp/unlock", {"phone": phone}, _nothing)

    def _once(
        self,
        path: str,
        body: Mapping[str, object],
        read: Callable[[Mapping[str, Any]], T],
        key: str | None = None,
        fits: Callable[[T], bool] = checks.always,
    ) -> T:
        if key is None:
            return self._post(path, body, read, (ServiceUnreachable,), headers={}, fits=fits)
        headers = {"Idempotency-Key": key}
        return self._post(path, body, read, _REPEATABLE, headers=headers, fits=fits)

    def _post(
        self,
        path: str,
        body: Mapping[str, object],
        read: Callable[[Mapping[str, Any]], T],
        again: tuple[type[OtpServiceError], ...],
        *,
        headers: Mapping[str, str],
        fits: Callable[[T], bool],
    ) -> T:
        given = {name: value for name, value in body.items() if value is not None}
        try:
            return self._transport.post(path, given, read, headers, fits)
        except again:
            time.sleep(RETRY_PAUSE)
        return self._transport.post(path, given, read, headers, fits)


def _nothing(body: Mapping[str, Any]) -> None:
    """Read the answer that has no body."""
