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
  /** The client's publishable key; it is not a secret. */
  "publishable-key": string;
  /** The base URL of the service. By default, the origin that the module was loaded from. */
  service?: string | undefined;
  /** Constants of `@otp-service/widget/countries`, separated by spaces; the first one is selected. Read once. */
  countries?: string | undefined;
  /** Why the phone is verified. Optional if the client has one purpose. */
  purpose?: string | undefined;
  /** The form field of the proof; `proof` by default. */
  name?: string | undefined;
  /** A phone number that the user cannot change. */
  phone?: string | undefined;
  /** The language of the element and of the SMS; the language of the page by default. */
  locale?: string | undefined;
  /** Texts as a JSON object, by the names of `OtpVerifyTexts`. */
  texts?: string | undefined;
  /** The form cannot be submitted without a proof. */
  required?: "" | undefined;
  /** Disables all controls of the element. */
  disabled?: "" | undefined;
}

/** The element <otp-verify>. */
export interface OtpVerifyElement extends HTMLElement {
  /** Texts that replace the built-in ones; null for none. */
  get texts(): Partial<OtpVerifyTexts> | null;
  set texts(texts: Partial<OtpVerifyTexts> | null | undefined);
  /** Start again after the server has rejected or redeemed the proof. The phone number stays in its field. */
  restart(): void;
}

export interface OtpSentDetail {
  verification_id: string;
}

export interface OtpVerifiedDetail {
  /** The proof that your server redeems. Do not log it: it contains the phone number in readable form. */
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
  /** An SMS has been sent. */
  "otp-sent": CustomEvent<OtpSentDetail>;
  /** The code was correct. */
  "otp-verified": CustomEvent<OtpVerifiedDetail>;
  /** A call was rejected. */
  "otp-problem": CustomEvent<OtpProblemDetail>;
  /** The user canceled. */
  "otp-canceled": CustomEvent<Record<string, never>>;
}

/** Define <otp-verify>. The promise resolves when it is defined. On a server, it resolves immediately. */
export function defineOtpVerify(): Promise<void>;

/** The props that the components for React and Vue share. */
export interface OtpVerifyOptions {
  /** The client's publishable key; it is not a secret. */
  publishableKey: string;
  /** The base URL of the service, such as `https://otp.example.com`; `/` for the page's own origin. */
  service: string;
  /** Constants of `@otp-service/widget/countries`; the first one is selected. Mainland China by default. Read once. */
  countries?: readonly string[] | undefined;
  /** Why the phone is verified. Optional if the client has one purpose. */
  purpose?: string | undefined;
  /** The form field of the proof; `proof` by default. */
  name?: string | undefined;
  /** A phone number that the user cannot change. */
  phone?: string | undefined;
  /** The language of the element and of the SMS; the language of the page by default. */
  locale?: string | undefined;
  /** Texts that replace the built-in ones. */
  texts?: Partial<OtpVerifyTexts> | null | undefined;
  /** The form cannot be submitted without a proof. */
  required?: boolean | undefined;
  /** Disables all controls of the element. */
  disabled?: boolean | undefined;
}

declare global {
  interface HTMLElementTagNameMap {
    "otp-verify": OtpVerifyElement;
  }
  interface GlobalEventHandlersEventMap extends OtpVerifyEventMap {}
}
