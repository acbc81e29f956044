// <otp-verify>: asks for a phone number, sends a code to it, asks for the code, and puts the proof into the form.
// One file without dependencies. It talks only to the service that it was loaded from. In a bundle that a site serves, the
// attributes `service` and `countries` replace what the service writes into this file.
// It runs in Chrome 80, Safari 15 and later: it uses no newer syntax (private methods, lookbehind, ??=), and has a
// fallback for each newer function.

const MODULE = import.meta.url; // undefined in a bundle that is not a module

// The countries that the service sends to: country, calling code ("?": a national number may begin with the same
// digits), trunk prefixes, group sizes of a number, and its possible lengths if they differ from the sum of the groups
// ("DE49-0:47/10,11"). The service writes this line.
const SENDS_TO = "CN86-0:344";

const readCountries = (list) => list.split(/\s+/).map((text) => {
  const [, name, code, mark, trunk, groups, lengths] = text.match(/^([A-Z]{2})(\d+)(\??)-([\d|]*):(\d+)(?:\/([\d,]+))?$/);
  const sizes = Array.from(groups, Number);
  const sum = sizes.reduce((total, size) => total + size);
  return { name, code, trunk, sizes, lengths: lengths ? lengths.split(",").map(Number) : [sum], repeatsCode: mark === "?" };
});

const ENGLISH = {
  country: "Country",
  phone: "Phone number",
  note: "We send one SMS with a code.",
  send: "Send code",
  code: "Code sent to {phone}",
  arriving: "It may take a few seconds to arrive.",
  attempts: "Attempts left: {attempts}.",
  verify: "Verify",
  resend: "Send again",
  ready: "You can request another SMS now.",
  change: "Change number",
  cancel: "Cancel",
  restart: "Verify another number",
  checking: "Checking your browser. This takes a moment…",
  done: "{phone} is verified.",
  required: "Please verify your phone number.",
  lapsed: "That took too long. Please verify again.",
  offline: "The service cannot be reached. Check your connection and try again.",
  invalid_phone: "This is not a valid phone number.",
  destination_blocked: "We cannot send to this phone number.",
  destination_rejected: "This phone number cannot receive our SMS.",
  challenge_required: "The browser check failed. Please try again.",
  cooldown_active: "An SMS was sent a moment ago. Please wait.",
  limit_reached: "Too many requests. Please wait.",
  provider_rate_limited: "Too many SMS to this number. Please wait.",
  provider_unavailable: "The SMS could not be sent. Please try again.",
  provider_misconfigured: "SMS cannot be sent at the moment.",
  store_unavailable: "The service is not available. Please try again.",
  idempotency_in_progress: "This is taking longer than usual. Please try again.",
  invalid_code: "This cannot be the code. Please check it.",
  wrong_code: "Wrong code. Attempts left: {attempts}.",
  attempts_exhausted: "Too many wrong codes. Ask for a new one.",
  verification_expired: "The code has expired. Ask for a new one.",
  verification_canceled: "This code was canceled. Ask for a new one.",
  verification_not_found: "This code is no longer valid. Ask for a new one.",
  already_verified: "This code has already been used. Ask for a new one.",
  internal_error: "Something went wrong. Please try again later.",
};

const CHINESE = {
  country: "国家或地区",
  phone: "手机号码",
  note: "我们将发送一条含验证码的短信。",
  send: "获取验证码",
  code: "验证码已发送至 {phone}",
  arriving: "短信可能需要几秒钟送达。",
  attempts: "还可以尝试 {attempts} 次。",
  verify: "验证",
  resend: "重新发送",
  ready: "现在可以重新发送短信。",
  change: "更换号码",
  cancel: "取消",
  restart: "验证其他号码",
  checking: "正在检查浏览器，请稍候…",
  done: "{phone} 已通过验证。",
  required: "请先验证手机号码。",
  lapsed: "等待时间过长，请重新验证。",
  offline: "无法连接服务，请检查网络后重试。",
  invalid_phone: "手机号码无效，请检查。",
  destination_blocked: "无法向该号码发送短信。",
  destination_rejected: "该号码无法接收我们的短信。",
  challenge_required: "浏览器检查未通过，请重试。",
  cooldown_active: "短信刚刚发送过，请稍候。",
  limit_reached: "请求过于频繁，请稍候。",
  provider_rate_limited: "发往该号码的短信过多，请稍候。",
  provider_unavailable: "短信发送失败，请重试。",
  provider_misconfigured: "目前无法发送短信。",
  store_unavailable: "服务暂不可用，请重试。",
  idempotency_in_progress: "处理时间较长，请重试。",
  invalid_code: "验证码格式不正确，请检查。",
  wrong_code: "验证码错误，还可以尝试 {attempts} 次。",
  attempts_exhausted: "错误次数过多，请重新获取验证码。",
  verification_expired: "验证码已过期，请重新获取。",
  verification_canceled: "验证码已取消，请重新获取。",
  verification_not_found: "验证码已失效，请重新获取。",
  already_verified: "验证码已使用，请重新获取。",
  internal_error: "出错了，请稍后再试。",
};

// The ways in which a verification ends, and the problems after which the user must request a new code.
const ENDS = {
  approved: "already_verified",
  canceled: "verification_canceled",
  exhausted: "attempts_exhausted",
  expired: "verification_expired",
};
const OVER = [...Object.values(ENDS), "verification_not_found"];

const ATTRIBUTES = [
  "publishable-key", "purpose", "name", "phone", "locale", "texts", "required", "disabled", "service", "countries",
];
const BUTTONS = ["send", "verify", "resend", "change", "cancel", "restart"];

const NOTHING = /^\s*(undefined|null|NaN|\[object Object\])\s*$/; // what frameworks write for a missing value

const TOO_OLD = "This browser is too old to verify a phone number. 浏览器版本过低，无法验证手机号码。";

