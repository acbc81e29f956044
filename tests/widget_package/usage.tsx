// How the npm packages are used, for tsc alone: it is never run.

import { createRef } from "react";
import { createApp, h, useTemplateRef } from "vue";
import { OtpClient } from "@otp-service/client";
import { defineOtpVerify } from "@otp-service/widget";
import type { OtpVerifyAttributes, OtpVerifyElement } from "@otp-service/widget";
import { CN, US } from "@otp-service/widget/countries";
import { OtpVerify } from "@otp-service/widget/react";
import { OtpVerify as VueOtpVerify } from "@otp-service/widget/vue";
import type { OtpVerifyExposed } from "@otp-service/widget/vue";

export const otp = new OtpClient("https://otp.example.com", "sk_x");

export const attributes: OtpVerifyAttributes = { "publishable-key": "pk_x", countries: `${CN} ${US}`, required: "" };

export async function theElement(): Promise<void> {
  await defineOtpVerify();
  const element = document.createElement("otp-verify");
  const found: OtpVerifyElement | null = document.querySelector("otp-verify");
  element.texts = { send: "Go" };
  const text: string | undefined = element.texts?.send;
  element.texts = null;
  element.addEventListener("otp-verified", (event) => void event.detail.proof.slice(0, event.detail.proof_expires_in));
  document.addEventListener("otp-sent", (event) => void event.detail.verification_id.length);
  document.addEventListener("otp-problem", ({ detail }) => void detail.code.length);
  found?.restart();
  // @ts-expect-error: there is no such text
  element.texts = { sned: text };
  // @ts-expect-error: this event has no proof
  document.addEventListener("otp-canceled", (event) => void event.detail.proof.length);
}

export function InReact() {
  const element = createRef<OtpVerifyElement>();
  element.current?.restart();
  return (
    <>
      <OtpVerify
        ref={element}
        service="https://otp.example.com"
        publishableKey="pk_x"
        countries={[CN, US]}
        texts={{ send: "Go" }}
        className="wide"
        id="otp"
        required
        onVerified={(event) => void event.detail.proof.length}
        onProblem={({ detail }) => void detail.code.length}
      >
        Call us.
      </OtpVerify>
      {/* @ts-expect-error: a service is needed */}
      <OtpVerify publishableKey="pk_x" />
      {/* @ts-expect-error: a boolean */}
      <OtpVerify service="/" publishableKey="pk_x" required="false" />
    </>
  );
}

export function inVue(): void {
  const exposed = useTemplateRef<OtpVerifyExposed>("otp");
  exposed.value?.restart();
  const element: OtpVerifyElement | null | undefined = exposed.value?.element;
  createApp(VueOtpVerify, { service: "/", publishableKey: "pk_x", texts: element?.texts });
  h(VueOtpVerify, { service: "/", publishableKey: "pk_x", countries: [CN], onVerified: (event) => void event.detail.proof });
  // @ts-expect-error: there is no such event
  h(VueOtpVerify, { service: "/", publishableKey: "pk_x", onVerified: (event) => void event.detail.prof });
  // @ts-expect-error: a key is needed
  h(VueOtpVerify, { service: "/" });
}
