// OtpClient: the calls of the service, for a server with a secret key.
//
// A call is not repeated once the request may have been sent: an SMS costs money, an attempt is used up, and a
// proof can be redeemed only once. The client retries once if the request was certainly not sent, or if the call
// can be repeated safely: `status`, which changes nothing, and every call with an idempotency key.

import { setTimeout as pause } from "node:timers/promises";

import { Approved, Redeemed, Sent, VerificationStatus } from "./answers.js";
import { always, forPurpose, ofProof, ofVerification } from "./checks.js";
import { OutcomeUnknown, ServiceUnreachable } from "./errors.js";
import { Transport } from "./transport.js";

const TIMEOUT_MS = 8000; // the service answers within 6 s
const RETRY_PAUSE_MS = 200; // about the time that a worker needs to restart

const IDEMPOTENCY_KEY = /^[!-~](?:[ -~]{0,253}[!-~])?$/;

const NEVER_SENT = [ServiceUnreachable];
const REPEATABLE = [ServiceUnreachable, OutcomeUnknown];

// The options of calls that send an SMS.
const SENDING = ["locale", "clientIp", "riskSolution", "knownPhone", "knownDevice", "acceptsChallenge"];

function sending({ locale, clientIp, riskSolution, knownPhone, knownDevice, acceptsChallenge }) {
  return {
    locale,
    client_ip: clientIp,
    risk_solution: riskSolution,
    known_phone: knownPhone,
    known_device: knownDevice,
    accepts_challenge: acceptsChallenge,
  };
}

export class OtpClient {
  #transport;

  constructor(baseUrl, secretKey, options = {}) {
    const { timeoutMs = TIMEOUT_MS, agent } = known(options, ["timeoutMs", "agent"]);
    this.#transport = new Transport(baseUrl, secretKey, { timeoutMs, agent });
  }

  get baseUrl() {
    return this.#transport.baseUrl;
  }

  close() {
    this.#transport.close();
  }

  async request(phone, options = {}) {
    const { purpose, idempotencyKey } = known(options, ["purpose", "idempotencyKey", ...SENDING]);
    const body = { phone, purpose, ...sending(options) };
    return this.#once("/otp/request", body, Sent, { key: idempotencyKey, fits: forPurpose(purpose) });
  }

  async resend(phone, verificationId, options = {}) {
    const { idempotencyKey } = known(options, ["idempotencyKey", ...SENDING]);
    const verification_id = given(verificationId, "verificationId");
    const body = { phone, verification_id, ...sending(options) };
    const fits = ofVerification(verification_id);
    return this.#once("/otp/request", body, Sent, { key: idempotencyKey, fits });
  }

  async verify(phone, verificationId, code, options = {}) {
    const { clientIp, idempotencyKey } = known(options, ["clientIp", "idempotencyKey"]);
    const body = { phone, verification_id: verificationId, code, client_ip: clientIp };
    const fits = ofVerification(verificationId);
    return this.#once("/otp/verify", body, Approved, { key: idempotencyKey, fits });
  }

  async redeem(proof, options = {}) {
    const { purpose, allowTest, idempotencyKey } = known(options, ["purpose", "allowTest", "idempotencyKey"]);
    const body = { proof, purpose, allow_test: allowTest };
    const fits = ofProof(proof, purpose);
    return this.#once("/otp/redeem", body, Redeemed, { key: idempotencyKey, fits });
  }

  async status(phone, verificationId) {
    const body = { phone, verification_id: verificationId };
    const fits = ofVerification(verificationId);
    return this.#post("/otp/status", body, VerificationStatus, { again: REPEATABLE, headers: {}, fits });
  }

  async cancel(phone, verificationId) {
    await this.#once("/otp/cancel", { phone, verification_id: verificationId });
  }

  async unlock(phone) {
    await this.#once("/otp/unlock", { phone });
  }

  #once(path, body, Answer, { key, fits = always } = {}) {
    if (key !== undefined && !(typeof key === "string" && IDEMPOTENCY_KEY.test(key))) {
      throw new TypeError("idempotencyKey must be 1 to 255 printable ASCII characters");
    }
    const again = key === undefined ? NEVER_SENT : REPEATABLE;
    const headers = key === undefined ? {} : { "Idempotency-Key": key };
    return this.#post(path, body, Answer, { again, headers, fits });
  }

  async #post(path, body, Answer, { again, headers, fits }) {
    const read = (answer) => (Answer ? new Answer(answer) : undefined);
    try {
      return await this.#transport.post(path, body, read, headers, fits);
    } catch (error) {
      if (!again.some((kind) => error instanceof kind)) throw error;
    }
    await pause(RETRY_PAUSE_MS);
    return this.#transport.post(path, body, read, headers, fits);
  }
}

// Without this check, a misspelled `clientIp` would be ignored, and the limits per address would not apply.
function known(options, names) {
  const unknown = Object.keys(options).find((name) => !names.includes(name));
  if (unknown !== undefined) throw new TypeError(`unknown option: ${unknown}`);
  return options;
}

// Without the id, a resend would be a new request that sends another code.
function given(value, name) {
  if (typeof value !== "string") throw new TypeError(`${name} must be a string`);
  return value;
}
