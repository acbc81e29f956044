// Shared by the Node.js scripts: reads a list of calls from stdin, makes them one after
// the other, and prints what the SDK returned or raised. Input and output are JSON.
"use strict";

async function runCalls(makeClient, makeCall) {
  const { url, calls } = JSON.parse(require("fs").readFileSync(0, "utf8"));
  const results = [];
  for (const call of calls) {
    try {
      results.push({ resolved: true, body: await makeCall(makeClient(url, call), call) });
    } catch (error) {
      results.push({ resolved: false, name: error.name, code: error.code, message: error.message });
    }
  }
  process.stdout.write(JSON.stringify(results));
}

module.exports = { runCalls };
