"""Every error of the client, drawn as a tree.

OtpServiceError
├── ServiceUnreachable              no connection; the service never saw the request        cause
├── OutcomeUnknown                  the request may have arrived; its answer did not        cause
├── UnexpectedAnswer                something else than the service answered                status
└── ApiError                        the service said no         code, status, title, request_id, members
    ├── RequestError                what was sent is at fault
    │   ├── InvalidRequest          invalid_request             errors
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
    │   └── IdempotencyKeyReused    idempotency_key_reused
    ├── VerificationError           what became of the verification
    │   ├── VerificationNotFound    verification_not_found
    │   ├── AlreadyVerified         already_verified
    │   ├── VerificationExpired     verification_expired
    │   ├── VerificationCanceled    verification_canceled
    │   ├── WrongCode               wrong_code                  attempts_left
    │   └── AttemptsExhausted       attempts_exhausted
    ├── ProofError                  what is wrong with the proof; `read_proof` raises these too
    │   ├── InvalidProof            invalid_proof
    │   ├── ProofExpired            proof_expired
    │   └── ProofRedeemed           proof_redeemed
    ├── RetryableError              passes with time            retry_after
    │   ├── LimitError                                          limit
    │   │   ├── CooldownActive      cooldown_active
    │   │   └── LimitReached        limit_reached
    │   ├── IdempotencyInProgress   idempotency_in_progress     (a RequestError, too)
    │   ├── ProviderRateLimited     provider_rate_limited       (a ProviderError, too)
    │   ├── ProviderUnavailable     provider_unavailable        (a ProviderError, too)
    │   └── StoreUnavailable        store_unavailable
    ├── ProviderError               the SMS could not be sent
    │   ├── DestinationRejected     destination_rejected
    │   └── ProviderMisconfigured   provider_misconfigured
    └── InternalError               internal_error

A code that this version does not know is an `ApiError` itself: compare `error.code`.
No text here ever holds a key, a phone, a code or a proof.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping


class OtpServiceError(Exception):
    """Every error of this package's client."""


class ServiceUnreachable(OtpServiceError):
    """No connection came about, so nothing was sent and the same call may be made again.

    *cause* is the name of what requests met, for the log.
    """

    def __init__(self, cause: str) -> None:
        super().__init__(f"The OTP service cannot be reached ({cause}).")
        self.cause = cause


class OutcomeUnknown(OtpServiceError):
    """The request may have left, but no answer that can be read came back.

    After `request` and `resend` an SMS may be under way; after `verify` an attempt may be used up; after
    `redeem` the proof may be used. Making the same call again is a new call. *cause* is the name of what
    requests met, or what was wrong with the answer, for the log.
    """

    def __init__(self, cause: str) -> None:
        super().__init__(f"The OTP service gave no answer ({cause}); it may have done what was asked.")
        self.cause = cause


class UnexpectedAnswer(OtpServiceError):
    """An HTTP *status* that no OTP service gives this way: look at the base URL and what stands before it."""

    def __init__(self, status: int) -> None:
        super().__init__(f"Something else than the OTP service answered, with HTTP status {status}.")
        self.status = status