const STYLE = `
:host {
  --accent: var(--otp-accent, #0b57a4);
  --on-accent: var(--otp-on-accent, #fff);
  --ground: var(--otp-ground, transparent);
  --ink: var(--otp-ink, currentColor);
  --soft: var(--otp-soft, currentColor);
  --line: var(--otp-line, #79838f);
  --bad: var(--otp-bad, #d93025);
  --good: var(--otp-good, #2e8b57);
  --radius: var(--otp-radius, .5rem);
  color: var(--ink);
  display: grid;
  font: var(--otp-font, inherit);
  line-height: 1.4;
  text-align: start;
}
@supports (color: light-dark(#000, #fff)) {
  :host {
    --accent: var(--otp-accent, light-dark(#0b57a4, #8cc2ff));
    --on-accent: var(--otp-on-accent, light-dark(#fff, #0d1b2a));
    --ground: var(--otp-ground, light-dark(#fff, #14181d));
    --ink: var(--otp-ink, light-dark(#1b1f24, #edf0f3));
    --soft: var(--otp-soft, light-dark(#545c66, #a9b2bd));
    --line: var(--otp-line, light-dark(#858d98, #79838f));
    --bad: var(--otp-bad, light-dark(#b3261e, #ff9d94));
    --good: var(--otp-good, light-dark(#1a6f47, #6fcf9f));
  }
}
:host([hidden]) { display: none; }
* { box-sizing: border-box; font: inherit; margin: 0; }
/* All steps lie in one cell, so that the page around does not move from one to the next. */
form { align-content: start; display: grid; gap: .5rem; grid-area: 1 / 1; min-width: 0; }
[inert] { visibility: hidden; }
[hidden] { display: none !important; }
label, .done p { font-weight: 600; }
.row { display: flex; gap: .5rem; }
input, select, button { border: 1px solid var(--line); border-radius: var(--radius); min-height: 2.75rem; }
input, select { background: var(--ground); color: inherit; min-width: 0; padding: .25rem .75rem; width: 100%; }
select { flex: 0 1 9rem; }
.prefix { align-self: center; color: var(--soft); }
.code { font-size: 1.375rem; font-variant-numeric: tabular-nums; letter-spacing: .25em; text-align: center; text-indent: .25em; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
[aria-invalid=true] { border-color: var(--bad); box-shadow: inset 0 0 0 1px var(--bad); }
.hint { color: var(--soft); font-size: .875rem; min-height: 2.8em; }
.hint.bad { color: var(--bad); }
button { cursor: pointer; padding: .25rem .75rem; }
.main { background: var(--accent); border-color: var(--accent); color: var(--on-accent); font-weight: 600; }
.main[aria-disabled=true], .main:disabled { background: none; border-color: var(--line); }
.links { display: flex; flex-wrap: wrap; font-size: .875rem; gap: 0 .75rem; }
.links :first-child { margin-inline-end: auto; }
.link { background: none; border-color: transparent; color: var(--accent); padding: 0; text-underline-offset: .2em; }
.link:not([aria-disabled=true]) span { text-decoration: underline; }
button[aria-disabled=true], button:disabled { color: var(--soft); cursor: default; }
time { font-variant-numeric: tabular-nums; }
.link:first-child time:empty::before { content: "0:00"; visibility: hidden; } /* room for the countdown */
.done p { border: 1px solid var(--good); border-radius: var(--radius); outline: 0; padding: .6rem .75rem; }
.done p::before { color: var(--good); content: "✓"; margin-inline-end: .5rem; }
.unseen { clip-path: inset(50%); height: 1px; overflow: hidden; position: absolute; width: 1px; }
`;

// ── fallbacks for older browsers ──

const HAS_STYLE_SHEETS = "adoptedStyleSheets" in Document.prototype && "replaceSync" in CSSStyleSheet.prototype;
const HAS_INERT = "inert" in HTMLElement.prototype;
const HAS_INTERNALS = typeof ElementInternals === "function" && "setFormValue" in ElementInternals.prototype;
const IS_TOO_OLD = !(
  Element.prototype.attachShadow && window.AbortController && window.BigInt && window.Intl && Intl.Locale &&
  window.crypto && crypto.getRandomValues && DataView.prototype.getBigUint64
);

const style = () => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE);
  return sheet;
};
const SHEETS = HAS_STYLE_SHEETS ? [style()] : [];

/** Style *root*. Without constructable style sheets, use an inline style, which a strict policy blocks. */
function dress(root) {
  if (HAS_STYLE_SHEETS) {
    root.adoptedStyleSheets = SHEETS;
    return;
  }
  const element = h("style", {}, STYLE);
  const nonced = document.querySelector("script[nonce]");
  if (nonced) element.nonce = nonced.nonce;
  root.append(element);
}

/** Return a function from country codes to names in *locale*. */
function countryNames(locale) {
  if (!Intl.DisplayNames) return (name) => name;
  const names = new Intl.DisplayNames([locale, "en"], { type: "region" });
  return (name) => names.of(name);
}

/** Create an element. Strings in *children* become text nodes, never markup. */
function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

const randomKey = () => Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join("");

/** Find the number with the given hash, in slices so that the page stays responsive. https://altcha.org/docs/ */
async function solve({ algorithm, challenge, maxnumber, salt, signature }) {
  const encoder = new TextEncoder();
  const wanted = BigInt(`0x${challenge.slice(0, 16)}`); // 64 bits identify one of so few numbers
  for (let from = 0; from <= maxnumber; from += 500) {
    const texts = Array.from({ length: 500 }, (_, i) => encoder.encode(salt + (from + i)));
    const hashes = await Promise.all(texts.map((text) => crypto.subtle.digest(algorithm, text)));
    const found = hashes.findIndex((hash) => new DataView(hash).getBigUint64(0) === wanted);
    if (found >= 0) return btoa(JSON.stringify({ algorithm, challenge, number: from + found, salt, signature }));
  }
  throw { code: "challenge_required" };
}

// ── reading what users type ──

/** Convert digits, spaces and hyphens of all scripts to ASCII, and remove invisible characters. */
function fold(text) {
  return text
    .normalize("NFKC")
    .replace(/\p{Nd}/gu, asciiDigit)
    .replace(/[\p{Cf}\p{DI}]/gu, "") // DI: fillers, selectors
    .replace(/\p{Pd}/gu, "-")
    .replace(/\s/g, " ");
}

