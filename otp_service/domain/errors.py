"""The errors of the service, as one tree.

OtpError                        code                        further members
├── RequestError                the request is at fault
│   ├── InvalidRequest          invalid_request             errors: [{pointer, detail}]
│   ├── Unauthorized            unauthorized
│   ├── Forbidden               forbidden
│   ├── NotFound                not_found
│   ├── MethodNotAllowed        method_not_allowed
│   ├── PayloadTooLarge         payload_too_large
│   ├── UnsupportedMediaType    unsupported_media_type
│   ├── InvalidPhone            invalid_phone
│   ├── DestinationBlocked      destination_blocked
│   ├── ChallengeRequired       challenge_required          challenge
│   ├── InvalidCode             invalid_code
│   ├── IdempotencyInProgress   idempotency_in_progress     retry_after
│   └── IdempotencyKeyReused    idempotency_key_reused
├── VerificationError           the state of the verification
│   ├── VerificationNotFound    verification_not_found
│   ├── AlreadyVerified         already_verified
│   ├── VerificationExpired     verification_expired
│   ├── VerificationCanceled    verification_canceled
│   ├── WrongCode               wrong_code                  attempts_left
│   └── AttemptsExhausted       attempts_exhausted
├── ProofError                  the proof is not accepted
│   ├── InvalidProof            invalid_proof
│   ├── ProofExpired            proof_expired
│   └── ProofRedeemed           proof_redeemed
├── LimitError                  a limit of this service     retry_after, limit
│   ├── CooldownActive          cooldown_active
│   └── LimitReached            limit_reached
├── ProviderError               the SMS could not be sent
│   ├── DestinationRejected     destination_rejected
│   ├── ProviderRateLimited     provider_rate_limited       retry_after
│   ├── ProviderMisconfigured   provider_misconfigured
│   └── ProviderUnavailable     provider_unavailable        retry_after
├── StoreUnavailable            store_unavailable           retry_after
└── InternalError               internal_error

The codes are part of the API: every problem document contains one, and their meaning never changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, TypedDict


class FieldError(TypedDict):
    """One defect in a request: a JSON pointer to the place and a description, never the value."""

    pointer: str
    detail: str


class OtpError(Exception):
    """Base class of the errors that are reported to the caller, identified by a stable `code`."""

    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "An internal error occurred."

    def __init__(self) -> None:
        super().__init__(self.title)

    def members(self) -> dict[str, object]:
        """Return the members that the problem document has in addition to the code."""
        return {}


class InternalError(OtpError):
    """A bug in this service. The log entry with the same request id has the details."""


# ── errors of the request ──


class RequestError(OtpError):
    """The request is at fault. Most of these errors recur when the same request is repeated."""


class InvalidRequest(RequestError):
    """The body or a header is malformed; *errors* lists every defect."""

    code = "invalid_request"
    title = "The request is malformed."

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__()
        self.errors = errors

    def members(self) -> dict[str, object]:
        """Return the list of defects."""
        return {"errors": self.errors}


class Unauthorized(RequestError):
    """The key is missing or unknown."""

    code = "unauthorized"
    title = "A valid key is required."


class Forbidden(RequestError):
    """The key is valid but does not permit this call."""

    code = "forbidden"
    title = "This key does not permit this call."


class NotFound(RequestError):
    """No endpoint exists at this URL."""

    code = "not_found"
    title = "No resource exists at this URL."


class MethodNotAllowed(RequestError):
    """The endpoint exists but does not support the method."""

    code = "method_not_allowed"
    title = "This URL does not support that method."


class PayloadTooLarge(RequestError):
    """The body exceeds the maximum size of a request."""

    code = "payload_too_large"
    title = "The request body is too large."


class UnsupportedMediaType(RequestError):
    """The content type of the body is not JSON."""

    code = "unsupported_media_type"
    title = "The request body must be application/json."


class InvalidPhone(RequestError):
    """The text is not a single valid phone number."""

    code = "invalid_phone"
    title = "This is not a valid phone number."


class DestinationBlocked(RequestError):
    """The phone number is valid, but this service does not send to it."""

    code = "destination_blocked"
    title = "This service does not send to this phone number."


class ChallengeRequired(RequestError):
    """A risk challenge must be solved before an SMS is sent. The browser solves *challenge*."""

    code = "challenge_required"
    title = "A risk challenge must be solved first."

    def __init__(self, challenge: Mapping[str, object]) -> None:
        super().__init__()
        self.challenge = challenge

    def members(self) -> dict[str, object]:
        """Return the challenge."""
        return {"challenge": dict(self.challenge)}


class InvalidCode(RequestError):
    """The text cannot be a code of this verification. No attempt was used."""

    code = "invalid_code"
    title = "The code has an invalid format."


# ── errors of the verification ──


class VerificationError(OtpError):
    """The state of the verification does not allow the call."""


class VerificationNotFound(VerificationError):
    """The verification is unknown or belongs to another phone or client; the caller does not learn which."""

    code = "verification_not_found"
    title = "There is no such verification for this phone."


class AlreadyVerified(VerificationError):
    """The correct code has already been submitted."""

    code = "already_verified"
    title = "This verification has already been approved."


class VerificationExpired(VerificationError):
    """The verification has expired; a new one is needed."""

    code = "verification_expired"
    title = "This verification has expired."


class VerificationCanceled(VerificationError):
    """The verification was canceled by a call, or because the provider rejected the number."""

    code = "verification_canceled"
    title = "This verification was canceled."


class WrongCode(VerificationError):
    """The code is wrong; one attempt was used."""

    code = "wrong_code"
    title = "The code is wrong."

    def __init__(self, attempts_left: int) -> None:
        super().__init__()
        self.attempts_left = attempts_left

    def members(self) -> dict[str, object]:
        """Return the number of remaining attempts."""
        return {"attempts_left": self.attempts_left}


class AttemptsExhausted(VerificationError):
    """All attempts of this verification have been used."""

    code = "attempts_exhausted"
    title = "This verification has no attempts left."


# ── errors of the proof ──


class ProofError(OtpError):
    """The proof is not accepted."""


class InvalidProof(ProofError):
    """The proof was not signed by this service for this client, purpose and kind of verification."""

    code = "invalid_proof"
    title = "The proof is not valid."


class ProofExpired(ProofError):
    """The proof is genuine but has expired."""

    code = "proof_expired"
    title = "The proof has expired."


class ProofRedeemed(ProofError):
    """The proof has already been used."""

    code = "proof_redeemed"
    title = "The proof has already been redeemed."


# ── errors that pass with time ──


class RetryableError(OtpError):
    """An error that passes with time. *retry_after* is in whole seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__()
        self.retry_after = retry_after

    def members(self) -> dict[str, object]:
        """Return the number of seconds to wait."""
        return {"retry_after": self.retry_after}


