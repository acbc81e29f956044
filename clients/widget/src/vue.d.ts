// Types of the component for Vue.

import type { DefineSetupFnComponent, Ref, SlotsType } from "vue";

import type { OtpVerifyElement, OtpVerifyEventMap, OtpVerifyOptions } from "./index.js";

export type { OtpVerifyElement, OtpVerifyTexts } from "./index.js";

export type OtpVerifyProps = OtpVerifyOptions;

export type OtpVerifyEmits = {
  /** An SMS has been sent. */
  sent: (event: OtpVerifyEventMap["otp-sent"]) => void;
  /** The code was correct. Send `event.detail.proof` to your server. */
  verified: (event: OtpVerifyEventMap["otp-verified"]) => void;
  /** A call was rejected. */
  problem: (event: OtpVerifyEventMap["otp-problem"]) => void;
  /** The user canceled. */
  canceled: (event: OtpVerifyEventMap["otp-canceled"]) => void;
};

/** The members of a template ref. */
export interface OtpVerifyExposed {
  /** The element, once the component is mounted. */
  readonly element: OtpVerifyElement | null;
  /** Start again after the server has rejected or redeemed the proof. The phone number stays in its field. */
  restart(): void;
}

/** The element <otp-verify>. Old browsers show the default slot. */
export declare const OtpVerify: DefineSetupFnComponent<OtpVerifyProps, OtpVerifyEmits, SlotsType<{ default: {} }>>;
