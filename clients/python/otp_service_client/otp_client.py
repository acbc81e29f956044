"""The calls of the service, for a server that holds a secret key.

A call is not repeated once the request may have been sent: an SMS costs money, an attempt is used up, and a
proof can be redeemed only once. The client retries once if the request was certainly not sent, or if the
call can be repeated safely: `status`, which changes nothing, and every call with an idempotency key.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

from otp_service_client import checks
from otp_service_client.errors import OtpServiceError, OutcomeUnknown, ServiceUnreachable
from otp_service_client.responses import Approved, Redeemed, Sent, VerificationStatus
from otp_service_client.transport import Transport

TIMEOUT = 8.0
"""Seconds. The service responds within 6."""

RETRY_PAUSE = 0.2
"""Seconds before the retry: about the time that a restarting worker needs to listen again."""

T = TypeVar("T")

_RETRY_ALWAYS = (ServiceUnreachable, OutcomeUnknown)
"""The errors after which a call that can be repeated safely is retried."""


class OtpClient:
    """A client of the service at *base_url*, authenticated with *secret_key*. Thread-safe.

    A *base_url* to which no request can be sent, such as one with port 99999, is a ValueError.

    *timeout* is the time to wait for a response, in seconds. *proxies* has the format of requests' parameter
    of that name; proxies from the environment are not used. *ca_bundle* is the path to the certificates to
    trust in place of the public ones.

    A client can be created before a fork: connections belong to the process that opened them, and a child
    opens its own. With gevent, call `monkey.patch_all()` before this module is imported; greenlets can then
    share a client as threads can. A pickled client, such as multiprocessing sends to a spawned process,
    contains the secret key and no connection.

    The client checks that a response belongs to its call: by the verification id, by the claims of a redeemed
    proof, and by the request id if the response has one. A response to another call is an `OutcomeUnknown`.

    Calls accept an *idempotency_key* of 1 to 255 printable ASCII characters. Use a new key for every new
    call. Repeated calls with the same key are executed once and get the same response.

    In addition to the errors that it lists, every method raises `ServiceUnreachable` (nothing was sent),
    `OutcomeUnknown` (there was no response), `UnexpectedAnswer` (the response is not from the service),
    `Unauthorized` and `StoreUnavailable`.
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
        """Close the idle connections."""
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
        """Start a verification of *phone* and send its code.

        Args:
            phone: The phone number, in E.164 or in any format that is usual in the default region.
            purpose: Can be omitted if the client has only one.
            locale: The language of the SMS, as a tag such as `zh-CN`.
            client_ip: The end user's IP address, which the limits per IP need.
            risk_solution: The solution of a risk challenge.
            known_phone: Whether you have an account with this phone.
            known_device: Whether you recognize the device or session of this person, so that strangers cannot
                lock them out. Do not set it only because the account exists: anyone can start a login.
            accepts_challenge: Whether your page can solve a risk challenge. If so, the service may require
                one while too many wrong codes are submitted.
            idempotency_key: See above.

        Raises:
            InvalidPhone, DestinationBlocked: The service does not send to this phone.
            ChallengeRequired: A risk challenge must be solved first, and its *risk_solution* sent along.
            LimitError: It is too early, or a limit or budget is exhausted.
            ProviderError: Nothing was sent.
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
        matches = checks.for_purpose(purpose)
        return self._call("/otp/request", body, Sent.read, idempotency_key, matches)

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
        """Send the code of a verification again.

        Raises:
            VerificationError: The verification is unknown, has ended or is too old.
            LimitError, ProviderError: See `request`.
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
        matches = checks.of_verification(verification_id)
        return self._call("/otp/request", body, Sent.read, idempotency_key, matches)

    def verify(
        self,
        phone: str,
        verification_id: str,
        code: str,
        *,
        client_ip: str | None = None,
        idempotency_key: str | None = None,
    ) -> Approved:
        """Submit the code that the user entered, and return the proof if it is correct.

        Raises:
            InvalidCode: The text is not in the format of a code; no attempt was used up.
            WrongCode, AttemptsExhausted: An attempt was used up, or none was left.
            VerificationError: The verification is unknown or has ended for another reason.
        """
        body = {
            "phone": phone,
            "verification_id": verification_id,
            "code": code,
            "client_ip": client_ip,
        }
        matches = checks.of_verification(verification_id)
        return self._call("/otp/verify", body, Approved.read, idempotency_key, matches)

    def redeem(
        self,
        proof: str,
        *,
        purpose: str,
        allow_test: bool | None = None,
        idempotency_key: str | None = None,
    ) -> Redeemed:
        """Redeem *proof*, which is possible once, and return its claims.

        With *allow_test*, proofs of configured test phones are accepted too.

        Raises:
            ProofError: The proof is not valid for this client and *purpose*, has expired, or was redeemed.
        """
        body = {"proof": proof, "purpose": purpose, "allow_test": allow_test}
        matches = checks.of_proof(proof, purpose)
        return self._call("/otp/redeem", body, Redeemed.read, idempotency_key, matches)

    def status(self, phone: str, verification_id: str) -> VerificationStatus:
        """Return the state of a verification.

        Raises:
            VerificationNotFound: The verification is unknown, or belongs to another phone or client.
        """
        body = {"phone": phone, "verification_id": verification_id}
        matches = checks.of_verification(verification_id)
        return self._post(
            "/otp/status", body, VerificationStatus.read, _RETRY_ALWAYS, headers={}, matches=matches
        )

    def cancel(self, phone: str, verification_id: str) -> None:
        """End a pending verification.

        Raises:
            VerificationError: The verification is unknown or has ended for another reason.
        """
        self._call("/otp/cancel", {"phone": phone, "verification_id": verification_id}, _no_content)

    def unlock(self, phone: str) -> None:
        """Reset the failed attempts of *phone*, so that it can be verified again after too many of them.

        Raises:
            Forbidden: The client is not configured with `may_unlock`.
            InvalidPhone, DestinationBlocked: The service does not verify this phone.
        """
        self._call("/otp/unlock", {"phone": phone}, _no_content)

    def _call(
        self,
        path: str,
        body: Mapping[str, object],
        read: Callable[[Mapping[str, Any]], T],
        key: str | None = None,
        matches: Callable[[T], bool] = checks.no_check,
    ) -> T:
        if key is None:
            return self._post(path, body, read, (ServiceUnreachable,), headers={}, matches=matches)
        headers = {"Idempotency-Key": key}
        return self._post(path, body, read, _RETRY_ALWAYS, headers=headers, matches=matches)

    def _post(
        self,
        path: str,
        body: Mapping[str, object],
        read: Callable[[Mapping[str, Any]], T],
        retry_on: tuple[type[OtpServiceError], ...],
        *,
        headers: Mapping[str, str],
        matches: Callable[[T], bool],
    ) -> T:
        present = {name: value for name, value in body.items() if value is not None}
        try:
            return self._transport.post(path, present, read, headers, matches)
        except retry_on:
            time.sleep(RETRY_PAUSE)
        return self._transport.post(path, present, read, headers, matches)


def _no_content(body: Mapping[str, Any]) -> None:
    """Read a response without a body."""