/** Convert a decimal digit of any script. Unicode encodes those of each script consecutively, from zero to nine. */
function asciiDigit(digit) {
  let before = 0;
  while (/\p{Nd}/u.test(String.fromCodePoint(digit.codePointAt(0) - before - 1))) before++;
  return String(before % 10);
}

// The service's code alphabets, and the words that precede a code in an SMS.
const DIGITS = "0-9";
const ALNUM = "2-9A-HJKMNP-Z";
const WORD =
  "((?:^|[^\\p{L}])(?:code|otp|pin|c[oó]digo|код|رمز|كود)|[验驗][证證][码碼]|[确確][认認][码碼]|[校动動][验驗态態][码碼]|密[码碼])";
const TOUCHING = new RegExp(`${WORD}(?=\\d)`, "giu");
const CODE_WORD = new RegExp(WORD + "[ :：]*(?:is|是|为|為|es|est)?[^\\p{L}\\p{N}.。,，;；!！?？]*$", "iu");

/**
 * Return the code in *text*, which the user typed in any spelling or pasted as a whole SMS. If `isSure` is false, `value`
 * is what the field should show, and the user must choose the code.
 */
function readCode(text, length, isDigits) {
  const symbol = `[${isDigits ? DIGITS : ALNUM}]`;
  const plain = fold(text);
  const typed = plain.replace(/[\p{P}\p{Z}\p{M}\u2212]/gu, ""); // as the service does
  const isAscii = /^[\x00-\x7f]*$/.test(typed); // some other letters have an ASCII letter as their upper case
  const isCode = isAscii && isEven(plain) && new RegExp(`^${symbol}{${length}}$`, "i").test(typed);
  if (isCode) return { value: typed.toUpperCase(), isSure: true };
  const codes = /[^\d .-]/.test(plain) ? codesInMessage(plain, length, symbol) : [];
  if (codes.length === 1) return { value: codes[0], isSure: true };
  if (codes.length > 1) return { value: codes.join(" "), isSure: false };
  const others = isDigits ? /[^0-9]+/g : /[^0-9A-Za-z]+/g;
  const symbols = plain.replace(others, "").toUpperCase();
  const value = symbols.length > length ? plain.replace(others, " ").trim().toUpperCase() : symbols;
  return { value, isSure: false };
}

/** Return whether the lengths of the parts of *text* differ by at most one: 123-456, but not the month 2026-11. */
function isEven(text) {
  const sizes = text.replace(/\p{M}/gu, "").split(/[\p{P}\p{Z}\u2212]+/u).map((part) => part.length).filter(Boolean);
  return Math.max(...sizes) - Math.min(...sizes) < 2;
}

/** Return the distinct candidate codes in a message, or only those that follow a word for "code" if there are any. */
function codesInMessage(text, length, symbol) {
  const plain = text.replace(TOUCHING, "$1 ");
  const found = ["", "[ -]?"].map((between) => {
    // A code in two parts must not be part of a date or of a longer number: no other digits may be next to it.
    const before = between ? "(^|[^0-9A-Za-z -]|[^0-9 -][ -]+)" : "(^|[^0-9A-Za-z])";
    const behind = between ? `(?![0-9A-Za-z]|[ -]*${symbol})` : "(?![0-9A-Za-z])";
    const pattern = new RegExp(`${before}(${symbol}(?:${between}${symbol}){${length - 1}})${behind}`, "g");
    return Array.from(plain.matchAll(pattern), (match) => {
      const at = match.index + match[1].length;
      return { code: match[2], isNamed: CODE_WORD.test(plain.slice(Math.max(0, at - 40), at)) };
    });
  }).flat().filter(({ code }) => isEven(code));
  const named = found.filter(({ isNamed }) => isNamed);
  return [...new Set((named.length ? named : found).map(({ code }) => code.replace(/[ -]/g, "")))];
}

/** Return the country and the national digits of a number, or the number as `whole` if its country is not in *countries*. */
function readPhone(text, chosen, countries) {
  const typed = fold(text);
  let digits = typed.replace(/\D/g, "");
  const [, prefix] = typed.match(/^[^\d+]*(\+|00)/) || [];
  if (!prefix) return { country: chosen, digits: withoutCallingCode(digits, chosen) };
  if (prefix === "00") digits = digits.slice(2);
  const country = [chosen, ...countries].find(({ code }) => digits.startsWith(code));
  return country ? { country, digits: digits.slice(country.code.length) } : { country: chosen, whole: `+${digits}` };
}

/** Remove a calling code without a plus, but only if the rest is a possible number and the whole is not. */
function withoutCallingCode(digits, { code, lengths, repeatsCode }) {
  const isPossible = (number) => lengths.includes(number.length) || lengths.includes(number.replace(/^0/, "").length);
  const rest = digits.replace(new RegExp(`^0?${code}`), "");
  return isPossible(rest) && !(isPossible(digits) && repeatsCode) ? rest : digits;
}

/** Remove the trunk prefix that many users write after the calling code of *number*, so that both spellings become equal. */
function withoutTrunk(number, countries) {
  return countries.reduce((text, { code, trunk }) => text.replace(new RegExp(`^\\+${code}(${trunk})`), `+${code}`), number);
}

/** Group the digits of a number as usual in its country. */
function grouped(digits, sizes) {
  const parts = [];
  let at = 0;
  for (const size of sizes) {
    const more = at === 0 && digits[0] === "0" ? 1 : 0; // a leading trunk zero
    parts.push(digits.slice(at, at + size + more));
    at += size + more;
  }
  return parts.filter(Boolean).join(" ") + digits.slice(at);
}

/** Format seconds as a countdown: `0:42`, `1:02:03`. */
function clock(seconds) {
  const parts = [seconds / 3600, (seconds / 60) % 60, seconds % 60].map(Math.floor);
  const [hours, minutes, rest] = parts.map((part) => String(part).padStart(2, "0"));
  return parts[0] ? `${parts[0]}:${minutes}:${rest}` : `${parts[1]}:${rest}`;
}

