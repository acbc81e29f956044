// <OtpVerify> for Vue: the element with its attributes as props, and its events without their prefix.

import { defineComponent, h, onMounted, ref, watch } from "vue";

import { attributesOf } from "./attributes.js";
import "./index.js";

export const OtpVerify = defineComponent({
  name: "OtpVerify",
  props: {
    publishableKey: { type: String, required: true },
    service: { type: String, required: true },
    countries: Array,
    purpose: String,
    name: String,
    phone: String,
    locale: String,
    texts: Object,
    required: Boolean,
    disabled: Boolean,
  },
  emits: ["sent", "verified", "problem", "canceled"],
  setup(props, { emit, expose, slots }) {
    const element = ref(null);
    const setTexts = () => {
      element.value.texts = props.texts;
    };
    onMounted(setTexts);
    watch(() => props.texts, setTexts, { deep: true, flush: "post" });
    expose({ element, restart: () => element.value.restart() });

    return () =>
      h(
        "otp-verify",
        {
          ...attributesOf(props),
          ref: element,
          onOtpSent: (event) => emit("sent", event),
          onOtpVerified: (event) => emit("verified", event),
          onOtpProblem: (event) => emit("problem", event),
          onOtpCanceled: (event) => emit("canceled", event),
        },
        slots.default && slots.default(),
      );
  },
});
