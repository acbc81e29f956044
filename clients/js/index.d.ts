// Types of what index.js exports.

import type { Agent as HttpAgent } from "node:http";
import type { Agent as HttpsAgent } from "node:https";

export type Status = "pending" | "approved" | "exhausted" | "canceled" | "expired";
export type Delivery = "sending" | "accepted" | "unknown" | "refused" | "delivered" | "undelivered";

export interface ClientOptions {
  /** How long to wait for an answer, in milliseconds; 8000 unless said otherwise. The service answers within 6 s. */
  timeoutMs?: number;
  /** The agent that makes the connections: for certificates of one's own, or a proxy. None of the environment is used. */
  agent?: HttpAgent | HttpsAgent;
}

export interface Idempotent {
  /** 1 to 255 printable ASCII characters, another one for every new call: under the same key the same call is
   * made once, however often it is repeated, and answered the same. */
  idempotencyKey?: string;
}

export interface SendOptions extends Idempotent {
  locale?: string;
  /** The end user's IP address, to which limits apply. */
  clientIp?: string;
  /** The solution of the risk challenge of a `ChallengeRequired`. */
  riskSolution?: string;
  /** You have an account with this phone. */
  knownPhone?: boolean;
  /** You recognise the device or session of this very person, so that strangers cannot keep them out. Never say
   * it because the account exists: anybody can start a login. */
  knownDevice?: boolean;
  /** Your page can solve a risk challenge: one may be asked for while the alarm for wrong codes is on. */
  acceptsChallenge?: boolean;
}

export interface RequestOptions extends SendOptions {
  /** May be left out when the client has one only. */
  purpose?: string;
}

export interface VerifyOptions extends Idempotent {
  clientIp?: string;
}

export interface RedeemOptions extends Idempotent {
  purpose: string;
  /** Take proofs of configured test phones, too. */
  allowTest?: boolean;
}

/**
 * The service at *baseUrl*, called with *secretKey*. One instance serves the whole process.
 *
 * Every method rejects, beside what it names, with `ServiceUnreachable` (nothing was sent), `OutcomeUnknown`
 * (no answer came), `UnexpectedAnswer` (something else answered), `Unauthorized` and `StoreUnavailable`.
 */
export class OtpClient {
  constructor(baseUrl: string, secretKey: string, options?: ClientOptions);
  readonly baseUrl: string;
  /** Close the connections that are kept open. */
  close(): void;
  /** Open a verification of *phone* and send its code.
   * Rejects with `InvalidPhone`, `DestinationBlocked`, `ChallengeRequired`, a `LimitError` or a `ProviderError`. */
  request(phone: string, options?: RequestOptions): Promise<Sent>;
  /** Send the same code of the same verification once more. Rejects as `request`, or with a `VerificationError`. */
  resend(phone: string, verificationId: string, options?: SendOptions): Promise<Sent>;
  /** Submit what the person typed; the answer holds the proof if it was right.
   * Rejects with `InvalidCode` (no attempt was used), `WrongCode`, or another `VerificationError`. */
  verify(phone: string, verificationId: string, code: string, options?: VerifyOptions): Promise<Approved>;
  /** Use *proof* up and tell what it proves. Works once. Rejects with a `ProofError`. */
  redeem(proof: string, options: RedeemOptions): Promise<Redeemed>;
  /** A verification as it stands. Rejects with `VerificationNotFound`. */
  status(phone: string, verificationId: string): Promise<VerificationStatus>;
  /** End a pending verification. Rejects with a `VerificationError`. */
  cancel(phone: string, verificationId: string): Promise<void>;
  /** Forget the wrong codes of *phone*. Rejects with `Forbidden` if this client has no `may_unlock`. */
  unlock(phone: string): Promise<void>;
}

/** How a verification stands. */
interface Standing {
  readonly verificationId: string;
  readonly status: Status;
  readonly purpose: string;
  readonly phoneMasked: string;
  readonly codeLength: number;
  readonly codeType: string;
  readonly expiresAt: Date;
  /** Seconds, as all numbers that end in `In`. */
  readonly expiresIn: number;
  /** null when this verification gets no more SMS. */
  readonly resendAt: Date | null;
  readonly resendIn: number | null;
  readonly sendsLeft: number;
  readonly attemptsLeft: number;
  readonly delivery: Delivery;
}

