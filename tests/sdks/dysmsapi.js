// npm @alicloud/dysmsapi20170525: V3, the parameters of SendBatchSms in a chunked form.
"use strict";

const { $OpenApiUtil } = require("@alicloud/openapi-core");
const sms = require("@alicloud/dysmsapi20170525");
const { runCalls } = require("./run_calls");

const Client = sms.default;

function makeClient(url, { accessKeyId, secret, securityToken, signatureAlgorithm }) {
  const endpoint = url.replace("http://", "");
  return new Client(
    new $OpenApiUtil.Config({
      accessKeyId,
      accessKeySecret: secret,
      securityToken,
      signatureAlgorithm,
      endpoint,
      protocol: "http",
    }),
  );
}

function camel(name) {
  return name[0].toLowerCase() + name.slice(1);
}

async function makeCall(client, { action, params }) {
  const named = Object.fromEntries(Object.entries(params).map(([name, value]) => [camel(name), value]));
  const answer = await client[camel(action)](new sms[`${action}Request`](named));
  return answer.body.toMap();
}

runCalls(makeClient, makeCall);
