// Log in by phone with Express.

import { randomBytes } from "node:crypto";

import { OtpClient, OtpServiceError, ProofError } from "@otp-service/client";
import express from "express";
import session from "express-session";

const { OTP_URL, OTP_SECRET_KEY, OTP_PUBLISHABLE_KEY, SECRET_KEY, PORT = "8000" } = process.env;
const otp = new OtpClient(OTP_URL, OTP_SECRET_KEY);

const app = express();
app.disable("x-powered-by");
app.use(express.urlencoded({ extended: false, limit: "10kb" }));
app.use(
  session({
    secret: SECRET_KEY ?? randomBytes(32).toString("base64url"),
    resave: false,
    saveUninitialized: false,
    cookie: { httpOnly: true, sameSite: "lax" }, // With HTTPS, also set secure: true.
  }),
);

// Keep other sites from logging a visitor in to an account of their choice.
app.use((request, response, next) => {
  if (request.method === "POST" && !isSameOrigin(request)) response.sendStatus(403);
  else next();
});

// Check Sec-Fetch-Site, or Origin for browsers without it: they send Origin with every POST.
function isSameOrigin(request) {
  const [site, origin, host] = ["sec-fetch-site", "origin", "host"].map((name) => request.get(name));
  if (site !== undefined) return site === "same-origin";
  return origin === `https://${host}` || origin === `http://${host}`;
}

app.get("/", (request, response) => response.send(page(request.session.phone)));

// Log in the owner of the phone in the proof, and ignore all other fields of the form.
app.post("/login", async (request, response, next) => {
  try {
    const { phone } = await otp.redeem(String(request.body?.proof ?? ""), { purpose: "login" });
    request.session.regenerate((error) => {
      if (error) return next(error);
      request.session.phone = phone;
      response.redirect(303, "/");
    });
  } catch (error) {
    if (!(error instanceof OtpServiceError)) return next(error);
    const isInvalid = error instanceof ProofError;
    const message = isInvalid ? "Please verify your phone again." : "We cannot log you in at the moment.";
    response.status(isInvalid ? 422 : 503).send(page(undefined, message));
  }
});

app.post("/logout", (request, response, next) => {
  request.session.destroy((error) => (error ? next(error) : response.redirect(303, "/")));
});

function page(phone, message) {
  return html`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Log in</title>
<script type="module" src="${OTP_URL}/otp/widget.js"></script>
` + (phone ? html`
<h1>Welcome</h1>
<p>You are logged in as <strong>${phone}</strong>.</p>
<form method="post" action="/logout"><button>Log out</button></form>
` : html`
<h1>Log in</h1>
<p role="alert">${message ?? ""}</p>
<form method="post" action="/login">
  <otp-verify publishable-key="${OTP_PUBLISHABLE_KEY}" purpose="login" required></otp-verify>
  <button>Log in</button>
</form>
`);
}

// Escape all values in a page.
function html(strings, ...values) {
  const escaped = values.map((value) => String(value).replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`));
  return String.raw({ raw: strings }, ...escaped);
}

app.listen(Number(PORT), "127.0.0.1", () => console.log(`http://localhost:${PORT}`));