// ── the form field ──

/** A form field implemented as a form-associated element. */
class NativeField {
  constructor(host) {
    this.host = host;
    this.internals = host.attachInternals();
  }

  get form() {
    return this.internals.form;
  }

  isDisabled() {
    return this.host.matches(":disabled");
  }

  setProof(name, proof) {
    const form = new FormData();
    form.append(name, proof);
    this.internals.setFormValue(proof && form, "");
  }

  setProblem(flags, message, anchor) {
    this.internals.setValidity(flags, message, anchor);
  }
}

/** A form field implemented as a hidden input, for browsers without form-associated elements. */
class HiddenField {
  message = "";

  constructor(host) {
    this.host = host;
    this.input = h("input", { type: "hidden" });
  }

  get form() {
    return this.host.closest("form");
  }

  isDisabled() {
    return this.host.hasAttribute("disabled") || this.host.closest("fieldset[disabled]") !== null;
  }

  setProof(name, proof) {
    this.input.name = name;
    this.input.value = proof || "";
    if (proof) this.host.append(this.input);
    else this.input.remove();
  }

  setProblem(flags, message) {
    this.message = message;
    this.input.disabled = this.host.hasAttribute("disabled");
  }
}

/** Storage keys of the elements in the page. Elements with equal keys are numbered in their order. */
const PLACES = new Set();

/** The implementation of an element, which the page cannot access. */
class Dialog {
  parts; // the elements, by name
  countries; // the countries to choose from; the first one is selected at the beginning
  step = "phone";
  kept = {}; // the state that survives a reload: number, id, times; never the code or the proof
  place; // the storage key of that state
  problem = null; // the current problem and its members
  busy = null; // the button whose action is running
  namedIn; // the language of the country names
  waits = new Map(); // button → when it becomes enabled
  phoneRead; // the content of the field when it was last read
  codeRead;
  attempt = {}; // the last submitted code and its idempotency key
  again = null; // the action to repeat when the network is back
  proof = null;
  goodUntil;
  isHandedOver = false; // the form was sent with the proof
  wasDisabled = false;
  wasReset = false; // reset before it was in a page: discard the stored state
  timer;
  webOtp;

  constructor(host) {
    this.host = host;
    this.field = HAS_INTERNALS ? new NativeField(host) : new HiddenField(host);
  }

  // ── life cycle ──

  connect() {
    const isNew = !this.parts;
    if (isNew) {
      this.build();
      ATTRIBUTES.forEach((name) => this.host.hasAttribute(name) && this.warn(name));
    }
    this.takePlace();
    this.timer = setInterval(() => this.tick(), 250);
    for (const event of this.pageEvents) addEventListener(...event);
    if (isNew && this.wasReset) this.forget();
    else if (isNew) this.restore();
    this.render();
  }

  disconnect() {
    PLACES.delete(this.place);
    clearInterval(this.timer);
    for (const event of this.pageEvents) removeEventListener(...event);
    this.stopReading();
  }

  pageEvents = [
    ["online", () => this.again && this.again()],
    ["pageshow", (event) => this.shown(event)],
    ["formdata", (event) => event.target === this.field.form && this.handOver(event.formData)],
    ...(HAS_INTERNALS ? [] : [
      ["submit", (event) => event.target === this.field.form && this.guard(event), true],
      ["reset", (event) => event.target === this.field.form && !event.defaultPrevented && this.reset()],
    ]),
  ];

  /** The page comes back from the cache: a submitted proof has been used, and perhaps the code too. */
  shown(event) {
    if (!event.persisted) return;
    this.tick();
    if (this.proof && this.isHandedOver) this.restart("lapsed");
    if (this.step === "code") this.synchronize();
  }

  /** Handle `formdata`. An expired proof is not submitted, even if no timer has noticed the expiry. */
  handOver(data) {
    if (!this.proof) return;
    if (this.goodUntil <= Date.now()) data.delete(this.name());
    else this.isHandedOver = true;
  }

  /** In browsers that do not do it themselves, block a form that lacks a required proof. */
  guard(event) {
    const isUnchecked = event.target.noValidate || (event.submitter && event.submitter.formNoValidate);
    if (!this.field.message || isUnchecked || this.isDisabled()) return;
    event.preventDefault();
    event.stopPropagation();
    if (this.step === "phone") this.problem = { code: "required" };
    this.render();
    this.parts[this.step === "code" ? "code" : "phone"].focus();
  }

  reset() {
    if (!this.parts) {
      this.wasReset = true;
      return;
    }
    const { phone, country } = this.parts;
    phone.value = "";
    country.selectedIndex = 0;
    this.restart();
  }

  changed(name) {
    if (!this.parts) return;
    if (this.host.hasAttribute(name)) this.warn(name);
    const isEnabled = this.wasDisabled && !this.isDisabled();
    if (name === "phone") this.restart();
    this.render();
    if (isEnabled && this.step === "code") this.synchronize();
  }

  isDisabled() {
    return this.field.isDisabled();
  }

  // ── rendering ──

