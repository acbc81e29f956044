// The transport: sends one POST to the service through node:http and reads the response.
//
// node:http rather than fetch: it never sends a request twice, follows no redirect, uses no proxy of the
// environment, and tells whether a connection came about. What it says of a failure can hold the address,
// so none of its errors leaves this file, not even as the cause of ours: only its code.

import { randomBytes } from "node:crypto";
import http from "node:http";
import https from "node:https";

import { OutcomeUnknown, ServiceUnreachable, UnexpectedAnswer } from "./errors.js";
import { fromProblem } from "./problems.js";

const CONNECT_TIMEOUT_MS = 3000; // so that a connection that cannot come about leaves time for another

const OUR_IDS = "otpc_"; // how the ids that this client gives to its calls begin

const BASE_URL = /^https?:\/\/[^\s/?#@\\]+(\/[^\s?#]*)?$/;
const KEY = /^[!-~]+$/;

export class Transport {
  #agent;
  #secretKey;
  #timeoutMs;

  constructor(baseUrl, secretKey, { timeoutMs, agent }) {
    if (!BASE_URL.test(baseUrl)) {
      throw new TypeError("baseUrl must be like https://otp.example.com, without query or credentials");
    }
    if (!canBeSentTo(baseUrl)) throw new TypeError("baseUrl has a host or a port that nothing can be sent to");
    if (!KEY.test(secretKey ?? "")) throw new TypeError("secretKey must be printable ASCII without spaces");
    this.baseUrl = baseUrl.replace(/\/+$/, "");
    this.#secretKey = secretKey;
    this.#timeoutMs = timeoutMs;
    this.#agent = agent ?? new (this.#library().Agent)({ keepAlive: true });
  }

  close() {
    this.#agent.destroy();
  }

  // Send *body* once and return what *read* makes of a good answer that *fits* the call.
  async post(path, body, read, headers, fits) {
    const requestId = newRequestId();
    const sent = { ...headers, "X-Request-Id": requestId };
    const { status, text, told } = await this.#send(path, JSON.stringify(body), sent);
    if (isOfAnotherCall(told, requestId)) throw this.#mixedUp();
    const answer = jsonObject(text);
    if (status < 200 || status >= 300) throw refusal(status, answer);
    const good = value(answer, read);
    if (!fits(good)) throw this.#mixedUp();
    return good;
  }

  // Give up the idle connections, on which answers have got out of step with requests.
  #mixedUp() {
    for (const socket of Object.values(this.#agent.freeSockets ?? {}).flat()) socket.destroy();
    return new OutcomeUnknown("answer to another call");
  }

  #send(path, text, headers) {
    return new Promise((resolve, reject) => {
      const request = this.#library().request(this.baseUrl + path, {
        method: "POST",
        agent: this.#agent,
        headers: {
          Authorization: `Bearer ${this.#secretKey}`,
          "Content-Type": "application/json",
          Accept: "application/json, application/problem+json",
          "Content-Length": Buffer.byteLength(text),
          "User-Agent": "otp_service-client-js/0.1.0",
          ...headers,
        },
      });
      let connected = false;
      const fail = (cause) => {
        timers.forEach(clearTimeout);
        request.destroy();
        reject(connected ? new OutcomeUnknown(cause) : new ServiceUnreachable(cause));
      };
      const timers = [
        setTimeout(() => fail("timeout"), this.#timeoutMs),
        setTimeout(() => connected || fail("connect timeout"), Math.min(this.#timeoutMs, CONNECT_TIMEOUT_MS)),
      ];
      const done = (answer) => {
        timers.forEach(clearTimeout);
        resolve(answer);
      };
      request.on("error", (error) => fail(named(error)));
      request.on("socket", (socket) => whenConnected(socket, () => (connected = true)));
      request.on("response", (response) => collect(response).then(done, (error) => fail(named(error))));
      request.end(text);
    });
  }

  #library() {
    return this.baseUrl.startsWith("https:") ? https : http;
  }
}

function canBeSentTo(baseUrl) {
  try {
    const { hostname, port } = new URL(baseUrl);
    const labels = hostname.replace(/\.$/, "").split("."); // a name may end with a dot: it is complete then
    return port !== "0" && labels.every((label) => label !== "" && label.length < 64);
  } catch {
    return false;
  }
}

// An id that no other call has, in letters that the service takes for one.
function newRequestId() {
  return OUR_IDS + randomBytes(16).toString("hex").replace(/\d/g, (digit) => "ghijklmnop"[digit]);
}

// A proxy may have put an id of its own in its place, which says nothing.
function isOfAnotherCall(told, requestId) {
  return told.startsWith(OUR_IDS) && told !== requestId;
}

// Before that no byte of the request was sent; over TLS not before the other's certificate was found good.
// A socket that was used before, or comes connected from an agent of the caller's, may take bytes at once.
function whenConnected(socket, then) {
  const isWaiting = socket.connecting || socket.getProtocol?.() === "unknown";
  if (isWaiting) socket.once(socket.encrypted ? "secureConnect" : "connect", then);
  else then();
}

async function collect(response) {
  const chunks = [];
  for await (const chunk of response) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString("utf8");
  return { status: response.statusCode, text, told: response.headers["x-request-id"] ?? "" };
}

function named(error) {
  return /^[A-Z0-9_]+$/.test(error?.code ?? "") ? error.code : "failure";
}

function jsonObject(text) {
  if (text === "") return {};
  try {
    const answer = JSON.parse(text);
    return typeof answer === "object" && answer !== null && !Array.isArray(answer) ? answer : undefined;
  } catch {
    return undefined;
  }
}

function value(answer, read) {
  try {
    return read(answer);
  } catch {
    throw new OutcomeUnknown("unreadable answer"); // what could not be read may hold a proof
  }
}

function refusal(status, answer) {
  if (typeof answer?.code === "string") return fromProblem(status, answer);
  if (status >= 500) return new OutcomeUnknown(`HTTP status ${status}`); // it may have passed the request on
  return new UnexpectedAnswer(status);
}
