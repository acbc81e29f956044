// All errors of the client, as a tree. The Python client has the same tree.
//
// OtpServiceError
// ├── ServiceUnreachable              no connection; nothing was sent                         cause
// ├── OutcomeUnknown                  the request may have arrived, but there was no response cause
// ├── UnexpectedAnswer                not a response of the service                           status
// └── ApiError                        the service refused           code, status, title, requestId, members
//     ├── RequestError                the request is at fault
//     │   ├── InvalidRequest          invalid_request             errors
//     │   ├── Unauthorized            unauthorized
//     │   ├── Forbidden               forbidden
//     │   ├── NotFound                not_found
//     │   ├── MethodNotAllowed        method_not_allowed
//     │   ├── PayloadTooLarge         payload_too_large
//     │   ├── UnsupportedMediaType    unsupported_media_type
//     │   ├── InvalidPhone            invalid_phone
//     │   ├── DestinationBlocked      destination_blocked
//     │   ├── ChallengeRequired       challenge_required          challenge
//     │   ├── InvalidCode             invalid_code
//     │   └── IdempotencyKeyReused    idempotency_key_reused
//     ├── VerificationError           the state of the verification
//     │   ├── VerificationNotFound    verification_not_found
//     │   ├── AlreadyVerified         already_verified
//     │   ├── VerificationExpired     verification_expired
//     │   ├── VerificationCanceled    verification_canceled
//     │   ├── WrongCode               wrong_code                  attemptsLeft
//     │   └── AttemptsExhausted       attempts_exhausted
//     ├── ProofError                  the proof is at fault
//     │   ├── InvalidProof            invalid_proof
//     │   ├── ProofExpired            proof_expired
//     │   └── ProofRedeemed           proof_redeemed
//     ├── RetryableError              try again later             retryAfter
//     │   ├── LimitError                                          limit
//     │   │   ├── CooldownActive      cooldown_active
//     │   │   └── LimitReached        limit_reached
//     │   ├── IdempotencyInProgress   idempotency_in_progress     (also a RequestError)
//     │   ├── ProviderRateLimited     provider_rate_limited       (also a ProviderError)
//     │   ├── ProviderUnavailable     provider_unavailable        (also a ProviderError)
//     │   └── StoreUnavailable        store_unavailable
//     ├── ProviderError               the SMS could not be sent
//     │   ├── DestinationRejected     destination_rejected
//     │   └── ProviderMisconfigured   provider_misconfigured
//     └── InternalError               internal_error
//
// A code that this version does not know is a plain ApiError: compare `error.code`.
// No message contains a key, a phone, a code or a proof.

export class OtpServiceError extends Error {
  get name() {
    return this.constructor.name;
  }
}

export class ServiceUnreachable extends OtpServiceError {
  constructor(cause) {
    super(`The OTP service cannot be reached (${cause}).`, { cause });
  }
}

export class OutcomeUnknown extends OtpServiceError {
  constructor(cause) {
    super(`There was no valid response from the OTP service (${cause}); the call may have taken effect.`, { cause });
  }
}

export class UnexpectedAnswer extends OtpServiceError {
  constructor(status) {
    super(`The response, with HTTP status ${status}, is not from the OTP service.`);
    this.status = status;
  }
}

export class ApiError extends OtpServiceError {
  constructor({ code, status = 0, title = "", requestId = "", members = {} }) {
    super(`${code}: ${title}` + (requestId ? ` (request id ${requestId})` : ""));
    this.code = code;
    this.status = status;
    this.title = title;
    this.requestId = requestId;
    this.members = members;
  }
}

export class InternalError extends ApiError {}

// ── the request is at fault ──

export class RequestError extends ApiError {
  static [Symbol.hasInstance](error) {
    return is(this, error) || (this === RequestError && is(IdempotencyInProgress, error));
  }
}

export class InvalidRequest extends RequestError {
  get errors() {
    return Array.isArray(this.members.errors) ? this.members.errors : [];
  }
}
export class Unauthorized extends RequestError {}
export class Forbidden extends RequestError {}
export class NotFound extends RequestError {}
export class MethodNotAllowed extends RequestError {}
export class PayloadTooLarge extends RequestError {}
export class UnsupportedMediaType extends RequestError {}
export class InvalidPhone extends RequestError {}
export class DestinationBlocked extends RequestError {}
export class ChallengeRequired extends RequestError {
  get challenge() {
    return this.members.challenge ?? {};
  }
}
export class InvalidCode extends RequestError {}
export class IdempotencyKeyReused extends RequestError {}

// ── the state of the verification ──

export class VerificationError extends ApiError {}

export class VerificationNotFound extends VerificationError {}
export class AlreadyVerified extends VerificationError {}
export class VerificationExpired extends VerificationError {}
export class VerificationCanceled extends VerificationError {}
export class WrongCode extends VerificationError {
  get attemptsLeft() {
    return whole(this.members.attempts_left, 0);
  }
}
export class AttemptsExhausted extends VerificationError {}

// ── the proof is at fault ──

export class ProofError extends ApiError {}

export class InvalidProof extends ProofError {}
export class ProofExpired extends ProofError {}
export class ProofRedeemed extends ProofError {}

// ── try again later ──

export class RetryableError extends ApiError {
  get retryAfter() {
    return whole(this.members.retry_after, 1);
  }
}

export class LimitError extends RetryableError {
  get limit() {
    return String(this.members.limit ?? "");
  }
}
export class CooldownActive extends LimitError {}
export class LimitReached extends LimitError {}
export class StoreUnavailable extends RetryableError {}
export class IdempotencyInProgress extends RetryableError {}

// ── the SMS could not be sent ──

export class ProviderError extends ApiError {
  static [Symbol.hasInstance](error) {
    const isBoth = is(ProviderRateLimited, error) || is(ProviderUnavailable, error);
    return is(this, error) || (this === ProviderError && isBoth);
  }
}

export class DestinationRejected extends ProviderError {}
export class ProviderMisconfigured extends ProviderError {}
export class ProviderRateLimited extends RetryableError {}
export class ProviderUnavailable extends RetryableError {}

// A JavaScript class has one parent. Three errors are in two branches of the tree: they extend RetryableError,
// and the `instanceof` of the other branch also accepts them.
function is(kind, error) {
  return Function.prototype[Symbol.hasInstance].call(kind, error);
}

function whole(value, otherwise) {
  return Number.isInteger(value) ? value : otherwise;
}