  build() {
    const part = (tag, name, attributes, ...children) => h(tag, { part: name, ...attributes }, ...children);
    const button = (name, type, kind) =>
      part("button", `button ${name}`, { type, class: kind }, h("span"), " ", h("time"));
    this.countries = this.offeredCountries();
    const options = this.countries.map(({ name }) => h("option", { value: name }));
    const hint = (id) => part("p", "hint", { id, class: "hint", "aria-live": "polite" });
    const p = (this.parts = {
      phoneLabel: part("label", "label", { for: "phone" }),
      country: part("select", "field country", { autocomplete: "tel-country-code" }, ...options),
      prefix: part("span", "prefix", { class: "prefix", dir: "ltr", "aria-hidden": "true" }),
      phone: part("input", "field phone", {
        id: "phone", type: "tel", dir: "ltr", autocomplete: "tel", maxlength: "40", "aria-describedby": "phone-hint",
      }),
      phoneHint: hint("phone-hint"),
      send: button("send", "submit", "main"),
      codeLabel: part("label", "label", { for: "code" }),
      code: part("input", "field code", {
        id: "code", class: "code", dir: "ltr", autocomplete: "one-time-code", "aria-describedby": "code-hint",
        autocapitalize: "characters", spellcheck: "false",
      }),
      codeHint: hint("code-hint"),
      verify: button("verify", "submit", "main"),
      resend: button("resend", "button", "link"),
      change: button("change", "button", "link"),
      cancel: button("cancel", "button", "link"),
      doneText: part("p", "done", { tabindex: "-1" }),
      restart: button("restart", "button", "link"),
      news: h("p", { role: "status", class: "unseen" }),
    });
    const row = h("div", { class: "row", dir: "ltr" }, p.country, p.prefix, p.phone);
    const links = part("div", "links", { class: "links" }, p.resend, p.change, p.cancel);
    p.steps = {
      phone: part("form", "step", {}, p.phoneLabel, row, p.phoneHint, p.send),
      code: part("form", "step", {}, p.codeLabel, p.code, p.codeHint, p.verify, links),
      done: part("form", "step", { class: "done" }, p.doneText, h("div", { class: "links" }, p.restart)),
    };
    for (const form of Object.values(p.steps)) form.noValidate = true;
    this.root = this.host.attachShadow({ mode: "open", delegatesFocus: true });
    dress(this.root);
    this.root.append(...Object.values(p.steps), p.news);
    this.listen();
  }

  listen() {
    const p = this.parts;
    const press = (button, work) => button.addEventListener("click", () => this.run(button, work));
    p.steps.phone.addEventListener("submit", (event) => this.submitted(event, p.send, () => this.send()));
    p.steps.code.addEventListener("submit", (event) => this.submitted(event, p.verify, () => this.verify()));
    press(p.resend, () => this.resend());
    press(p.change, () => this.change());
    press(p.cancel, () => this.cancel());
    press(p.restart, () => this.restart());
    p.country.addEventListener("change", () => {
      this.waits.delete(p.send); // the same digits are another number now
      this.phoneTyped();
    });
    // An input method changes the text until it is done; a script that fills in a form may fire only `change`.
    p.phone.addEventListener("input", (event) => event.isComposing || this.phoneTyped());
    p.phone.addEventListener("compositionend", () => this.phoneTyped());
    p.phone.addEventListener("change", () => p.phone.value === this.phoneRead || this.phoneTyped());
    p.code.addEventListener("input", (event) => event.isComposing || this.codeTyped(p.code.value));
    p.code.addEventListener("compositionend", () => this.codeTyped(p.code.value));
    p.code.addEventListener("change", () => p.code.value === this.codeRead || this.codeTyped(p.code.value));
    p.code.addEventListener("paste", (event) => {
      event.preventDefault();
      this.codeTyped(event.clipboardData.getData("text"));
    });
  }

  submitted(event, button, work) {
    event.preventDefault();
    this.run(button, work);
  }

  render() {
    const p = this.parts;
    const kept = this.kept;
    const locale = this.locale();
    const facts = { phone: `\u2066${kept.masked || "+86 138****8000"}\u2069`, attempts: kept.attempts, ...this.problem };
    const texts = { __proto__: null, ...(/^zh\b/i.test(locale) ? CHINESE : ENGLISH), ...this.ownTexts() };
    const say = (name) => String(texts[name] || texts.internal_error).replace(/\{(\w+)\}/g, (_, fact) => facts[fact] ?? "");
    this.say = say;
    for (const [name, form] of Object.entries(p.steps)) {
      form.toggleAttribute("inert", name !== this.step);
      if (!HAS_INERT) form.hidden = name !== this.step;
    }

    const fixed = this.fixedPhone();
    p.phone.readOnly = fixed !== null;
    if (fixed !== null) p.phone.value = fixed;
    p.country.hidden = fixed !== null || this.countries.length < 2;
    p.prefix.hidden = fixed !== null || this.countries.length > 1;
    p.prefix.textContent = `+${this.country().code}`;
    this.nameCountries(locale);
    p.country.setAttribute("aria-label", say("country"));
    p.code.inputMode = kept.isDigits === false ? "text" : "numeric";
    p.code.pattern = `${kept.isDigits === false ? "[0-9A-Za-z]" : "[0-9]"}{${kept.length ?? 6}}`;

    p.phoneLabel.textContent = say("phone");
    p.codeLabel.textContent = say("code");
    p.doneText.textContent = say("done");
    this.hint(p.phone, p.phoneHint, "note");
    this.hint(p.code, p.codeHint, kept.attempts < kept.most ? "attempts" : "arriving");
    for (const name of BUTTONS) {
      p[name].firstChild.textContent = say(name);
      this.count(p[name]);
    }
    this.wasDisabled = this.isDisabled();
    for (const name of ["phone", "country", "code", ...BUTTONS]) p[name].disabled = this.wasDisabled;
    p.change.hidden = p.restart.hidden = fixed !== null;
    this.validate();
  }

  nameCountries(locale) {
    if (this.namedIn === locale) return;
    this.namedIn = locale;
    const nameOf = countryNames(locale);
    [...this.parts.country.options].forEach((option, i) => {
      option.textContent = `${nameOf(this.countries[i].name)} +${this.countries[i].code}`;
    });
  }

  say = () => "";

  hint(input, hint, usual) {
    const wrong = this.problem;
    const isMine = input === (this.step === "code" ? this.parts.code : this.parts.phone);
    const text = this.say(isMine && wrong ? wrong.code : usual);
    if (hint.textContent !== text) hint.textContent = text; // so that screen readers read it once
    const isBad = Boolean(isMine && wrong && wrong.code !== "checking");
    hint.classList.toggle("bad", isBad);
    input.setAttribute("aria-invalid", String(isBad));
  }

  /** Enable or disable *button*, and show when it becomes enabled. */
  count(button) {
    const left = this.left(button);
    button.setAttribute("aria-disabled", String(left > 0 || this.busy === button));
    button.lastChild.textContent = left > 0 && left < Infinity ? clock(left) : "";
  }

