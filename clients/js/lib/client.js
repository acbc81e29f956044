// OtpClient: the calls of the service, for a server that holds a secret key.
//
// No call is made twice once its bytes may have left: an SMS costs money, an attempt is used up, a proof is
// redeemed once. Only what never arrived, and what can be repeated, is tried again, once: `status`, which
// changes nothing, and every call under an idempotency key.

import { setTimeout as pause } from "node:timers/promises";

import { Approved, Redeemed, Sent, VerificationStatus } from "./answers.js";
import { OutcomeUnknown, ServiceUnreachable } from "./errors.js";
import { Transport } from "./transport.js";

const TIMEOUT_MS = 8000; // the service answers within 6 s
const RETRY_PAUSE_MS = 200; // about what a restarting worker needs to listen again

const NEVER_SENT = [ServiceUnreachable];
const REPEATABLE = [ServiceUnreachable, OutcomeUnknown];

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
    const { purpose, locale, clientIp, riskSolution, idempotencyKey } = known(options, [
      "purpose", "locale", "clientIp", "riskSolution", "idempotencyKey",
    ]);
    const body = { phone, purpose, locale, client_ip: clientIp, risk_solution: riskSolution };
    return this.#once("/otp/request", body, Sent, idempotencyKey);
  }

  async resend(phone, verificationId, options = {}) {
    const { locale, clientIp, riskSolution, idempotencyKey } = known(options, [
      "locale", "clientIp", "riskSolution", "idempotencyKey",
    ]);
    const verification_id = given(verificationId, "verificationId");
    const body = { phone, verification_id, locale, client_ip: clientIp, risk_solution: riskSolution };
    return this.#once("/otp/request", body, Sent, idempotencyKey);
  }

  async verify(phone, verificationId, code, options = {}) {
    const { clientIp, idempotencyKey } = known(options, ["clientIp", "idempotencyKey"]);
    const body = { phone, verification_id: verificationId, code, client_ip: clientIp };
    return this.#once("/otp/verify", body, Approved, idempotencyKey);
  }

  async redeem(proof, options = {}) {
    const { purpose, allowTest, idempotencyKey } = known(options, ["purpose", "allowTest", "idempotencyKey"]);
    return this.#once("/otp/redeem", { proof, purpose, allow_test: allowTest }, Redeemed, idempotencyKey);
  }

  async status(phone, verificationId) {
    const body = { phone, verification_id: verificationId };
    return this.#post("/otp/status", body, VerificationStatus, REPEATABLE, {});
  }

  async cancel(phone, verificationId) {
    await this.#once("/otp/cancel", { phone, verification_id: verificationId });
  }

  async unlock(phone) {
    await this.#once("/otp/unlock", { phone });
  }

  #once(path, body, Answer, key) {
    if (key === undefined) return this.#post(path, body, Answer, NEVER_SENT, {});
    return this.#post(path, body, Answer, REPEATABLE, { "Idempotency-Key": key });
  }

  async #post(path, body, Answer, again, headers) {
    const read = (answer) => (Answer ? new Answer(answer) : undefined);
    try {
      return await this.#transport.post(path, body, read, headers);
    } catch (error) {
      if (!again.some((kind) => error instanceof kind)) throw error;
    }
    await pause(RETRY_PAUSE_MS);
    return this.#transport.post(path, body, read, headers);
  }
}

// A misspelt `client_ip` would silently be no address, and no limit per address.
function known(options, names) {
  const stranger = Object.keys(options).find((name) => !names.includes(name));
  if (stranger !== undefined) throw new TypeError(`there is no such option: ${stranger}`);
  return options;
}

// Without its id a resend would be a new request, and another SMS with another code.
function given(value, name) {
  if (typeof value !== "string") throw new TypeError(`${name} must be a string`);
  return value;
}
