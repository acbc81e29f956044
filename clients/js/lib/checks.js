// Checks: whether an answer is the answer to the call that was made.
//
// Where a connection has got out of step, an answer is perfectly readable and belongs to somebody else.

export const always = () => true;

// An answer that opens a verification: for *purpose*, if that was said.
export function forPurpose(purpose) {
  return (answer) => purpose === undefined || answer.purpose === purpose;
}

// An answer about one verification. The service passes over what is no part of an id that somebody has pasted.
export function ofVerification(verificationId) {
  const asked = String(verificationId).normalize("NFKC").replace(/[^A-Za-z0-9_-]/g, "");
  return (answer) => answer.verificationId === asked;
}

// What a redeemed *proof* proves, against what it says itself. Its signature is the service's affair. A text
// that says nothing readable proves nothing, whatever the answer is.
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
