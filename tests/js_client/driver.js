// Makes the calls that stand on standard input with clients/js, one after the other, and prints what came.

import { readFileSync } from "node:fs";
import { inspect } from "node:util";

import * as room from "../../clients/js/index.js";

const { url, key, options, calls } = JSON.parse(readFileSync(0, "utf8"));
const client = new room.OtpClient(url, key, options);
const errors = Object.entries(room).filter(([, kind]) => kind.prototype instanceof Error);

// Everything that a log could show of *thing*.
function shown(thing) {
  return inspect(thing, { depth: null, showProxy: true, getters: false }) + JSON.stringify(thing) + String(thing);
}

function everything(value) {
  return Object.fromEntries(Object.getOwnPropertyNames(value).map((name) => [name, value[name]]));
}

const FACTS = ["code", "status", "title", "requestId", "members", "cause", "errors", "challenge", "attemptsLeft", "retryAfter", "limit"];

function serialized(error) {
  return {
    name: error.name,
    message: error.message,
    kinds: errors.filter(([, kind]) => error instanceof kind).map(([name]) => name),
    facts: Object.fromEntries(FACTS.filter((name) => name in error).map((name) => [name, error[name]])),
  };
}

const results = [];
for (const [method, ...given] of calls) {
  try {
    const value = await client[method](...given);
    results.push({ value: value && everything(value), shown: shown(value) });
  } catch (error) {
    results.push({ error: serialized(error), shown: shown(error) + error.stack });
  }
}
client.close();
console.log(JSON.stringify({ results, names: Object.keys(room), client: shown(client) }));