/** A verification is open and its SMS accepted, or perhaps on its way: `delivery` says which. */
export type Sent = Standing;

export interface VerificationStatus extends Standing {
  readonly sends: readonly SendStatus[];
}

/** One SMS of a verification: its number from 1, what became of it, when it began, by which route. */
export interface SendStatus {
  readonly number: number;
  readonly delivery: Delivery;
  readonly at: Date;
  readonly route: string;
  /** Why it did not arrive: the provider's code, and what it means in English and in Chinese. */
  readonly reason: { readonly code: string; readonly en: string; readonly zh: string } | null;
}

/** The code was right. `phone` and `proof` are personal data: neither console.log nor JSON.stringify shows them. */
export interface Approved {
  readonly verificationId: string;
  readonly purpose: string;
  readonly phone: string;
  readonly proof: string;
  /** Seconds. */
  readonly proofExpiresIn: number;
}

/** What a proof proved, told once. `amr` holds how: `sms`, or `test` for a configured test phone. */
export interface Redeemed {
  readonly verificationId: string;
  readonly client: string;
  readonly purpose: string;
  readonly phone: string;
  readonly verifiedAt: Date;
  readonly amr: readonly string[];
}

// ── errors ──

/** Every error of this client. No text of it ever holds a key, a phone, a code or a proof. */
export class OtpServiceError extends Error {}
/** No connection came about: nothing was sent, and the same call may be made again. `cause` is for the log. */
export class ServiceUnreachable extends OtpServiceError {
  readonly cause: string;
}
/** The request may have left, but no answer that can be read came back. `cause` is for the log. */
export class OutcomeUnknown extends OtpServiceError {
  readonly cause: string;
}
/** An HTTP status that no OTP service gives this way: look at the base URL and what stands before it. */
export class UnexpectedAnswer extends OtpServiceError {
  readonly status: number;
}
/** The service said no, for the reason `code`. */
export class ApiError extends OtpServiceError {
  readonly code: string;
  readonly status: number;
  readonly title: string;
  /** Finds the call in the service's log. */
  readonly requestId: string;
  /** The facts beside the code, as they came. */
  readonly members: Readonly<Record<string, unknown>>;
}
/** A defect of the service. */
export class InternalError extends ApiError {}

/** What was sent is at fault; the same request will fail again. */
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
/** Solve `challenge` in the browser and send the solution along as `riskSolution`. */
export class ChallengeRequired extends RequestError {
  get challenge(): Readonly<Record<string, unknown>>;
}
/** The text cannot be a code; no attempt was used. */
export class InvalidCode extends RequestError {}
export class IdempotencyKeyReused extends RequestError {}

/** What became of the verification. */
export class VerificationError extends ApiError {}
export class VerificationNotFound extends VerificationError {}
export class AlreadyVerified extends VerificationError {}
export class VerificationExpired extends VerificationError {}
export class VerificationCanceled extends VerificationError {}
export class WrongCode extends VerificationError {
  get attemptsLeft(): number;
}
export class AttemptsExhausted extends VerificationError {}

/** What is wrong with the proof. */
export class ProofError extends ApiError {}
export class InvalidProof extends ProofError {}
export class ProofExpired extends ProofError {}
export class ProofRedeemed extends ProofError {}

/** An error that passes with time. */
export class RetryableError extends ApiError {
  /** Whole seconds after which the same call makes sense again. */
  get retryAfter(): number;
}
export class LimitError extends RetryableError {
  /** Which limit. */
  get limit(): string;
}
export class CooldownActive extends LimitError {}
export class LimitReached extends LimitError {}
export class StoreUnavailable extends RetryableError {}
/** Also an `instanceof RequestError`. */
export class IdempotencyInProgress extends RetryableError {}

/** The SMS could not be sent. */
export class ProviderError extends ApiError {}
/** The provider refuses this number for good. */
export class DestinationRejected extends ProviderError {}
/** The service's account or configuration was refused; its operator must act. */
export class ProviderMisconfigured extends ProviderError {}
/** Also an `instanceof ProviderError`. */
export class ProviderRateLimited extends RetryableError {}
/** Also an `instanceof ProviderError`. */
export class ProviderUnavailable extends RetryableError {}
