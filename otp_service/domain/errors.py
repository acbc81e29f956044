"""Every error of the service, drawn as a tree.

OtpError                        code                        facts beside the code
├── RequestError                what the caller sent
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
├── VerificationError           what became of the verification
│   ├── VerificationNotFound    verification_not_found
│   ├── AlreadyVerified         already_verified
│   ├── VerificationExpired     verification_expired
│   ├── VerificationCanceled    verification_canceled
│   ├── WrongCode               wrong_code                  attempts_left
│   └── AttemptsExhausted       attempts_exhausted
├── ProofError                  what is wrong with the proof
│   ├── InvalidProof            invalid_proof
│   ├── ProofExpired            proof_expired
│   └── ProofRedeemed           proof_redeemed
├── LimitError                  come back later             retry_after, limit
│   ├── CooldownActive          cooldown_active
│   └── LimitReached            limit_reached
├── ProviderError               the SMS could not be sent
│   ├── DestinationRejected     destination_rejected
│   ├── ProviderRateLimited     provider_rate_limited       retry_after
│   ├── ProviderMisconfigured   provider_misconfigured
│   └── ProviderUnavailable     provider_unavailable        retry_after
├── StoreUnavailable            store_unavailable           retry_after
└── InternalError               internal_error

The codes are public: they stand in every problem document and never change their meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, TypedDict


class FieldError(TypedDict):
    """One thing wrong with a request: where (a JSON pointer) and what, never the value."""

    pointer: str
    detail: str


class OtpError(Exception):
    """Something the caller is told about, by its stable `code`."""

    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "The service made a mistake."

    def __init__(self) -> None:
        super().__init__(self.title)

    def members(self) -> dict[str, object]:
        """Return the facts that a problem document carries beside the code."""
        return {}


class InternalError(OtpError):
    """A defect of ours; the log of the same request id says which."""


# ── what the caller sent ──


class RequestError(OtpError):
    """The request itself is at fault; the same request will fail again."""


class InvalidRequest(RequestError):
    """A malformed body or header; *errors* names each place."""

    code = "invalid_request"
    title = "The request is malformed."

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__()
        self.errors = errors

    def members(self) -> dict[str, object]:
        """Return the places that are wrong."""
        return {"errors": self.errors}


class Unauthorized(RequestError):
    """No key, or a key that is not known."""

    code = "unauthorized"
    title = "A valid key is required."


class Forbidden(RequestError):
    """The key is known but may not do this."""

    code = "forbidden"
    title = "This key may not do that."


class NotFound(RequestError):
    """No such address."""

    code = "not_found"
    title = "There is nothing at this address."


class MethodNotAllowed(RequestError):
    """The address exists, the method does not."""

    code = "method_not_allowed"
    title = "This address does not take that method."


class PayloadTooLarge(RequestError):
    """The body is larger than any request can be."""

    code = "payload_too_large"
    title = "The request body is too large."


class UnsupportedMediaType(RequestError):
    """The body is not declared as JSON."""

    code = "unsupported_media_type"
    title = "The request body must be application/json."


class InvalidPhone(RequestError):
    """The text is not one valid phone number."""

    code = "invalid_phone"
    title = "This is not a valid phone number."


class DestinationBlocked(RequestError):
    """A valid phone number that this service does not send to."""

    code = "destination_blocked"
    title = "This service does not send to this phone number."


class ChallengeRequired(RequestError):
    """A risk challenge must be solved before an SMS is sent; *challenge* is what a browser needs for that."""

    code = "challenge_required"
    title = "A risk challenge must be solved first."

    def __init__(self, challenge: Mapping[str, object]) -> None:
        super().__init__()
        self.challenge = challenge

    def members(self) -> dict[str, object]:
        """Return the challenge."""
        return {"challenge": dict(self.challenge)}


class InvalidCode(RequestError):
    """The text cannot be a code of this verification; no attempt was used."""

    code = "invalid_code"
    title = "The code does not have the right form."


# ── what became of the verification ──


class VerificationError(OtpError):
    """The verification cannot do what was asked."""


class VerificationNotFound(VerificationError):
    """Unknown, or not of this phone and client: the caller is not told which."""

    code = "verification_not_found"
    title = "There is no such verification for this phone."


class AlreadyVerified(VerificationError):
    """The right code was submitted before."""

    code = "already_verified"
    title = "This verification was already approved."


class VerificationExpired(VerificationError):
    """Its time is over; a new verification is needed."""

    code = "verification_expired"
    title = "This verification has expired."


class VerificationCanceled(VerificationError):
    """It was canceled by its holder, or because its number was rejected."""

    code = "verification_canceled"
    title = "This verification was canceled."


class WrongCode(VerificationError):
    """The code was wrong and an attempt was used up."""

    code = "wrong_code"
    title = "The code is wrong."

    def __init__(self, attempts_left: int) -> None:
        super().__init__()
        self.attempts_left = attempts_left

    def members(self) -> dict[str, object]:
        """Return how many attempts remain."""
        return {"attempts_left": self.attempts_left}


class AttemptsExhausted(VerificationError):
    """All attempts of this verification were wrong."""

    code = "attempts_exhausted"
    title = "This verification has no attempts left."


# ── what is wrong with the proof ──


class ProofError(OtpError):
    """The proof does not prove what was asked."""


class InvalidProof(ProofError):
    """Not signed by us for this client, purpose and kind of verification."""

    code = "invalid_proof"
    title = "The proof is not valid."


class ProofExpired(ProofError):
    """Signed by us, too long ago."""

    code = "proof_expired"
    title = "The proof has expired."


class ProofRedeemed(ProofError):
    """Used before."""

    code = "proof_redeemed"
    title = "The proof was already redeemed."


# ── come back later ──


class RetryableError(OtpError):
    """An error that passes with time; *retry_after* in whole seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__()
        self.retry_after = retry_after

    def members(self) -> dict[str, object]:
        """Return when to come back, in seconds."""
        return {"retry_after": self.retry_after}