class ApiError(OtpServiceError):
    """The service said no, for the reason *code*.

    *status* is the HTTP status, 0 when nobody was asked; *request_id* finds the call in the service's log;
    *members* are the facts beside the code, as they came.
    """

    code: str = ""

    def __init__(
        self,
        *,
        code: str,
        status: int = 0,
        title: str = "",
        request_id: str = "",
        members: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(f"{code}: {title}" + (f" (request id {request_id})" if request_id else ""))
        self.code = code
        self.status = status
        self.title = title
        self.request_id = request_id
        self.members = dict(members or {})


class InternalError(ApiError):
    """A defect of the service; its log says which, under the same request id."""

    code = "internal_error"


# ── what was sent is at fault ──


class RequestError(ApiError):
    """The request itself is at fault; the same request will fail again."""


class InvalidRequest(RequestError):
    """A malformed body."""

    code = "invalid_request"

    @property
    def errors(self) -> list[dict[str, str]]:
        """What is wrong: `pointer` (a JSON pointer) and `detail` of each place."""
        errors = self.members.get("errors")
        return errors if isinstance(errors, list) else []


class Unauthorized(RequestError):
    """The secret key is not known there."""

    code = "unauthorized"


class Forbidden(RequestError):
    """The key is known but may not do this."""

    code = "forbidden"


class NotFound(RequestError):
    """No such address: is the base URL the service's root?"""

    code = "not_found"


class MethodNotAllowed(RequestError):
    """The address exists, the method does not."""

    code = "method_not_allowed"


class PayloadTooLarge(RequestError):
    """The body was larger than any request can be."""

    code = "payload_too_large"


class UnsupportedMediaType(RequestError):
    """The body was not declared as JSON; something between rewrote it."""

    code = "unsupported_media_type"


class InvalidPhone(RequestError):
    """The text is not one valid phone number."""

    code = "invalid_phone"


class DestinationBlocked(RequestError):
    """A valid phone number that the service does not send to."""

    code = "destination_blocked"


class ChallengeRequired(RequestError):
    """The requester is suspicious: a risk challenge must be solved, and its solution sent along."""

    code = "challenge_required"

    @property
    def challenge(self) -> dict[str, object]:
        """What a browser needs to solve it."""
        challenge = self.members.get("challenge")
        return challenge if isinstance(challenge, dict) else {}


class IdempotencyKeyReused(RequestError):
    """This idempotency key was used with another request."""

    code = "idempotency_key_reused"


class InvalidCode(RequestError):
    """The text cannot be a code; no attempt was used."""

    code = "invalid_code"


# ── what became of the verification ──


class VerificationError(ApiError):
    """The verification cannot do what was asked."""


class VerificationNotFound(VerificationError):
    """Unknown, or not of this phone and client: it is not told which."""

    code = "verification_not_found"


class AlreadyVerified(VerificationError):
    """The right code was submitted before."""

    code = "already_verified"


class VerificationExpired(VerificationError):
    """Its time is over; a new verification is needed."""

    code = "verification_expired"


class VerificationCanceled(VerificationError):
    """It was canceled by its holder, or because its number was rejected."""

    code = "verification_canceled"


class WrongCode(VerificationError):
    """The code was wrong and an attempt was used up."""

    code = "wrong_code"

    @property
    def attempts_left(self) -> int:
        """How many attempts remain."""
        return _whole(self.members.get("attempts_left"), 0)


class AttemptsExhausted(VerificationError):
    """All attempts of this verification were wrong."""

    code = "attempts_exhausted"


# ── what is wrong with the proof ──


class ProofError(ApiError):
    """The proof does not prove what was asked."""


class InvalidProof(ProofError):
    """Not signed by the service for this client, purpose and kind of verification."""

    code = "invalid_proof"


class ProofExpired(ProofError):
    """Signed by the service, too long ago."""

    code = "proof_expired"


class ProofRedeemed(ProofError):
    """Used before."""

    code = "proof_redeemed"


# ── come back later ──


class RetryableError(ApiError):
    """An error that passes with time."""

    @property
    def retry_after(self) -> int:
        """Whole seconds after which the same call makes sense again."""
        return _whole(self.members.get("retry_after"), 1)


class LimitError(RetryableError):
    """A limit of the service; `retry_after` is true for the limit named when nothing else happens."""

    @property
    def limit(self) -> str:
        """Which limit."""
        return str(self.members.get("limit", ""))


class CooldownActive(LimitError):
    """Too soon after the last SMS to this phone."""

    code = "cooldown_active"


class LimitReached(LimitError):
    """A limit or budget is full."""

    code = "limit_reached"


class StoreUnavailable(RetryableError):
    """The service's store does not answer or takes no writes."""

    code = "store_unavailable"


class IdempotencyInProgress(RequestError, RetryableError):
    """The call that bears this idempotency key is still running."""

    code = "idempotency_in_progress"


# ── the SMS could not be sent ──


class ProviderError(ApiError):
    """The provider took no SMS; what it said is in the service's log only."""


class DestinationRejected(ProviderError):
    """The provider refuses this number for good."""

    code = "destination_rejected"


class ProviderRateLimited(ProviderError, RetryableError):
    """The provider's own flow control for this number."""

    code = "provider_rate_limited"


class ProviderMisconfigured(ProviderError):
    """The service's account or configuration was refused; its operator must act."""

    code = "provider_misconfigured"


class ProviderUnavailable(ProviderError, RetryableError):
    """The provider is down, throttles, or too many sends are in flight."""

    code = "provider_unavailable"


# ── from an answer to its error ──


def from_problem(status: int, problem: Mapping[str, object]) -> ApiError:
    """Return the error that a problem document tells of."""
    code = str(problem.get("code", ""))
    return _BY_CODE.get(code, ApiError)(
        code=code,
        status=status,
        title=str(problem.get("title", "")),
        request_id=str(problem.get("request_id", "")),
        members={name: value for name, value in problem.items() if name not in _ENVELOPE},
    )


_ENVELOPE = {"type", "title", "status", "detail", "instance", "code", "request_id"}


def _kinds(parent: type[ApiError]) -> Iterator[type[ApiError]]:
    for kind in parent.__subclasses__():
        yield kind
        yield from _kinds(kind)


_BY_CODE = {kind.code: kind for kind in _kinds(ApiError) if kind.code}


def _whole(value: object, default: int) -> int:
    return value if isinstance(value, int) else default
