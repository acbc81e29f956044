// How clients/js is used, for tsc alone: it is never run.

import { CooldownActive, OtpClient, OtpServiceError, OutcomeUnknown, ProofError, RetryableError, WrongCode } from "../../clients/js/index.js";
import type { Approved, Redeemed, Sent, VerificationStatus } from "../../clients/js/index.js";
import { Agent } from "node:https";

const otp = new OtpClient("https://otp.example.com", "sk_x", { timeoutMs: 8000, agent: new Agent() });

export async function everyCall(phone: string, typed: string): Promise<string> {
  const sent: Sent = await otp.request(phone, { purpose: "login", clientIp: "192.0.2.1", idempotencyKey: "k" });
  const again: Sent = await otp.resend(phone, sent.verificationId, { locale: "en" });
  const status: VerificationStatus = await otp.status(phone, again.verificationId);
  const english: string | undefined = status.sends[0]?.reason?.en;
  const approved: Approved = await otp.verify(phone, sent.verificationId, typed);
  const redeemed: Redeemed = await otp.redeem(approved.proof, { purpose: "login" });
  await otp.cancel(phone, sent.verificationId);
  await otp.unlock(phone);
  otp.close();
  const seconds: number = sent.resendIn ?? 0;
  return `${redeemed.phone} ${seconds} ${sent.expiresAt.toISOString()} ${english} ${sent.status === "pending"}`;
}

export function everyError(error: unknown): number | string {
  if (error instanceof WrongCode) return error.attemptsLeft;
  if (error instanceof CooldownActive) return error.retryAfter + error.limit;
  if (error instanceof RetryableError) return error.retryAfter;
  if (error instanceof ProofError) return error.code;
  if (error instanceof OutcomeUnknown) return error.cause;
  if (error instanceof OtpServiceError) return error.message;
  throw error;
}

export function invalidUses(sent: Sent): void {
  // @ts-expect-error: a purpose is needed
  void otp.redeem("proof");
  // @ts-expect-error: it is called clientIp
  void otp.request("13800138000", { client_ip: "192.0.2.1" });
  // @ts-expect-error: null when there is none
  sent.resendIn.toFixed();
  // @ts-expect-error: there is no such state
  void (sent.status === "done");
  // @ts-expect-error: answers do not change
  sent.purpose = "other";
}
