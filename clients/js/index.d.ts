// Types of the exports of index.js.

import type { Agent as HttpAgent } from "node:http";
import type { Agent as HttpsAgent } from "node:https";

export type Status = "pending" | "approved" | "exhausted" | "canceled" | "expired";
export type Delivery = "sending" | "accepted" | "unknown" | "refused" | "delivered" | "undelivered";

export interface ClientOptions {
  /** How long to wait for a response, in milliseconds; 8000 by default. The service responds within 6 s. */
  timeoutMs?: number;
  /** The agent for connections, for your own certificates or a proxy. Proxies in the environment are ignored. */
  agent?: HttpAgent | HttpsAgent;
}

export interface Idempotent {
  /** 1 to 255 printable ASCII characters, different for every new call. The service executes repeated calls with
   * the same key once and repeats the response. */
  idempotencyKey?: string;
}

export interface SendOptions extends Idempotent {
  locale?: string;
  /** The end user's IP address. Without it, the limits per address do not apply. */
  clientIp?: string;
  /** The solution of the risk challenge of a `ChallengeRequired`. */
  riskSolution?: string;
  /** You have an account with this phone. */
  knownPhone?: boolean;
  /** You recognize the device or session of this user, so that strangers cannot lock them out. Do not set it
   * only because the account exists: anyone can start a login. */
  knownDevice?: boolean;
  /** Your page can solve a risk challenge. The service may require one while too many wrong codes are submitted. */
  acceptsChallenge?: boolean;
}

export interface RequestOptions extends SendOptions {
  /** Optional if the client has one purpose. */
  purpose?: string;
}

export interface VerifyOptions extends Idempotent {
  clientIp?: string;
}

export interface RedeemOptions extends Idempotent {
  purpose: string;
  /** Also accept proofs of configured test phones. */
  allowTest?: boolean;
}

/**
 * A client of the service at *baseUrl* with *secretKey*. Create one for the whole process.
 *
 * Every method can also reject with `ServiceUnreachable` (nothing was sent), `OutcomeUnknown` (no response),
 * `UnexpectedAnswer` (not a response of the service), `Unauthorized` and `StoreUnavailable`.
 */
export class OtpClient {
  constructor(baseUrl: string, secretKey: string, options?: ClientOptions);
  readonly baseUrl: string;
  /** Close the idle connections. */
  close(): void;
  /** Start a verification of *phone* and send its code.
   * Rejects with `InvalidPhone`, `DestinationBlocked`, `ChallengeRequired`, a `LimitError` or a `ProviderError`. */
  request(phone: string, options?: RequestOptions): Promise<Sent>;
  /** Send the code of the verification again. Rejects as `request` does, or with a `VerificationError`. */
  resend(phone: string, verificationId: string, options?: SendOptions): Promise<Sent>;
  /** Submit the code that the user typed. If it is correct, the result contains the proof.
   * Rejects with `InvalidCode` (no attempt was used up), `WrongCode`, or another `VerificationError`. */
  verify(phone: string, verificationId: string, code: string, options?: VerifyOptions): Promise<Approved>;
  /** Redeem *proof* and return its claims. This works once. Rejects with a `ProofError`. */
  redeem(proof: string, options: RedeemOptions): Promise<Redeemed>;
  /** Return the state of a verification. Rejects with `VerificationNotFound`. */
  status(phone: string, verificationId: string): Promise<VerificationStatus>;
  /** End a pending verification. Rejects with a `VerificationError`. */
  cancel(phone: string, verificationId: string): Promise<void>;
  /** Reset the failed attempts of *phone*. Rejects with `Forbidden` if this client has no `may_unlock`. */
  unlock(phone: string): Promise<void>;
}

/** The state of a verification. */
interface Verification {
  readonly verificationId: string;
  readonly status: Status;
  readonly purpose: string;
  readonly phoneMasked: string;
  readonly codeLength: number;
  readonly codeType: string;
  readonly expiresAt: Date;
  /** Seconds, like all numbers whose names end in `In`. */
  readonly expiresIn: number;
  /** null if this verification allows no further SMS. */
  readonly resendAt: Date | null;
  readonly resendIn: number | null;
  readonly sendsLeft: number;
  readonly attemptsLeft: number;
  readonly delivery: Delivery;
}

/** A pending verification. `delivery` says whether the provider has accepted its SMS, or may have. */
export type Sent = Verification;

export interface VerificationStatus extends Verification {
  readonly sends: readonly SendStatus[];
}