  left(button) {
    return Math.max(0, Math.ceil(((this.waits.get(button) ?? 0) - Date.now()) / 1000));
  }

  /** Update the countdowns and handle an expired code or proof; called every quarter of a second. */
  tick() {
    const p = this.parts;
    for (const [button, until] of this.waits) {
      if (until <= Date.now()) {
        this.waits.delete(button);
        p.news.textContent = this.say("ready");
      }
      this.count(button);
    }
    if (this.step === "code" && !this.busy && this.kept.expiresAt <= Date.now()) this.restart(ENDS.expired);
    if (this.proof && this.goodUntil <= Date.now()) this.restart("lapsed"); // the service would refuse it
    if (this.wasDisabled !== this.isDisabled()) this.changed("disabled");
  }

  // ── input ──

  country() {
    return this.countries.find(({ name }) => name === this.parts.country.value) ?? this.countries[0];
  }

  /** Group the digits. A number with a calling code selects its country. */
  phoneTyped() {
    const { phone, country, send } = this.parts;
    if (phone.readOnly || phone.disabled) return;
    const after = fold(phone.value.slice(phone.selectionStart)).replace(/\D/g, "").length;
    const read = readPhone(phone.value, this.country(), this.countries);
    if (read.whole === undefined) {
      country.value = read.country.name;
      this.setPhone(grouped(read.digits, read.country.sizes), after);
    }
    if (phone.value !== this.phoneRead) this.waits.delete(send); // the wait applies to the previous number only
    this.phoneRead = phone.value;
    this.render();
  }

  /** Show *text* with the caret before the last *after* digits. */
  setPhone(text, after) {
    const { phone } = this.parts;
    if (phone.value === text) return;
    phone.value = text;
    let at = text.length;
    for (let seen = 0; seen < after && at > 0; at--) if (/\d/.test(text[at - 1])) seen++;
    phone.setSelectionRange(at, at);
  }

  /** Return the possible numbers, the likeliest first. If digits begin like the calling code, the service decides. */
  numbers() {
    const fixed = this.fixedPhone();
    if (fixed !== null) return [fixed];
    this.phoneTyped();
    const { country, digits, whole } = readPhone(this.parts.phone.value, this.country(), this.countries);
    if (!/\d/.test(whole || digits)) throw { code: "invalid_phone" };
    if (whole) return [whole];
    const national = `+${country.code}${digits}`;
    return digits.startsWith(country.code) ? [national, `+${digits}`] : [national];
  }

  codeTyped(text) {
    const { code, verify } = this.parts;
    if (code.disabled) return;
    const { value, isSure } = readCode(text, this.kept.length, this.kept.isDigits);
    if (code.value !== value) code.value = value;
    this.codeRead = value;
    if (isSure) this.run(verify, () => this.verify());
  }

  /** Read the code from the SMS, if the browser supports it: https://wicg.github.io/web-otp/ */
  async readSms() {
    if (!("OTPCredential" in window)) return;
    this.stopReading();
    this.webOtp = new AbortController();
    try {
      const sms = await navigator.credentials.get({ otp: { transport: ["sms"] }, signal: this.webOtp.signal });
      if (this.step === "code") this.codeTyped(sms.code);
    } catch {
      // Not allowed or aborted: the user types the code.
    }
  }

  stopReading() {
    if (this.webOtp) this.webOtp.abort();
  }

  // ── calls to the service ──

  /** Run one action at a time, and only once however often its button is pressed. */
  async run(button, work) {
    if (this.busy || this.left(button) > 0 || this.isDisabled()) return;
    this.busy = button;
    this.again = this.problem = null;
    this.render();
    try {
      await work();
    } catch (problem) {
      this.failed(problem, button, work);
    }
    this.busy = null;
    this.render();
  }

  failed(problem, button, work) {
    const reported = problem.code && !(problem instanceof Error) ? problem : { code: "internal_error" };
    if (reported !== problem) console.error(problem);
    if (reported.code === "offline") this.again = () => this.run(button, work);
    // The number may have been edited during the call. Then the wait is not for the new one.
    const { phone, country, send } = this.parts;
    const isEdited = button === send && (phone.value !== this.kept.typed || country.value !== this.kept.country);
    if (reported.retry_after && !isEdited) this.waits.set(button, Date.now() + reported.retry_after * 1000);
    if (reported.attempts_left !== undefined) this.keep({ attempts: reported.attempts_left });
    this.tell("otp-problem", { code: reported.code });
    const isOver = OVER.includes(reported.code) || reported.attempts_left === 0;
    if (isOver) return this.restart(reported.attempts_left === 0 ? ENDS.exhausted : reported.code);
    this.problem = { ...reported, attempts: reported.attempts_left };
    const input = this.step === "code" ? this.parts.code : this.parts.phone;
    if (this.hasFocus()) input.focus();
    if (this.step === "code") input.select();
  }

  /** Return where *call* goes: to the service that the page names, else to the one that the module came from. */
  address(call) {
    const service = this.attribute("service");
    return service ? new URL(`${service.replace(/\/+$/, "")}/otp/${call}`, document.baseURI) : new URL(call, MODULE);
  }

  async post(call, body, key) {
    const headers = { authorization: `Bearer ${this.attribute("publishable-key")}`, "content-type": "application/json" };
    if (key) headers["idempotency-key"] = key;
    const timeout = new AbortController();
    const request = new Request(this.address(call), { // an error here is a wrong attribute, not a lost network
      method: "POST", headers, body: JSON.stringify(body), credentials: "omit", keepalive: call === "cancel",
      signal: timeout.signal,
    });
    const timer = setTimeout(() => timeout.abort(), 20_000);
    let response, answer;
    try {
      response = await fetch(request);
      answer = response.status === 204 ? {} : await response.json();
    } catch {
      throw { code: "offline" };
    } finally {
      clearTimeout(timer);
    }
    if (!response.ok) throw { ...answer, code: String(answer.code) };
    return answer;
  }

