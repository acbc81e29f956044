// <otp-verify>: takes a phone number, has a code sent to it, takes the code, and puts the proof into the form.
// One file without dependencies. It talks to the service it was loaded from, and to nobody else.

const SERVICE = new URL(".", import.meta.url);

// Where the service sends to: country, calling code, sizes of a number's groups. The service writes this line.
const SENDS_TO = "CN86:344";

const COUNTRIES = SENDS_TO.split(" ").map((text) => {
  const [, name, code, sizes] = text.match(/(..)(\d+):(\d+)/);
  return { name, code, sizes: Array.from(sizes, Number) };
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
  ready: "You can ask for another SMS now.",
  change: "Change number",
  cancel: "Cancel",
  restart: "Verify another number",
  checking: "Checking your browser. This takes a moment…",
  done: "{phone} is verified.",
  required: "Please verify your phone number.",
  lapsed: "That took too long. Please verify once more.",
  offline: "The service cannot be reached. Check your connection and try again.",
  invalid_phone: "This is not a valid phone number.",
  destination_blocked: "We cannot send to this phone number.",
  destination_rejected: "This phone number takes no SMS from us.",
  challenge_required: "The check of your browser failed. Please try again.",
  cooldown_active: "An SMS was sent a moment ago. Please wait.",
  limit_reached: "Too many requests. Please wait.",
  provider_rate_limited: "Too many SMS to this number. Please wait.",
  provider_unavailable: "The SMS could not be sent. Please try again.",
  provider_misconfigured: "SMS cannot be sent at the moment.",
  store_unavailable: "The service is not available. Please try again.",
  idempotency_in_progress: "This takes longer than usual. Please try again.",
  invalid_code: "This cannot be the code. Please check it.",
  wrong_code: "Wrong code. Attempts left: {attempts}.",
  attempts_exhausted: "Too many wrong codes. Ask for a new one.",
  verification_expired: "The code has expired. Ask for a new one.",
  verification_canceled: "This code was canceled. Ask for a new one.",
  verification_not_found: "This code is no longer valid. Ask for a new one.",
  already_verified: "This code was used already. Ask for a new one.",
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

// How a verification ends, and the problems after which nothing remains but to ask for a new code.
const ENDS = {
  approved: "already_verified",
  canceled: "verification_canceled",
  exhausted: "attempts_exhausted",
  expired: "verification_expired",
};
const OVER = [...Object.values(ENDS), "verification_not_found"];

const BUTTONS = ["send", "verify", "resend", "change", "cancel", "restart"];

const STYLE = new CSSStyleSheet();
STYLE.replaceSync(`
:host {
  --accent: var(--otp-accent, light-dark(#0b57a4, #8cc2ff));
  --on-accent: var(--otp-on-accent, light-dark(#fff, #0d1b2a));
  --ground: var(--otp-ground, light-dark(#fff, #14181d));
  --ink: var(--otp-ink, light-dark(#1b1f24, #edf0f3));
  --soft: var(--otp-soft, light-dark(#545c66, #a9b2bd));
  --line: var(--otp-line, light-dark(#858d98, #79838f));
  --bad: var(--otp-bad, light-dark(#b3261e, #ff9d94));
  --good: var(--otp-good, light-dark(#1a6f47, #6fcf9f));
  --radius: var(--otp-radius, .5rem);
  color: var(--ink);
  display: grid;
  font: var(--otp-font, inherit);
  line-height: 1.4;
  text-align: start;
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
`);

/** Make an element; texts in *children* stay texts. */
function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

const randomKey = () => Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join("");

/** Find the number behind the hash, a slice at a time: the page stays alive. https://altcha.org/docs/ */
async function solve({ algorithm, challenge, maxnumber, salt, signature }) {
  const encoder = new TextEncoder();
  const wanted = BigInt(`0x${challenge.slice(0, 16)}`); // 64 bits: no other number of so few has them
  for (let from = 0; from <= maxnumber; from += 500) {
    const texts = Array.from({ length: 500 }, (_, i) => encoder.encode(salt + (from + i)));
    const hashes = await Promise.all(texts.map((text) => crypto.subtle.digest(algorithm, text)));
    const found = hashes.findIndex((hash) => new DataView(hash).getBigUint64(0) === wanted);
    if (found >= 0) return btoa(JSON.stringify({ algorithm, challenge, number: from + found, salt, signature }));
  }
  throw { code: "challenge_required" };
}

/** Return the code in *text*, which may be `123 456` or a whole SMS; what was typed of it otherwise. */
function codeIn(text, length, isDigits) {
  const plain = text.normalize("NFKC");
  const symbol = isDigits ? "[0-9]" : "[0-9A-Z]";
  for (const between of ["", "[\\s-]?"]) {
    const whole = `(?<![0-9A-Za-z])${symbol}(?:${between}${symbol}){${length - 1}}(?![0-9A-Za-z])`;
    const found = plain.match(new RegExp(whole));
    if (found) return found[0].replace(/[\s-]/g, "");
  }
  return plain.replace(isDigits ? /[^0-9]/g : /[^0-9A-Za-z]/g, "").toUpperCase().slice(0, length);
}

/** Write the digits of a number in the groups that are usual in its country. */
function grouped(digits, sizes) {
  const parts = [];
  let at = 0;
  for (const size of sizes) {
    const more = at === 0 && digits[0] === "0" ? 1 : 0; // the zero that many write before a national number
    parts.push(digits.slice(at, at + size + more));
    at += size + more;
  }
  return parts.filter(Boolean).join(" ") + digits.slice(at);
}

/** Write seconds as a countdown: `0:42`, `1:02:03`. */
function clock(seconds) {
  const parts = [seconds / 3600, (seconds / 60) % 60, seconds % 60].map(Math.floor);
  const [hours, minutes, rest] = parts.map((part) => String(part).padStart(2, "0"));
  return parts[0] ? `${parts[0]}:${minutes}:${rest}` : `${parts[1]}:${rest}`;
}

class OtpVerify extends HTMLElement {
  static formAssociated = true;
  static observedAttributes = ["phone", "locale", "texts", "required"];

  #internals = this.attachInternals();
  #parts; // the elements, by name
  #step = "phone";
  #kept = {}; // what survives a reload: number, id, times; never the code, never the proof
  #problem = null; // what is wrong, and its facts
  #busy = null; // the button that is at work
  #waits = new Map(); // button → when it may be pressed again
  #attempt = {}; // the code that was submitted last, and its idempotency key
  #again = null; // what to do when the network is back
  #proof = null;
  #goodUntil;
  #timer;
  #webOtp;

  // ── life ──

  connectedCallback() {
    if (!this.#parts) this.#build();
    if (Object.hasOwn(this, "texts")) { // set before the module was there
      const { texts } = this;
      delete this.texts;
      this.texts = texts;
    }
    this.#timer = setInterval(() => this.#tick(), 250);
    addEventListener("online", this.#online);
    addEventListener("pageshow", this.#shown);
    this.#restore();
    this.#render();
  }

  disconnectedCallback() {
    clearInterval(this.#timer);
    removeEventListener("online", this.#online);
    removeEventListener("pageshow", this.#shown);
    this.#webOtp?.abort();
  }

  attributeChangedCallback(name, before, now) {
    if (!this.#parts || before === now) return;
    if (name === "phone") this.#restart();
    this.#render();
  }

  formResetCallback() {
    this.#restart();
  }

  formDisabledCallback() {
    if (this.#parts) this.#render();
  }

  #online = () => this.#again?.();

  #shown = (event) => {
    if (event.persisted && this.#step === "code") this.#synchronize();
  };

  // ── what is on the screen ──

  #build() {
    const part = (tag, name, attributes, ...children) => h(tag, { part: name, ...attributes }, ...children);
    const button = (name, type, kind) =>
      part("button", `button ${name}`, { type, class: kind }, h("span"), " ", h("time"));
    const options = COUNTRIES.map(({ name }) => h("option", { value: name }));
    const hint = (id) => part("p", "hint", { id, class: "hint", "aria-live": "polite" });
    const p = (this.#parts = {
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
    const root = this.attachShadow({ mode: "open", delegatesFocus: true });
    root.adoptedStyleSheets = [STYLE];
    root.append(...Object.values(p.steps), p.news);
    this.#listen();
  }

  #listen() {
    const p = this.#parts;
    const press = (button, work) => button.addEventListener("click", () => this.#run(button, work));
    p.steps.phone.addEventListener("submit", (event) => this.#submitted(event, p.send, () => this.#send()));
    p.steps.code.addEventListener("submit", (event) => this.#submitted(event, p.verify, () => this.#verify()));
    press(p.resend, () => this.#resend());
    press(p.change, () => this.#leave());
    press(p.cancel, () => this.#cancel());
    press(p.restart, () => this.#restart());
    p.phone.addEventListener("input", (event) => event.isComposing || this.#phoneTyped());
    p.country.addEventListener("change", () => this.#phoneTyped());
    p.code.addEventListener("input", (event) => event.isComposing || this.#codeTyped(p.code.value));
    p.code.addEventListener("paste", (event) => {
      event.preventDefault();
      this.#codeTyped(event.clipboardData.getData("text"));
    });
  }

  #submitted(event, button, work) {
    event.preventDefault();
    this.#run(button, work);
  }

  #render() {
    const p = this.#parts;
    const kept = this.#kept;
    const chinese = /^zh\b/i.test(this.#locale());
    const facts = { phone: `\u2066${kept.masked ?? "+86 138****8000"}\u2069`, attempts: kept.attempts, ...this.#problem };
    const texts = { __proto__: null, ...(chinese ? CHINESE : ENGLISH), ...this.texts };
    const say = (name) => String(texts[name] ?? texts.internal_error).replace(/\{(\w+)\}/g, (_, fact) => facts[fact] ?? "");
    this.#say = say;
    for (const [name, form] of Object.entries(p.steps)) form.inert = name !== this.#step;

    const isFixed = this.hasAttribute("phone");
    p.phone.readOnly = isFixed;
    if (isFixed) p.phone.value = this.getAttribute("phone");
    p.country.hidden = isFixed || COUNTRIES.length < 2;
    p.prefix.hidden = isFixed || COUNTRIES.length > 1;
    p.prefix.textContent = `+${this.#country().code}`;
    const names = new Intl.DisplayNames([this.#locale(), "en"], { type: "region" });
    [...p.country.options].forEach((option, i) => {
      option.textContent = `${names.of(COUNTRIES[i].name)} +${COUNTRIES[i].code}`;
    });
    p.country.setAttribute("aria-label", say("country"));
    p.code.inputMode = kept.isDigits === false ? "text" : "numeric";
    p.code.pattern = `${kept.isDigits === false ? "[0-9A-Za-z]" : "[0-9]"}{${kept.length ?? 6}}`;

    p.phoneLabel.textContent = say("phone");
    p.codeLabel.textContent = say("code");
    p.doneText.textContent = say("done");
    this.#hint(p.phone, p.phoneHint, "note");
    this.#hint(p.code, p.codeHint, kept.attempts < kept.most ? "attempts" : "arriving");
    for (const name of BUTTONS) {
      p[name].firstChild.textContent = say(name);
      this.#count(p[name]);
    }
    p.send.disabled = p.verify.disabled = this.matches(":disabled");
    p.change.hidden = p.restart.hidden = isFixed;
    this.#validate();
  }

  #say = () => "";

  #hint(input, hint, usual) {
    const wrong = this.#problem;
    const isMine = input === (this.#step === "code" ? this.#parts.code : this.#parts.phone);
    const text = this.#say(isMine && wrong ? wrong.code : usual);
    if (hint.textContent !== text) hint.textContent = text; // said once
    const isBad = Boolean(isMine && wrong && wrong.code !== "checking");
    hint.classList.toggle("bad", isBad);
    input.setAttribute("aria-invalid", String(isBad));
  }

  /** Show whether *button* may be pressed, and if not yet, when. */
  #count(button) {
    const left = this.#left(button);
    button.setAttribute("aria-disabled", String(left > 0 || this.#busy === button));
    button.lastChild.textContent = left > 0 && left < Infinity ? clock(left) : "";
  }

  #left(button) {
    return Math.max(0, Math.ceil(((this.#waits.get(button) ?? 0) - Date.now()) / 1000));
  }

  /** Every quarter of a second: the countdowns, and the end of a code's life and of a proof's. */
  #tick() {
    const p = this.#parts;
    for (const [button, until] of this.#waits) {
      if (until <= Date.now()) {
        this.#waits.delete(button);
        p.news.textContent = this.#say("ready");
      }
      this.#count(button);
    }
    if (this.#step === "code" && !this.#busy && this.#kept.expiresAt <= Date.now()) this.#restart(ENDS.expired);
    if (this.#proof && this.#goodUntil <= Date.now()) this.#restart("lapsed"); // nobody would take it
  }

  // ── what was typed ──

  #country() {
    return COUNTRIES.find(({ name }) => name === this.#parts.country.value) ?? COUNTRIES[0];
  }

  /** Group the digits; a number that names its country selects it. */
  #phoneTyped() {
    const { phone, country } = this.#parts;
    const typed = phone.value.normalize("NFKC");
    const isWhole = /^\s*(\+|00)/.test(typed);
    let digits = typed.replace(/\D/g, "").replace(isWhole ? /^00/ : /^$/, "");
    if (isWhole) {
      const named = [this.#country(), ...COUNTRIES].find(({ code }) => digits.startsWith(code));
      if (!named) return; // not yet typed, or not one of ours: the service will say so
      country.value = named.name;
      digits = digits.slice(named.code.length);
    }
    const after = typed.slice(phone.selectionStart).replace(/\D/g, "").length;
    phone.value = grouped(digits, this.#country().sizes);
    let at = phone.value.length;
    for (let seen = 0; seen < after; at--) if (/\d/.test(phone.value[at - 1])) seen++;
    phone.setSelectionRange(at, at);
    this.#render();
  }

  #number() {
    const typed = this.#parts.phone.value.trim();
    if (this.hasAttribute("phone") || typed.startsWith("+")) return typed;
    return `+${this.#country().code}${typed.replace(/\D/g, "")}`;
  }

  #codeTyped(text) {
    const { code, verify } = this.#parts;
    code.value = codeIn(text, this.#kept.length, this.#kept.isDigits);
    if (code.value.length === this.#kept.length) this.#run(verify, () => this.#verify());
  }

  /** Take the code out of the SMS, where the browser can: https://wicg.github.io/web-otp/ */
  async #readSms() {
    if (!("OTPCredential" in window)) return;
    this.#webOtp?.abort();
    this.#webOtp = new AbortController();
    try {
      const sms = await navigator.credentials.get({ otp: { transport: ["sms"] }, signal: this.#webOtp.signal });
      if (this.#step === "code") this.#codeTyped(sms.code);
    } catch {
      // Not allowed, or no longer wanted: the person types.
    }
  }

  // ── what is asked of the service ──

  /** Do one thing at a time, and once however often it is pressed. */
  async #run(button, work) {
    if (this.#busy || this.#left(button) > 0) return;
    this.#busy = button;
    this.#again = this.#problem = null;
    this.#render();
    try {
      await work();
    } catch (problem) {
      this.#failed(problem, button, work);
    }
    this.#busy = null;
    this.#render();
  }

  #failed(problem, button, work) {
    const told = problem.code ? problem : { code: "internal_error" };
    if (!problem.code) console.error(problem);
    if (told.code === "offline") this.#again = () => this.#run(button, work);
    if (told.retry_after) this.#waits.set(button, Date.now() + told.retry_after * 1000);
    if (told.attempts_left !== undefined) this.#keep({ attempts: told.attempts_left });
    this.#tell("otp-problem", { code: told.code });
    const isOver = OVER.includes(told.code) || told.attempts_left === 0;
    if (isOver) return this.#restart(told.attempts_left === 0 ? ENDS.exhausted : told.code);
    this.#problem = { ...told, attempts: told.attempts_left };
    const input = this.#step === "code" ? this.#parts.code : this.#parts.phone;
    if (this.#hasFocus()) input.focus();
    if (this.#step === "code") input.select();
  }

  async #post(call, body, key) {
    const headers = { authorization: `Bearer ${this.getAttribute("publishable-key")}`, "content-type": "application/json" };
    if (key) headers["idempotency-key"] = key;
    let response, answer;
    try {
      response = await fetch(new URL(call, SERVICE), {
        method: "POST", headers, body: JSON.stringify(body), credentials: "omit", keepalive: call === "cancel",
        signal: AbortSignal.timeout(20_000),
      });
      answer = response.status === 204 ? {} : await response.json();
    } catch {
      throw { code: "offline" };
    }
    if (!response.ok) throw { ...answer, code: String(answer.code) };
    return answer;
  }

  /** Ask for an SMS. The same wish keeps its key until it is answered: a lost answer sends no second SMS. */
  async #ask(body) {
    const pending = this.#kept.pending;
    const isSame = pending && JSON.stringify(pending.body) === JSON.stringify(body);
    const wish = isSame ? pending : { body, key: randomKey() };
    for (let turn = 0; ; turn++) {
      this.#keep({ pending: wish, typed: this.#parts.phone.value, country: this.#parts.country.value });
      try {
        const answer = await this.#post("request", { ...wish.body, ...wish.solution }, wish.key);
        return this.#sent(body.phone, answer);
      } catch (problem) {
        if (problem.code === "challenge_required" && problem.challenge && turn < 3) {
          this.#problem = { code: "checking" };
          this.#render();
          wish.solution = { risk_solution: await solve(problem.challenge) };
        } else if (problem.code === "idempotency_in_progress" && turn < 9) {
          await pause(problem.retry_after);
        } else {
          if (problem.code !== "offline") this.#keep({ pending: undefined });
          throw problem;
        }
      }
    }
  }

  #send() {
    const purpose = this.getAttribute("purpose");
    return this.#ask({ phone: this.#number(), ...(purpose && { purpose }), ...this.#language() });
  }

  #resend() {
    const { phone, id } = this.#kept;
    return this.#ask({ phone, verification_id: id, ...this.#language() });
  }

  #sent(phone, answer) {
    this.#problem = null;
    this.#keep({
      phone, pending: undefined, id: answer.verification_id, masked: answer.phone_masked, length: answer.code_length,
      isDigits: answer.code_type === "digits", most: answer.attempts_left,
    });
    this.#learn(answer);
    this.#show("code");
    this.#readSms();
    this.#tell("otp-sent", { verification_id: answer.verification_id });
  }

  /** Take over what changes: times and counters. */
  #learn(answer) {
    const at = (seconds) => (seconds === null ? null : Date.now() + seconds * 1000);
    this.#keep({ resendAt: at(answer.resend_in), expiresAt: at(answer.expires_in), attempts: answer.attempts_left });
    this.#waits.set(this.#parts.resend, this.#kept.resendAt ?? Infinity);
  }

  async #verify() {
    const code = this.#parts.code.value;
    const { phone, id, length, attempts } = this.#kept;
    if (code.length !== length) throw { code: "invalid_code" };
    if (code === this.#attempt.wrong) throw { code: "wrong_code", attempts_left: attempts };
    if (code !== this.#attempt.code) this.#attempt = { code, key: randomKey() };
    try {
      this.#approved(await this.#post("verify", { phone, verification_id: id, code }, this.#attempt.key));
    } catch (problem) {
      if (problem.code !== "offline") this.#attempt = { wrong: problem.code === "wrong_code" ? code : null };
      throw problem;
    }
  }

  #approved({ proof, proof_expires_in, verification_id, purpose }) {
    const masked = this.#kept.masked;
    this.#forget();
    this.#kept = { masked };
    this.#setProof(proof);
    this.#goodUntil = Date.now() + proof_expires_in * 1000;
    this.#show("done");
    this.#tell("otp-verified", { proof, proof_expires_in, verification_id, purpose });
  }

  #cancel() {
    this.#leave();
    this.#parts.phone.value = "";
    this.#tell("otp-canceled", {});
  }

  #leave() {
    const { phone, id } = this.#kept;
    this.#post("cancel", { phone, verification_id: id }).catch(() => {}); // it ends by itself, too
    this.#restart();
  }

  async #synchronize() {
    const { phone, id } = this.#kept;
    try {
      const answer = await this.#post("status", { phone, verification_id: id });
      if (this.#kept.id !== id || this.#busy) return;
      if (answer.status in ENDS) return this.#restart(ENDS[answer.status]);
      this.#learn(answer);
    } catch (problem) {
      if (OVER.includes(problem.code) && this.#kept.id === id) this.#restart(problem.code);
    }
    this.#render();
  }

  // ── from step to step ──

  /** Show *step*; the focus goes along if it is here, or got lost at the press of a button of ours. */
  #show(step) {
    const moves = this.#hasFocus() || (this.#busy && document.activeElement === document.body);
    this.#step = step;
    this.#parts.code.value = "";
    this.#render();
    const { phone, code, doneText } = this.#parts;
    if (moves) ({ phone, code, done: doneText })[step].focus();
  }

  #restart(problem) {
    this.#webOtp?.abort();
    this.#forget();
    this.#kept = {};
    this.#attempt = {};
    this.#waits.delete(this.#parts.resend);
    this.#setProof(null);
    this.#problem = problem ? { code: problem } : null;
    this.#show("phone");
  }

  #hasFocus() {
    return Boolean(this.shadowRoot.activeElement);
  }

  #setProof(proof) {
    this.#proof = proof;
    const form = new FormData();
    form.append(this.getAttribute("name") || "proof", proof);
    this.#internals.setFormValue(proof && form, "");
  }

  #validate() {
    const valueMissing = this.hasAttribute("required") && !this.#proof;
    const input = this.#parts[this.#step === "code" ? "code" : "phone"];
    this.#internals.setValidity({ valueMissing }, valueMissing ? this.#say("required") : "", input);
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { bubbles: true, detail }));
  }

  // ── what survives a reload ──

  #place() {
    return ["otp-verify", ...["publishable-key", "purpose", "name"].map((name) => this.getAttribute(name))].join(" ");
  }

  #keep(facts) {
    Object.assign(this.#kept, facts);
    try {
      sessionStorage.setItem(this.#place(), JSON.stringify(this.#kept));
    } catch {
      // No storage: a reload begins anew.
    }
  }

  #forget() {
    try {
      sessionStorage.removeItem(this.#place());
    } catch {
      // As above.
    }
  }

  #restore() {
    let kept;
    try {
      kept = JSON.parse(sessionStorage.getItem(this.#place()));
    } catch {
      // As above.
    }
    const isOther = this.hasAttribute("phone") && this.getAttribute("phone") !== kept?.phone;
    if (!kept || isOther || this.#kept.id) return;
    this.#kept = kept;
    const { phone, country } = this.#parts;
    country.value = kept.country ?? COUNTRIES[0].name;
    phone.value = kept.typed ?? "";
    if (!kept.id) return;
    this.#waits.set(this.#parts.resend, kept.resendAt ?? Infinity);
    this.#show("code");
    this.#readSms();
    this.#synchronize();
  }

  // ── languages ──

  #locale() {
    const wanted = this.getAttribute("locale") || this.closest("[lang]")?.lang || navigator.language;
    try {
      const { baseName } = new Intl.Locale(wanted);
      return baseName.length <= 35 ? baseName : "en"; // longer ones the service does not take
    } catch {
      return "en";
    }
  }

  #language() {
    return { locale: this.#locale() };
  }

  /** Texts of one's own, by the names of those above; those that are missing stay as they are. */
  get texts() {
    try {
      return JSON.parse(this.getAttribute("texts"));
    } catch (error) {
      console.error("otp-verify: texts must be JSON:", error.message);
      return null;
    }
  }

  set texts(texts) {
    this.setAttribute("texts", JSON.stringify(texts));
  }
}

if (!customElements.get("otp-verify")) customElements.define("otp-verify", OtpVerify);
