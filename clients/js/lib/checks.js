// Checks whether an answer belongs to the call that was made.
//
// On a connection on which requests and responses are out of step, a readable answer may belong to another call.

export const always = () => true;

// A new verification must have the *purpose*, if one was given.
export function forPurpose(purpose) {
  return (answer) => purpose === undefined || answer.purpose === purpose;
}

// An answer must be about this verification. The service ignores other characters in a pasted id.
export function ofVerification(verificationId) {
  const wanted = String(verificationId).normalize("NFKC").replace(/[^A-Za-z0-9_-]/g, "");
  return (answer) => answer.verificationId === wanted;
}

// An answer must have the claims of the redeemed *proof*. The service checks the signature. If the proof cannot
// be parsed, no answer matches.
export function ofProof(proof, purpose) {
  const { jti, purpose: made, sub, aud } = claimsOf(proof);
  return (answer) =>
    answer.verificationId === jti &&
    answer.phone === sub &&
    answer.client === aud &&
    answer.purpose === made &&
    answer.purpose === purpose;
}

function claimsOf(proof) {
  try {
    const [payload] = String(proof).replace(/\s/g, "").split(".");
    return JSON.parse(Buffer.from(payload, "base64url").toString("utf8")) ?? {};
  } catch {
    return {};
  }
}