/** One SMS of a verification: its number from 1, its delivery, its time and its route. */
export interface SendStatus {
  readonly number: number;
  readonly delivery: Delivery;
  readonly at: Date;
  readonly route: string;
  /** Why it did not arrive: the provider's code, explained in English and in Chinese. */
  readonly reason: { readonly code: string; readonly en: string; readonly zh: string } | null;
}

/** The code was correct. `phone` and `proof` are personal data: neither console.log nor JSON.stringify shows them. */
export interface Approved {
  readonly verificationId: string;
  readonly purpose: string;
  readonly phone: string;
  readonly proof: string;
  /** Seconds. */
  readonly proofExpiresIn: number;
}

/** The claims of a redeemed proof. `amr` is `sms`, or `test` for a configured test phone. */
export interface Redeemed {
  readonly verificationId: string;
  readonly client: string;
  readonly purpose: string;
  readonly phone: string;
  readonly verifiedAt: Date;
  readonly amr: readonly string[];
}

// ── errors ──

/** Base class of the client's errors. No message contains a key, a phone, a code or a proof. */
export class OtpServiceError extends Error {}
/** No connection could be opened. Nothing was sent, so the call can safely be repeated. `cause` is for the log. */
export class ServiceUnreachable extends OtpServiceError {
  readonly cause: string;
}
/** The request may have arrived, but there was no readable response. `cause` is for the log. */
export class OutcomeUnknown extends OtpServiceError {
  readonly cause: string;
}
/** A response that is not from an OTP service: check the base URL and the proxies in front of the service. */
export class UnexpectedAnswer extends OtpServiceError {
  readonly status: number;
}
/** The service refused the request, for the reason `code`. */
export class ApiError extends OtpServiceError {
  readonly code: string;
  readonly status: number;
  readonly title: string;
  /** Identifies the call in the service's log. */
  readonly requestId: string;
  /** The other members of the problem document. */
  readonly members: Readonly<Record<string, unknown>>;
}
/** A bug in the service. */
export class InternalError extends ApiError {}

/** The request is at fault, and would fail again. */
export class RequestError extends ApiError {}
export class InvalidRequest extends RequestError {
  get errors(): readonly { pointer: string; detail: string }[];
}
export class Unauthorized extends RequestError {}
export class Forbidden extends RequestError {}
export class NotFound extends RequestError {}
export class MethodNotAllowed extends RequestError {}
export class PayloadTooLarge extends RequestError {}
export class UnsupportedMediaType extends RequestError {}
export class InvalidPhone extends RequestError {}
/** A valid phone number that the service does not send to. */
export class DestinationBlocked extends RequestError {}
/** Solve `challenge` in the browser, and pass the solution as `riskSolution`. */
export class ChallengeRequired extends RequestError {
  get challenge(): Readonly<Record<string, unknown>>;
}
/** The text cannot be a code. No attempt was used up. */
export class InvalidCode extends RequestError {}
export class IdempotencyKeyReused extends RequestError {}

/** The state of the verification. */
export class VerificationError extends ApiError {}
export class VerificationNotFound extends VerificationError {}
export class AlreadyVerified extends VerificationError {}
export class VerificationExpired extends VerificationError {}
export class VerificationCanceled extends VerificationError {}
export class WrongCode extends VerificationError {
  get attemptsLeft(): number;
}
export class AttemptsExhausted extends VerificationError {}

/** The proof is at fault. */
export class ProofError extends ApiError {}
export class InvalidProof extends ProofError {}
export class ProofExpired extends ProofError {}
export class ProofRedeemed extends ProofError {}

/** The call can be repeated later. */
export class RetryableError extends ApiError {
  /** Seconds to wait before the call is repeated. */
  get retryAfter(): number;
}
export class LimitError extends RetryableError {
  /** The name of the limit. */
  get limit(): string;
}
export class CooldownActive extends LimitError {}
export class LimitReached extends LimitError {}
export class StoreUnavailable extends RetryableError {}
/** Also an `instanceof RequestError`. */
export class IdempotencyInProgress extends RetryableError {}

/** The SMS could not be sent. */
export class ProviderError extends ApiError {}
/** The provider permanently refuses this number. */
export class DestinationRejected extends ProviderError {}
/** The provider refused the account or configuration of the service; its operator must act. */
export class ProviderMisconfigured extends ProviderError {}
/** Also an `instanceof ProviderError`. */
export class ProviderRateLimited extends RetryableError {}
/** Also an `instanceof ProviderError`. */
export class ProviderUnavailable extends RetryableError {}