class LimitError(RetryableError):
    """A limit of this service. *retry_after* is exact for the named *limit* if no other call intervenes."""

    def __init__(self, retry_after: int, limit: str) -> None:
        super().__init__(retry_after)
        self.limit = limit

    def members(self) -> dict[str, object]:
        """Return the number of seconds to wait and the name of the limit."""
        return {"retry_after": self.retry_after, "limit": self.limit}


class CooldownActive(LimitError):
    """The cooldown after the last SMS to this phone has not ended."""

    code = "cooldown_active"
    title = "It is too soon to send another SMS to this phone."


class LimitReached(LimitError):
    """A limit or budget has been used up."""

    code = "limit_reached"
    title = "A limit has been reached."


class IdempotencyInProgress(RequestError, RetryableError):
    """The first call with this idempotency key is still in progress."""

    code = "idempotency_in_progress"
    title = "A request with this idempotency key is still in progress."


class IdempotencyKeyReused(RequestError):
    """This idempotency key was used with a different payload."""

    code = "idempotency_key_reused"
    title = "This idempotency key was used with a different request."


# ── errors of sending ──


class ProviderError(OtpError):
    """The provider did not accept the SMS. Its own error code appears only in the log."""


class DestinationRejected(ProviderError):
    """The provider permanently rejects this number."""

    code = "destination_rejected"
    title = "The SMS provider does not deliver to this phone number."


class ProviderRateLimited(ProviderError, RetryableError):
    """The provider limits the rate of SMS to this number."""

    code = "provider_rate_limited"
    title = "The SMS provider is limiting messages to this phone number."


class ProviderMisconfigured(ProviderError):
    """The provider rejected this service's account or configuration; an operator must act."""

    code = "provider_misconfigured"
    title = "The SMS provider rejected this service's configuration."


class ProviderUnavailable(ProviderError, RetryableError):
    """The provider is down or throttling, or too many sends are in flight."""

    code = "provider_unavailable"
    title = "The SMS provider is not available."


class StoreUnavailable(RetryableError):
    """Redis is down, rejects writes or does not respond in time. Nothing was sent."""

    code = "store_unavailable"
    title = "The service's store is not available."

    def __init__(self, retry_after: int = 2) -> None:
        super().__init__(retry_after)
