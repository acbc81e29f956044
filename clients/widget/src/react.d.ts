// Types of the component for React.

import type { ForwardRefExoticComponent, HTMLAttributes, RefAttributes } from "react";

import type { OtpVerifyElement, OtpVerifyEventMap, OtpVerifyOptions } from "./index.js";

export type { OtpVerifyElement, OtpVerifyTexts } from "./index.js";

/** `className`, `id`, `style`, `data-*` and the like reach the element. Children show in browsers that are too old. */
export interface OtpVerifyProps extends OtpVerifyOptions, Omit<HTMLAttributes<OtpVerifyElement>, keyof OtpVerifyOptions> {
  /** An SMS is on its way. */
  onSent?: ((event: OtpVerifyEventMap["otp-sent"]) => void) | undefined;
  /** The code was right: `event.detail.proof` is for your server. */
  onVerified?: ((event: OtpVerifyEventMap["otp-verified"]) => void) | undefined;
  /** Something was refused. */
  onProblem?: ((event: OtpVerifyEventMap["otp-problem"]) => void) | undefined;
  /** The person gave up. */
  onCanceled?: ((event: OtpVerifyEventMap["otp-canceled"]) => void) | undefined;
}

/** The element <otp-verify>. A `ref` gets the element, with its method `restart()`. */
export declare const OtpVerify: ForwardRefExoticComponent<OtpVerifyProps & RefAttributes<OtpVerifyElement>>;
