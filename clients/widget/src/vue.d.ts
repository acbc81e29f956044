// Types of the component for Vue.

import type { DefineSetupFnComponent, Ref, SlotsType } from "vue";

import type { OtpVerifyElement, OtpVerifyEventMap, OtpVerifyOptions } from "./index.js";

export type { OtpVerifyElement, OtpVerifyTexts } from "./index.js";

export type OtpVerifyProps = OtpVerifyOptions;

export type OtpVerifyEmits = {
  /** An SMS is on its way. */
  sent: (event: OtpVerifyEventMap["otp-sent"]) => void;
  /** The code was right: `event.detail.proof` is for your server. */
  verified: (event: OtpVerifyEventMap["otp-verified"]) => void;
  /** Something was refused. */
  problem: (event: OtpVerifyEventMap["otp-problem"]) => void;
  /** The person gave up. */
  canceled: (event: OtpVerifyEventMap["otp-canceled"]) => void;
};

/** What a template ref of the component has. */
export interface OtpVerifyExposed {
  /** The element, once the component is mounted. */
  readonly element: OtpVerifyElement | null;
  /** Start again after the server has refused the proof or used it up. The number stays in the field. */
  restart(): void;
}

/** The element <otp-verify>. The default slot shows in browsers that are too old. */
export declare const OtpVerify: DefineSetupFnComponent<OtpVerifyProps, OtpVerifyEmits, SlotsType<{ default: {} }>>;
