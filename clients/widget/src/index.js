// Defines <otp-verify>. On a server, where there is no document, it does nothing.

/** Define <otp-verify>. The promise resolves when it is defined, on a server at once. */
export function defineOtpVerify() {
  if (typeof customElements === "undefined") return Promise.resolve();
  return import("./widget.js").then(() => {});
}

defineOtpVerify();
