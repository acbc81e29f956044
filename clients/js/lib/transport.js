// The transport: sends one POST to the service through node:http and reads the response.
//
// It uses node:http, not fetch: node:http never sends a request twice, follows no redirects, ignores proxies in
// the environment, and shows whether a connection was established. Its errors can contain the address, so they do
// not leave this file, not even as the cause of another error: only their codes do.

import { randomBytes } from "node:crypto";
import http from "node:http";
import https from "node:https";

import { OutcomeUnknown, ServiceUnreachable, UnexpectedAnswer } from "./errors.js";
import { fromProblem } from "./problems.js";

const CONNECT_TIMEOUT_MS = 3000; // leaves time for another attempt

const MAX_RESPONSE_BYTES = 1_000_000; // the service's responses have a few kilobytes

const OUR_IDS = "otpc_"; // prefix of the request ids of this client

const BASE_URL = /^https?:\/\/[^\s/?#@\\]+(\/[^\s?#]*)?$/;
const KEY = /^[!-~]+$/;

export class Transport {
  #agent;
  #secretKey;
  #timeoutMs;

  constructor(baseUrl, secretKey, { timeoutMs, agent }) {
    if (!BASE_URL.test(baseUrl)) {
      throw new TypeError("baseUrl must look like https://otp.example.com, without a query or credentials");
    }
    if (!canBeSentTo(baseUrl)) throw new TypeError("baseUrl has an invalid host or port");
    if (!KEY.test(secretKey ?? "")) throw new TypeError("secretKey must be printable ASCII without spaces");
    this.baseUrl = baseUrl.replace(/\/+$/, "");
    this.#secretKey = secretKey;
    this.#timeoutMs = timeoutMs;
    this.#agent = agent ?? new (this.#library().Agent)({ keepAlive: true });
  }

  close() {
    this.#agent.destroy();
  }

  // Send *body* once. Return a successful answer, converted by *read*, that *fits* the call.
  async post(path, body, read, headers, fits) {
    const requestId = newRequestId();
    const sent = { ...headers, "X-Request-Id": requestId };
    const { status, text, receivedId } = await this.#send(path, JSON.stringify(body), sent);
    if (isOfAnotherCall(receivedId, requestId)) throw this.#mixedUp();
    const answer = jsonObject(text);
    if (status < 200 || status >= 300) throw refusal(status, answer);
    const good = value(answer, read);
    if (!fits(good)) throw this.#mixedUp();
    return good;
  }

  // Close the idle connections, on which requests and answers may be out of step.
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
    const labels = hostname.replace(/\.$/, "").split("."); // a fully qualified name may end with a dot
    return port !== "0" && labels.every((label) => label !== "" && label.length < 64);
  } catch {
    return false;
  }
}

// A unique id in a format that the service accepts.
function newRequestId() {
  return OUR_IDS + randomBytes(16).toString("hex").replace(/\d/g, (digit) => "ghijklmnop"[digit]);
}

// A proxy may have replaced the id with its own, which is ignored.
function isOfAnotherCall(receivedId, requestId) {
  return receivedId.startsWith(OUR_IDS) && receivedId !== requestId;
}

// Before a connection is established, no byte of the request was sent; over TLS, not before the certificate was
// verified. A socket that was used before, or that the caller's agent has connected, accepts bytes at once.
function whenConnected(socket, then) {
  const isWaiting = socket.connecting || socket.getProtocol?.() === "unknown";
  if (isWaiting) socket.once(socket.encrypted ? "secureConnect" : "connect", then);
  else then();
}

// The text is undefined if it is too long.
async function collect(response) {
  const answer = { status: response.statusCode, receivedId: response.headers["x-request-id"] ?? "" };
  const chunks = [];
  let bytes = 0;
  for await (const chunk of response) {
    bytes += chunk.length;
    if (bytes > MAX_RESPONSE_BYTES) return answer; // leaving the loop closes the connection
    chunks.push(chunk);
  }
  return { ...answer, text: Buffer.concat(chunks).toString("utf8") };
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
    throw new OutcomeUnknown("unreadable answer"); // the unreadable answer may contain a proof
  }
}

function refusal(status, answer) {
  if (typeof answer?.code === "string") return fromProblem(status, answer);
  if (status >= 500) return new OutcomeUnknown(`HTTP status ${status}`); // a proxy may have forwarded the request
  return new UnexpectedAnswer(status);
}
