// Types of the element <otp-verify>.

/** The texts of the element, by name; `{phone}` and `{attempts}` are filled in. */
export interface OtpVerifyTexts {
  country: string;
  phone: string;
  note: string;
  send: string;
  code: string;
  arriving: string;
  attempts: string;
  verify: string;
  resend: string;
  ready: string;
  change: string;
  cancel: string;
  restart: string;
  checking: string;
  done: string;
  required: string;
  lapsed: string;
  offline: string;
  invalid_phone: string;
  destination_blocked: string;
  destination_rejected: string;
  challenge_required: string;
  cooldown_active: string;
  limit_reached: string;
  provider_rate_limited: string;
  provider_unavailable: string;
  provider_misconfigured: string;
  store_unavailable: string;
  idempotency_in_progress: string;
  invalid_code: string;
  wrong_code: string;
  attempts_exhausted: string;
  verification_expired: string;
  verification_canceled: string;
  verification_not_found: string;
  already_verified: string;
  internal_error: string;
}

/** The attributes of <otp-verify>. A boolean attribute is `""`; leave it out for false. */
export interface OtpVerifyAttributes {
  /** The client's key for browsers; it is no secret. */
  "publishable-key": string;
  /** The base URL of the service. Without it, calls go to the place that the module was loaded from. */
  service?: string | undefined;
  /** Constants of `@otp-service/widget/countries`, separated by spaces; the first one is selected. Read once. */
  countries?: string | undefined;
  /** Why the phone is verified. Optional if the client has one purpose. */
  purpose?: string | undefined;
  /** The form field of the proof; `proof` by default. */
  name?: string | undefined;
  /** A number that cannot be changed here. */
  phone?: string | undefined;
  /** The language of the element and of the SMS; that of the page by default. */
  locale?: string | undefined;
  /** Texts as a JSON object, by the names of `OtpVerifyTexts`. */
  texts?: string | undefined;
  /** The form is not sent without a proof. */
  required?: "" | undefined;
  /** Nothing in the element can be used. */
  disabled?: "" | undefined;
}

/** The element <otp-verify>. */
export interface OtpVerifyElement extends HTMLElement {
  /** Texts that replace the built-in ones; null for none. */
  get texts(): Partial<OtpVerifyTexts> | null;
  set texts(texts: Partial<OtpVerifyTexts> | null | undefined);
  /** Start again after the server has refused the proof or used it up. The number stays in the field. */
  restart(): void;
}

export interface OtpSentDetail {
  verification_id: string;
}

export interface OtpVerifiedDetail {
  /** What your server redeems. Do not log it: the phone is readable in it. */
  proof: string;
  /** Seconds. */
  proof_expires_in: number;
  verification_id: string;
  purpose: string;
}

export interface OtpProblemDetail {
  /** An error code of the API, or `offline`. */
  code: string;
}

/** The events of <otp-verify>. They bubble, and cross shadow roots. */
export interface OtpVerifyEventMap {
  /** An SMS is on its way. */
  "otp-sent": CustomEvent<OtpSentDetail>;
  /** The code was right. */
  "otp-verified": CustomEvent<OtpVerifiedDetail>;
  /** Something was refused. */
  "otp-problem": CustomEvent<OtpProblemDetail>;
  /** The person gave up. */
  "otp-canceled": CustomEvent<Record<string, never>>;
}

/** Define <otp-verify>. The promise resolves when it is defined, on a server at once. */
export function defineOtpVerify(): Promise<void>;

/** What the components for React and Vue take as props. */
export interface OtpVerifyOptions {
  /** The client's key for browsers; it is no secret. */
  publishableKey: string;
  /** The base URL of the service, such as `https://otp.example.com`; `/` for the page's own origin. */
  service: string;
  /** Constants of `@otp-service/widget/countries`; the first one is selected. Mainland China by default. Read once. */
  countries?: readonly string[] | undefined;
  /** Why the phone is verified. Optional if the client has one purpose. */
  purpose?: string | undefined;
  /** The form field of the proof; `proof` by default. */
  name?: string | undefined;
  /** A number that cannot be changed here. */
  phone?: string | undefined;
  /** The language of the element and of the SMS; that of the page by default. */
  locale?: string | undefined;
  /** Texts that replace the built-in ones. */
  texts?: Partial<OtpVerifyTexts> | null | undefined;
  /** The form is not sent without a proof. */
  required?: boolean | undefined;
  /** Nothing in the element can be used. */
  disabled?: boolean | undefined;
}

declare global {
  interface HTMLElementTagNameMap {
    "otp-verify": OtpVerifyElement;
  }
  interface GlobalEventHandlersEventMap extends OtpVerifyEventMap {}
}
