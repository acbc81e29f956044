// Types of the component for React.

import type { ForwardRefExoticComponent, HTMLAttributes, RefAttributes } from "react";

import type { OtpVerifyElement, OtpVerifyEventMap, OtpVerifyOptions } from "./index.js";

export type { OtpVerifyElement, OtpVerifyTexts } from "./index.js";

/** `className`, `id`, `style`, `data-*` and similar props are passed to the element. Old browsers show the children. */
export interface OtpVerifyProps extends OtpVerifyOptions, Omit<HTMLAttributes<OtpVerifyElement>, keyof OtpVerifyOptions> {
  /** An SMS has been sent. */
  onSent?: ((event: OtpVerifyEventMap["otp-sent"]) => void) | undefined;
  /** The code was correct. Send `event.detail.proof` to your server. */
  onVerified?: ((event: OtpVerifyEventMap["otp-verified"]) => void) | undefined;
  /** A call was rejected. */
  onProblem?: ((event: OtpVerifyEventMap["otp-problem"]) => void) | undefined;
  /** The user canceled. */
  onCanceled?: ((event: OtpVerifyEventMap["otp-canceled"]) => void) | undefined;
}

/** The element <otp-verify>. A `ref` receives the element, with its method `restart()`. */
export declare const OtpVerify: ForwardRefExoticComponent<OtpVerifyProps & RefAttributes<OtpVerifyElement>>;
