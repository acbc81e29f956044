// What a Node.js login backend imports. Touches the service over HTTP, and nothing else.

export { OtpClient } from "./lib/client.js";
export * from "./lib/errors.js";