  /** Request an SMS. A repeated request has the same idempotency key, so a lost response causes no second SMS. */
  async ask(body) {
    const pending = this.kept.pending;
    const isSame = pending && JSON.stringify(pending.body) === JSON.stringify(body);
    const request = isSame ? pending : { body, key: randomKey() };
    const typed = { typed: this.parts.phone.value, country: this.parts.country.value };
    for (let turn = 0; ; turn++) {
      while (this.isDisabled()) await pause(0.25);
      this.keep({ pending: request, ...typed });
      try {
        const answer = await this.post("request", { ...request.body, ...request.solution }, request.key);
        return this.sent(body.phone, answer);
      } catch (problem) {
        if (problem.code === "challenge_required" && problem.challenge && turn < 3) {
          this.problem = { code: "checking" };
          this.render();
          request.solution = { risk_solution: await solve(problem.challenge) };
        } else if (problem.code === "idempotency_in_progress" && turn < 9) {
          await pause(problem.retry_after);
        } else {
          if (problem.code !== "offline") this.keep({ pending: undefined });
          throw problem;
        }
      }
    }
  }

  async send() {
    const numbers = this.numbers();
    if (this.isOpenFor(numbers)) return this.goBack();
    const [phone, other] = numbers;
    const purpose = this.attribute("purpose");
    const ask = (number) => this.ask({ phone: number, ...(purpose && { purpose }), locale: this.locale() });
    try {
      return await ask(phone);
    } catch (problem) {
      if (problem.code !== "invalid_phone" || !other) throw problem;
      return ask(other);
    }
  }

  resend() {
    const { phone, id } = this.kept;
    return this.ask({ phone, verification_id: id, locale: this.locale() });
  }

  sent(phone, answer) {
    const before = this.kept;
    if (before.id !== answer.verification_id) {
      if (before.id) this.end(before);
      this.attempt = {};
    }
    this.problem = null;
    this.keep({
      phone, pending: undefined, id: answer.verification_id, masked: answer.phone_masked, length: answer.code_length,
      isDigits: answer.code_type === "digits", most: answer.attempts_left, isLeft: false,
    });
    this.learn(answer);
    this.show("code");
    this.readSms();
    this.tell("otp-sent", { verification_id: answer.verification_id });
  }

  /** Store the times and counters of a response. */
  learn(answer) {
    const at = (seconds) => (seconds === null ? null : Date.now() + seconds * 1000);
    this.keep({ resendAt: at(answer.resend_in), expiresAt: at(answer.expires_in), attempts: answer.attempts_left });
    this.waits.set(this.parts.resend, this.kept.resendAt ?? Infinity);
  }

  async verify() {
    const { phone, id, length, attempts, isDigits } = this.kept;
    const { value: code, isSure } = readCode(this.parts.code.value, length, isDigits);
    this.parts.code.value = this.codeRead = code;
    if (!isSure) throw { code: "invalid_code" };
    if (code === this.attempt.wrong) throw { code: "wrong_code", attempts_left: attempts };
    if (code !== this.attempt.code) this.attempt = { code, key: randomKey() };
    try {
      this.approved(await this.post("verify", { phone, verification_id: id, code }, this.attempt.key));
    } catch (problem) {
      if (problem.code !== "offline") this.attempt = { wrong: problem.code === "wrong_code" ? code : null };
      throw problem;
    }
  }

  approved({ proof, proof_expires_in, verification_id, purpose }) {
    const masked = this.kept.masked;
    this.forget();
    this.kept = { masked };
    this.goodUntil = Date.now() + proof_expires_in * 1000;
    this.setProof(proof);
    this.show("done");
    this.tell("otp-verified", { proof, proof_expires_in, verification_id, purpose });
  }

  cancel() {
    this.end(this.kept);
    this.restart();
    this.parts.phone.value = "";
    this.tell("otp-canceled", {});
  }

  /** Cancel a verification that is no longer needed. */
  end({ phone, id }) {
    this.post("cancel", { phone, verification_id: id }).catch(() => {}); // otherwise it expires
  }

  async synchronize() {
    if (this.isDisabled()) return; // the element synchronizes when it is enabled
    const { phone, id } = this.kept;
    try {
      const answer = await this.post("status", { phone, verification_id: id });
      if (this.kept.id !== id || this.busy) return;
      if (answer.status in ENDS) return this.restart(ENDS[answer.status]);
      this.learn(answer);
    } catch (problem) {
      if (OVER.includes(problem.code) && this.kept.id === id) this.restart(problem.code);
    }
    this.render();
  }

  // ── steps ──

  /** Show *step*. Move the focus if it is in the element or was lost when one of its buttons was pressed. */
  show(step) {
    const moves = this.hasFocus() || (this.busy && document.activeElement === document.body);
    this.step = step;
    this.parts.code.value = "";
    this.codeRead = "";
    this.render();
    const { phone, code, doneText } = this.parts;
    if (moves) ({ phone, code, done: doneText })[step].focus();
  }

  /** Ask for another number. The pending code stays valid until another one is sent. */
  change() {
    this.stopReading();
    this.keep({ isLeft: true });
    this.problem = null;
    this.show("phone");
  }

  /** Return whether there is a pending code for one of *numbers*. */
  isOpenFor(numbers) {
    const { id, phone, isLeft, expiresAt } = this.kept;
    const plain = (number) => withoutTrunk(number, this.countries);
    return Boolean(id && isLeft && expiresAt > Date.now() && numbers.map(plain).includes(plain(phone)));
  }

  goBack() {
    this.keep({ isLeft: false });
    this.show("code");
    this.readSms();
    this.synchronize();
  }

  restart(problem) {
    this.stopReading();
    this.forget();
    this.kept = {};
    this.attempt = {};
    this.waits.delete(this.parts.resend);
    this.setProof(null);
    this.problem = problem ? { code: problem } : null;
    this.show("phone");
  }

  hasFocus() {
    return Boolean(this.root.activeElement);
  }

  name() {
    return this.attribute("name") || "proof";
  }

  setProof(proof) {
    this.proof = proof;
    this.isHandedOver = false;
    this.field.setProof(this.name(), proof);
  }

