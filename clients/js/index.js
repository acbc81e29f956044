// What a Node.js login backend imports. It talks only to the service, over HTTP.

export { OtpClient } from "./lib/client.js";
export * from "./lib/errors.js";
