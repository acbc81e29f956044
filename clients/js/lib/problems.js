// Maps problem codes to error classes.

import * as errors from "./errors.js";

const BY_CODE = {
  already_verified: errors.AlreadyVerified,
  attempts_exhausted: errors.AttemptsExhausted,
  challenge_required: errors.ChallengeRequired,
  cooldown_active: errors.CooldownActive,
  destination_blocked: errors.DestinationBlocked,
  destination_rejected: errors.DestinationRejected,
  forbidden: errors.Forbidden,
  idempotency_in_progress: errors.IdempotencyInProgress,
  idempotency_key_reused: errors.IdempotencyKeyReused,
  internal_error: errors.InternalError,
  invalid_code: errors.InvalidCode,
  invalid_phone: errors.InvalidPhone,
  invalid_proof: errors.InvalidProof,
  invalid_request: errors.InvalidRequest,
  limit_reached: errors.LimitReached,
  method_not_allowed: errors.MethodNotAllowed,
  not_found: errors.NotFound,
  payload_too_large: errors.PayloadTooLarge,
  proof_expired: errors.ProofExpired,
  proof_redeemed: errors.ProofRedeemed,
  provider_misconfigured: errors.ProviderMisconfigured,
  provider_rate_limited: errors.ProviderRateLimited,
  provider_unavailable: errors.ProviderUnavailable,
  store_unavailable: errors.StoreUnavailable,
  unauthorized: errors.Unauthorized,
  unsupported_media_type: errors.UnsupportedMediaType,
  verification_canceled: errors.VerificationCanceled,
  verification_expired: errors.VerificationExpired,
  verification_not_found: errors.VerificationNotFound,
  wrong_code: errors.WrongCode,
};
const ENVELOPE = ["type", "title", "status", "detail", "instance", "code", "request_id"];

export function fromProblem(status, problem) {
  const Kind = Object.hasOwn(BY_CODE, problem.code) ? BY_CODE[problem.code] : errors.ApiError;
  return new Kind({
    code: problem.code,
    status,
    title: String(problem.title ?? ""),
    requestId: String(problem.request_id ?? ""),
    members: Object.fromEntries(Object.entries(problem).filter(([name]) => !ENVELOPE.includes(name))),
  });
}
