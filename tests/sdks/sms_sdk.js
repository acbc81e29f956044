// npm @alicloud/sms-sdk: V1, everything by GET; reads the queues of reports as well.
"use strict";

const SMSClient = require("@alicloud/sms-sdk");
const { runCalls } = require("./run_calls");

const METHODS = { SendSms: "sendSMS", SendBatchSms: "sendBatchSMS", QuerySendDetails: "queryDetail" };

function makeClient(url, { accessKeyId, secret }) {
  return new SMSClient({
    accessKeyId,
    secretAccessKey: secret,
    smsApiEndpoint: url,
    baseApiEndpoint: url,
    mnsVpc: { endpoint: url },
  });
}

function makeCall(client, { action, params }) {
  if (action === "receiveMsg") return client.receiveMsg(...params);
  return client[METHODS[action]](params);
}

runCalls(makeClient, makeCall);
