// What both Node.js scripts share: they read a list of calls from stdin, make them one
// after the other, and print what the SDK made of each answer. Both ends speak JSON.
"use strict";

async function work(makeClient, makeCall) {
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

module.exports = { work };
