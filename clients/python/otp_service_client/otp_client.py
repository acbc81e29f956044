"""The client for servers that make blocking calls, with threads or gevent."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from otp_service_client import calls
from otp_service_client.calls import TIMEOUT
from otp_service_client.responses import Approved, Redeemed, Sent, VerificationStatus
from otp_service_client.transport import Transport


class OtpClient:
    """A client of the service at *base_url*, authenticated with *secret_key*. Thread-safe.

    A malformed *base_url*, such as one with port 99999, is a ValueError.

    *timeout* is the time to wait for a response, in seconds. *proxies* has the format of the `proxies` of
    requests; proxies from the environment are not used. *ca_bundle* is the path to the certificates to trust
    instead of the public ones.

    A client can be created before a fork: connections belong to the process that opened them, and a child
    opens its own. With gevent, call `monkey.patch_all()` before this module is imported; greenlets can then
    share a client as threads can. A client can be pickled, as multiprocessing does for a spawned process. The
    pickle contains the secret key, but no connection.

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
            locale: The language of the SMS, such as `zh-CN`.
            client_ip: The end user's IP address. Without it, the limits per IP do not apply.
            risk_solution: The solution of a risk challenge.
            known_phone: Whether you have an account with this phone.
            known_device: Whether you recognize the device or session of this person, so that strangers cannot
                lock them out. Do not set it only because the account exists: anyone can start a login.
            accepts_challenge: Whether your page can solve a risk challenge. If so, the service may require
                one while too many wrong codes are submitted.
            idempotency_key: See above.

        Raises:
            InvalidPhone, DestinationBlocked: The service does not send to this phone.
            ChallengeRequired: A risk challenge must be solved. Repeat the call with its *risk_solution*.
            LimitError: It is too early, or a limit or budget is exhausted.
            ProviderError: Nothing was sent.
        """
        return self._transport.run(
            calls.request(
                phone,
                purpose=purpose,
                locale=locale,
                client_ip=client_ip,
                risk_solution=risk_solution,
                known_phone=known_phone,
                known_device=known_device,
                accepts_challenge=accepts_challenge,
                idempotency_key=idempotency_key,
            )
        )

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
        return self._transport.run(
            calls.resend(
                phone,
                verification_id,
                locale=locale,
                client_ip=client_ip,
                risk_solution=risk_solution,
                known_phone=known_phone,
                known_device=known_device,
                accepts_challenge=accepts_challenge,
                idempotency_key=idempotency_key,
            )
        )

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
        return self._transport.run(
            calls.verify(phone, verification_id, code, client_ip=client_ip, idempotency_key=idempotency_key)
        )

    def redeem(
        self,
        proof: str,
        *,
        purpose: str,
        allow_test: bool | None = None,
        idempotency_key: str | None = None,
    ) -> Redeemed:
        """Redeem *proof*, which is possible only once, and return its claims.

        With *allow_test*, proofs of configured test phones are accepted too.

        Raises:
            ProofError: The proof is not valid for this client and *purpose*, has expired, or was redeemed.
        """
        return self._transport.run(
            calls.redeem(proof, purpose=purpose, allow_test=allow_test, idempotency_key=idempotency_key)
        )

    def status(self, phone: str, verification_id: str) -> VerificationStatus:
        """Return the state of a verification.

        Raises:
            VerificationNotFound: The verification is unknown, or belongs to another phone or client.
        """
        return self._transport.run(calls.status(phone, verification_id))

    def cancel(self, phone: str, verification_id: str) -> None:
        """End a pending verification.

        Raises:
            VerificationError: The verification is unknown or has ended for another reason.
        """
        self._transport.run(calls.cancel(phone, verification_id))

    def unlock(self, phone: str) -> None:
        """Reset the failed attempts of *phone*, so that it can be verified again after too many of them.

        Raises:
            Forbidden: The client is not configured with `may_unlock`.
            InvalidPhone, DestinationBlocked: The service does not verify this phone.
        """
        self._transport.run(calls.unlock(phone))
