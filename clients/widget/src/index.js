// Defines <otp-verify>. Does nothing on a server, where there is no document.

/** Define <otp-verify>. The promise resolves when it is defined. On a server, it resolves immediately. */
export function defineOtpVerify() {
  if (typeof customElements === "undefined") return Promise.resolve();
  return import("./widget.js").then(() => {});
}

defineOtpVerify();
