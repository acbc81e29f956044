"""All exceptions of the client, as a tree.

OtpServiceError                     code                        other attributes
├── ServiceUnreachable              service_unreachable         cause: no connection, nothing was sent
├── OutcomeUnknown                  outcome_unknown             cause: perhaps sent, but no response
├── UnexpectedAnswer                unexpected_answer           status: not a response of the service
└── ApiError                        the service refused         status, title, request_id, members
    ├── RequestError                the request is at fault
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
    ├── VerificationError           the state of the verification
    │   ├── VerificationNotFound    verification_not_found
    │   ├── AlreadyVerified         already_verified
    │   ├── VerificationExpired     verification_expired
    │   ├── VerificationCanceled    verification_canceled
    │   ├── WrongCode               wrong_code                  attempts_left
    │   └── AttemptsExhausted       attempts_exhausted
    ├── ProofError                  the proof is at fault; `read_proof` raises these too
    │   ├── InvalidProof            invalid_proof
    │   ├── ProofExpired            proof_expired
    │   └── ProofRedeemed           proof_redeemed
    ├── RetryableError              try again later             retry_after
    │   ├── LimitError                                          limit
    │   │   ├── CooldownActive      cooldown_active
    │   │   └── LimitReached        limit_reached
    │   ├── IdempotencyInProgress   idempotency_in_progress     (also a RequestError)
    │   ├── ProviderRateLimited     provider_rate_limited       (also a ProviderError)
    │   ├── ProviderUnavailable     provider_unavailable        (also a ProviderError)
    │   └── StoreUnavailable        store_unavailable
    ├── ProviderError               the SMS could not be sent
    │   ├── DestinationRejected     destination_rejected
    │   └── ProviderMisconfigured   provider_misconfigured
    └── InternalError               internal_error

A code that this version does not know is a plain `ApiError`: compare `error.code`.
No message contains a key, a phone number, a code or a proof.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping


class OtpServiceError(Exception):
    """Base class of the client's exceptions. *code* identifies the error, such as `wrong_code`."""

    code: str = ""


class ServiceUnreachable(OtpServiceError):
    """No connection could be opened. Nothing was sent, so the call can safely be repeated.

    *cause* is the name of the underlying exception, for the log.
    """

    code = "service_unreachable"

    def __init__(self, cause: str) -> None:
        super().__init__(f"The OTP service cannot be reached ({cause}).")
        self.cause = cause


class OutcomeUnknown(OtpServiceError):
    """The request may have been sent, but there was no readable response.

    After `request` and `resend` an SMS may have been sent. After `verify` an attempt may have been used up.
    After `redeem` the proof may have been redeemed. Without an idempotency key, a repetition counts as a new
    call. *cause* is the name of the underlying exception, or the problem with the response, for the log.
    """

    code = "outcome_unknown"

    def __init__(self, cause: str) -> None:
        super().__init__(
            f"There was no valid response from the OTP service ({cause}); the call may have taken effect."
        )
        self.cause = cause


class UnexpectedAnswer(OtpServiceError):
    """A response that is not from the service. Check the base URL and the proxies in front of the service.

    *status* is its HTTP status.
    """

    code = "unexpected_answer"

    def __init__(self, status: int) -> None:
        super().__init__(f"The response, with HTTP status {status}, is not from the OTP service.")
        self.status = status


class ApiError(OtpServiceError):
    """The service refused the request; *code* is the reason.

    *status* is the HTTP status, or 0 if no request was made. *request_id* identifies the call in the log of
    the service. *members* are the other members of the problem document, unchanged.
    """

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
    """A bug in the service. Its log has the details under the same request id."""

    code = "internal_error"


# ── the request is at fault ──


class RequestError(ApiError):
    """The request itself is at fault. The same request will fail again."""


class InvalidRequest(RequestError):
    """The body is malformed."""

    code = "invalid_request"

    @property
    def errors(self) -> list[dict[str, str]]:
        """The `pointer` (a JSON pointer) and the `detail` of each problem."""
        errors = self.members.get("errors")
        return errors if isinstance(errors, list) else []


class Unauthorized(RequestError):
    """The service does not know the secret key."""

    code = "unauthorized"


class Forbidden(RequestError):
    """The key is valid but has no permission for this call."""

    code = "forbidden"


class NotFound(RequestError):
    """The URL does not exist. Check that the base URL is the root of the service."""

    code = "not_found"


class MethodNotAllowed(RequestError):
    """The URL exists but does not support the HTTP method."""

    code = "method_not_allowed"


class PayloadTooLarge(RequestError):
    """The body is too large."""

    code = "payload_too_large"


class UnsupportedMediaType(RequestError):
    """The body was not declared as JSON. A proxy must have changed the header."""

    code = "unsupported_media_type"