  validate() {
    const isLapsed = Boolean(this.problem && this.problem.code === "lapsed");
    const isMissing = !isLapsed && this.host.hasAttribute("required") && !this.proof;
    const message = isLapsed || isMissing ? this.say(isLapsed ? "lapsed" : "required") : "";
    const input = this.parts[this.step === "code" ? "code" : "phone"];
    this.field.setProblem({ valueMissing: isMissing, customError: isLapsed }, message, input);
  }

  tell(name, detail) {
    this.host.dispatchEvent(new CustomEvent(name, { bubbles: true, composed: true, detail }));
  }

  // ── state that survives a reload ──

  takePlace() {
    if (!this.place || PLACES.has(this.place)) {
      const names = ["publishable-key", "purpose", "name", "id"].map((name) => this.host.getAttribute(name));
      let order = 0;
      do this.place = ["otp-verify", ...names, order++].join(" "); while (PLACES.has(this.place));
    }
    PLACES.add(this.place);
  }

  keep(facts) {
    Object.assign(this.kept, facts);
    try {
      sessionStorage.setItem(this.place, JSON.stringify(this.kept));
    } catch {
      // No storage: a reload starts over.
    }
  }

  forget() {
    try {
      sessionStorage.removeItem(this.place);
    } catch {
      // As above.
    }
  }

  restore() {
    let kept;
    try {
      kept = JSON.parse(sessionStorage.getItem(this.place));
    } catch {
      // As above.
    }
    const fixed = this.fixedPhone();
    if (!kept || (fixed !== null && fixed !== kept.phone)) return;
    this.kept = kept;
    const { phone, country } = this.parts;
    country.value = kept.country ?? this.countries[0].name;
    phone.value = kept.typed ?? "";
    if (!kept.id) return;
    this.waits.set(this.parts.resend, kept.resendAt ?? Infinity);
    if (kept.isLeft) return;
    this.show("code");
    this.readSms();
    this.synchronize();
  }

  // ── attributes and languages ──

  /** Return an attribute, or null if it is missing, empty, or what a framework writes for a missing value. */
  attribute(name) {
    const value = (this.host.getAttribute(name) || "").trim();
    return value && !NOTHING.test(value) ? value : null;
  }

  /** Return the countries that the page lists, else those that the service lists. */
  offeredCountries() {
    try {
      return readCountries(this.attribute("countries") || SENDS_TO);
    } catch {
      console.error("otp-verify: countries is ignored: take its texts from @otp-service/widget/countries.");
      return readCountries(SENDS_TO);
    }
  }

  /** Return the number that the page has set, if it is a phone number at all. */
  fixedPhone() {
    const phone = this.attribute("phone");
    return phone !== null && /\d/.test(fold(phone)) ? phone : null;
  }

  /** Warn the page's author about a value with an unexpected meaning. */
  warn(name) {
    const value = this.host.getAttribute(name);
    const isNone = name === "phone" ? value.trim() && this.fixedPhone() === null : NOTHING.test(value) || value === "false";
    if (!isNone) return;
    const isSwitch = name === "required" || name === "disabled";
    const effect = isSwitch ? `means ${name}, as in all of HTML: remove the attribute` : "is ignored: set a value, or remove it";
    console.error(`otp-verify: ${name}="${value}" ${effect}.`);
  }

  locale() {
    const wanted = this.attribute("locale") || this.pageLanguage() || navigator.language;
    try {
      const { baseName } = new Intl.Locale(wanted.replace(/[.@].*/, "").replace(/_/g, "-")); // zh_CN.UTF-8, as in environment variables
      return baseName.length <= 35 ? baseName : "en"; // the service refuses longer ones
    } catch {
      return "en";
    }
  }

  /** Return the language of the nearest ancestor with one, through shadow roots. */
  pageLanguage() {
    for (let node = this.host; node; node = node.getRootNode().host) {
      const found = node.closest("[lang]");
      if (found) return found.lang;
    }
    return "";
  }

  /** Return the custom texts that are not empty. */
  ownTexts() {
    const texts = this.host.texts;
    return Object.fromEntries(Object.entries(texts || {}).filter(([, text]) => text !== null && text !== ""));
  }
}

class OtpVerify extends HTMLElement {
  static formAssociated = true;
  static observedAttributes = ["phone", "locale", "texts", "required", "disabled"];

  #dialog = new Dialog(this);

  connectedCallback() {
    if (Object.prototype.hasOwnProperty.call(this, "texts")) { // set before the module was loaded
      const { texts } = this;
      delete this.texts;
      this.texts = texts;
    }
    this.#dialog.connect();
  }

  disconnectedCallback() {
    this.#dialog.disconnect();
  }

  attributeChangedCallback(name, before, now) {
    if (before !== now) this.#dialog.changed(name);
  }

  formResetCallback() {
    this.#dialog.reset();
  }

  formDisabledCallback() {
    this.#dialog.changed("disabled");
  }

  /** The browser has restored a value of its own; only the current proof counts. */
  formStateRestoreCallback() {
    this.#dialog.setProof(this.#dialog.proof);
  }

  /** Start over, for pages whose server has refused or redeemed the proof. The number stays in the field. */
  restart() {
    if (this.isConnected) this.#dialog.restart();
  }

  /** Custom texts, by the names of those above. Missing ones keep their defaults. */
  get texts() {
    const text = this.getAttribute("texts");
    if (text === null || /^\s*(undefined)?\s*$/.test(text)) return null;
    try {
      return JSON.parse(text);
    } catch (error) {
      console.error("otp-verify: texts must be JSON:", error.message);
      return null;
    }
  }

  set texts(texts) {
    if (texts === undefined || texts === null) this.removeAttribute("texts");
    else this.setAttribute("texts", JSON.stringify(texts));
  }
}

/** The fallback for browsers that cannot run the widget. */
class TooOld extends HTMLElement {
  connectedCallback() {
    if (!this.textContent.trim()) this.append(TOO_OLD);
  }
}

if (window.customElements && !customElements.get("otp-verify")) {
  customElements.define("otp-verify", IS_TOO_OLD ? TooOld : OtpVerify);
}