class LimitError(RetryableError):
    """A limit of ours; *retry_after* is true for the *limit* named when nothing else happens."""

    def __init__(self, retry_after: int, limit: str) -> None:
        super().__init__(retry_after)
        self.limit = limit

    def members(self) -> dict[str, object]:
        """Return when to come back, and which limit says so."""
        return {"retry_after": self.retry_after, "limit": self.limit}


class CooldownActive(LimitError):
    """Too soon after the last SMS to this phone."""

    code = "cooldown_active"
    title = "It is too early for another SMS to this phone."


class LimitReached(LimitError):
    """A limit or budget is full."""

    code = "limit_reached"
    title = "A limit is reached."


class IdempotencyInProgress(RequestError, RetryableError):
    """The call that bears this idempotency key is still running."""

    code = "idempotency_in_progress"
    title = "The same request is still being answered."


class IdempotencyKeyReused(RequestError):
    """This idempotency key belongs to a request with another payload."""

    code = "idempotency_key_reused"
    title = "This idempotency key was used with another request."


# ── the SMS could not be sent ──


class ProviderError(OtpError):
    """The provider took no SMS; what it said is in the log only."""


class DestinationRejected(ProviderError):
    """The provider refuses this number for good."""

    code = "destination_rejected"
    title = "The SMS provider does not deliver to this phone number."


class ProviderRateLimited(ProviderError, RetryableError):
    """The provider's own flow control for this number."""

    code = "provider_rate_limited"
    title = "The SMS provider sends no more to this phone number for now."


class ProviderMisconfigured(ProviderError):
    """Our account or configuration was refused; an operator must act."""

    code = "provider_misconfigured"
    title = "The SMS provider refuses this service's configuration."


class ProviderUnavailable(ProviderError, RetryableError):
    """The provider is down, throttles us, or too many sends are in flight."""

    code = "provider_unavailable"
    title = "The SMS provider is not available."


class StoreUnavailable(RetryableError):
    """Redis is down, refuses writes or does not answer in time. Nothing was sent."""

    code = "store_unavailable"
    title = "The service's store is not available."

    def __init__(self, retry_after: int = 2) -> None:
        super().__init__(retry_after)