class InvalidPhone(RequestError):
    """The text is not a valid phone number."""

    code = "invalid_phone"


class DestinationBlocked(RequestError):
    """A valid phone number that the service does not send to."""

    code = "destination_blocked"


class ChallengeRequired(RequestError):
    """The request is suspicious. Solve the risk challenge and send the request again with its solution."""

    code = "challenge_required"

    @property
    def challenge(self) -> dict[str, object]:
        """The data that a browser needs to solve it."""
        challenge = self.members.get("challenge")
        return challenge if isinstance(challenge, dict) else {}


class IdempotencyKeyReused(RequestError):
    """The idempotency key was already used for a different request."""

    code = "idempotency_key_reused"


class InvalidCode(RequestError):
    """The text is not in the format of a code. No attempt was used up."""

    code = "invalid_code"


# ── the state of the verification ──


class VerificationError(ApiError):
    """The state of the verification does not allow the call."""


class VerificationNotFound(VerificationError):
    """The verification is unknown, or belongs to another phone or client; the service does not say which."""

    code = "verification_not_found"


class AlreadyVerified(VerificationError):
    """The correct code was submitted before."""

    code = "already_verified"


class VerificationExpired(VerificationError):
    """The verification has expired; a new one is needed."""

    code = "verification_expired"


class VerificationCanceled(VerificationError):
    """The verification was canceled by the caller, or because the provider rejected the number."""

    code = "verification_canceled"


class WrongCode(VerificationError):
    """The code was wrong, and an attempt was used up."""

    code = "wrong_code"

    @property
    def attempts_left(self) -> int:
        """How many attempts remain."""
        return _int_or(self.members.get("attempts_left"), 0)


class AttemptsExhausted(VerificationError):
    """Too many wrong codes: no attempt of this verification is left."""

    code = "attempts_exhausted"


# ── the proof is at fault ──


class ProofError(ApiError):
    """The proof is not valid for the call."""


class InvalidProof(ProofError):
    """The proof was not signed by the service for this client, purpose and kind of verification."""

    code = "invalid_proof"


class ProofExpired(ProofError):
    """The proof has expired."""

    code = "proof_expired"


class ProofRedeemed(ProofError):
    """The proof was redeemed before."""

    code = "proof_redeemed"


# ── try again later ──


class RetryableError(ApiError):
    """The same call can succeed later."""

    @property
    def retry_after(self) -> int:
        """The number of seconds to wait before repeating the call."""
        return _int_or(self.members.get("retry_after"), 1)


class LimitError(RetryableError):
    """A limit was reached. After `retry_after` seconds, it allows the call if nothing else changes."""

    @property
    def limit(self) -> str:
        """The name of the limit."""
        return str(self.members.get("limit", ""))


class CooldownActive(LimitError):
    """The last SMS to this phone was sent too recently."""

    code = "cooldown_active"


class LimitReached(LimitError):
    """A limit or budget is exhausted."""

    code = "limit_reached"


class StoreUnavailable(RetryableError):
    """The service's store does not respond or accepts no writes."""

    code = "store_unavailable"


class IdempotencyInProgress(RequestError, RetryableError):
    """A call with this idempotency key is still in progress."""

    code = "idempotency_in_progress"


# ── the SMS could not be sent ──


class ProviderError(ApiError):
    """The provider did not accept the SMS. Its error code is only in the service's log."""


class DestinationRejected(ProviderError):
    """The provider permanently refuses this number."""

    code = "destination_rejected"


class ProviderRateLimited(ProviderError, RetryableError):
    """The provider's flow control for this number is exhausted."""

    code = "provider_rate_limited"


class ProviderMisconfigured(ProviderError):
    """The provider refused the service's account or configuration. The operator must act."""

    code = "provider_misconfigured"


class ProviderUnavailable(ProviderError, RetryableError):
    """The provider is down or throttles requests, or too many sends are in flight."""

    code = "provider_unavailable"


# ── problem documents ──


def from_problem(status: int, problem: Mapping[str, object]) -> ApiError:
    """Return the exception for a problem document."""
    code = str(problem.get("code", ""))
    return _BY_CODE.get(code, ApiError)(
        code=code,
        status=status,
        title=str(problem.get("title", "")),
        request_id=str(problem.get("request_id", "")),
        members={name: value for name, value in problem.items() if name not in _STANDARD_MEMBERS},
    )


_STANDARD_MEMBERS = {"type", "title", "status", "detail", "instance", "code", "request_id"}


def _subclasses(parent: type[ApiError]) -> Iterator[type[ApiError]]:
    for child in parent.__subclasses__():
        yield child
        yield from _subclasses(child)


_BY_CODE = {error.code: error for error in _subclasses(ApiError) if error.code}


def _int_or(value: object, default: int) -> int:
    return value if isinstance(value, int) else default
