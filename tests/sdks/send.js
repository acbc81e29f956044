// Sends each SMS described on stdin through Aliyun's official Node.js SDK, one after
// the other, and prints what the SDK made of the answers. Both ends speak JSON.
"use strict";

const SMSClient = require("@alicloud/sms-sdk");

async function send({ accessKeyId, secretAccessKey, message }, smsApiEndpoint) {
  const client = new SMSClient({ accessKeyId, secretAccessKey, smsApiEndpoint });
  try {
    const { Code, BizId } = await client.sendSMS(message);
    return { resolved: true, code: Code, bizId: BizId };
  } catch (error) {
    return { resolved: false, code: error.code, message: error.data && error.data.Message };
  }
}

async function main(input) {
  const { url, sends } = JSON.parse(input);
  const results = [];
  for (const one of sends) results.push(await send(one, url));
  process.stdout.write(JSON.stringify(results));
}

main(require("fs").readFileSync(0, "utf8"));
