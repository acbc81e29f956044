// <OtpVerify> for React: the element with its attributes as props, and its events as handlers.

import { createElement, forwardRef, useEffect, useImperativeHandle, useLayoutEffect, useRef } from "react";

import { attributesOf } from "./attributes.js";
import "./index.js";

const HANDLERS = { onSent: "otp-sent", onVerified: "otp-verified", onProblem: "otp-problem", onCanceled: "otp-canceled" };

// React warns about layout effects when it renders on a server.
const useBrowserEffect = typeof document === "undefined" ? useEffect : useLayoutEffect;

export const OtpVerify = forwardRef(function OtpVerify(props, ref) {
  const {
    publishableKey, service, countries, purpose, name, phone, locale, required, disabled, // attributes
    texts, className, children, onSent, onVerified, onProblem, onCanceled, ...others
  } = props;
  const element = useRef(null);
  const handlers = useRef({});
  const ownTexts = JSON.stringify(texts ?? null);

  useImperativeHandle(ref, () => element.current, []);

  useBrowserEffect(() => {
    handlers.current = { onSent, onVerified, onProblem, onCanceled };
  });

  // React 18 does not listen to events of custom elements.
  useBrowserEffect(() => {
    const { current } = element;
    const call = (handler) => (event) => handlers.current[handler] && handlers.current[handler](event);
    const listeners = Object.entries(HANDLERS).map(([handler, event]) => [event, call(handler)]);
    for (const listener of listeners) current.addEventListener(...listener);
    return () => {
      for (const listener of listeners) current.removeEventListener(...listener);
    };
  }, []);

  useBrowserEffect(() => {
    element.current.texts = JSON.parse(ownTexts);
  }, [ownTexts]);

  // `class`, because React 18 renders `className` of a custom element as an attribute of that name.
  return createElement("otp-verify", { ...others, ...attributesOf(props), class: className, ref: element }, children);
});
OtpVerify.displayName = "OtpVerify";
