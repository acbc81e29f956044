// The results of successful calls, as frozen values.
//
// Units are those of the API, names follow JavaScript, times are Dates. Unknown members are ignored, so that a
// newer service can add some. Phone and proof can be read, but console.log and JSON.stringify do not show them.

class Verification {
  constructor(body) {
    this.verificationId = text(body.verification_id);
    this.status = text(body.status);
    this.purpose = text(body.purpose);
    this.phoneMasked = text(body.phone_masked);
    this.codeLength = whole(body.code_length);
    this.codeType = text(body.code_type);
    this.expiresAt = time(body.expires_at);
    this.expiresIn = whole(body.expires_in);
    this.resendAt = body.resend_at === null ? null : time(body.resend_at);
    this.resendIn = body.resend_in === null ? null : whole(body.resend_in);
    this.sendsLeft = whole(body.sends_left);
    this.attemptsLeft = whole(body.attempts_left);
    this.delivery = text(body.delivery);
  }
}

export class Sent extends Verification {
  constructor(body) {
    super(body);
    Object.freeze(this);
  }
}

export class VerificationStatus extends Verification {
  constructor(body) {
    super(body);
    this.sends = Object.freeze(list(body.sends).map(sendStatus));
    Object.freeze(this);
  }
}

export class Approved {
  constructor(body) {
    this.verificationId = text(body.verification_id);
    this.purpose = text(body.purpose);
    hidden(this, "phone", text(body.phone));
    hidden(this, "proof", text(body.proof));
    this.proofExpiresIn = whole(body.proof_expires_in);
    Object.freeze(this);
  }
}

export class Redeemed {
  constructor(body) {
    this.verificationId = text(body.verification_id);
    this.client = text(body.client);
    this.purpose = text(body.purpose);
    hidden(this, "phone", text(body.phone));
    this.verifiedAt = time(body.verified_at);
    this.amr = Object.freeze(list(body.amr).map(text));
    Object.freeze(this);
  }
}

function sendStatus({ number, delivery, at, route, reason }) {
  return Object.freeze({
    number: whole(number),
    delivery: text(delivery),
    at: time(at),
    route: text(route),
    reason: reason ? Object.freeze({ code: text(reason.code), en: text(reason.en), zh: text(reason.zh) }) : null,
  });
}

// Not enumerable: the value can be read only by its name.
function hidden(answer, name, value) {
  Object.defineProperty(answer, name, { value });
}

// The error does not contain the unreadable value, which may be a phone or a proof.
function expect(holds) {
  if (!holds) throw new TypeError("unreadable answer");
}

function text(value) {
  expect(typeof value === "string");
  return value;
}

function whole(value) {
  expect(Number.isInteger(value));
  return value;
}

function list(value) {
  expect(Array.isArray(value));
  return value;
}

function time(value) {
  const at = new Date(text(value));
  expect(!Number.isNaN(at.getTime()));
  return at;
}
