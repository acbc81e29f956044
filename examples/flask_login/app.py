"""Log in by phone with Flask."""

from __future__ import annotations

import os
import secrets

from flask import Flask, abort, redirect, render_template, request, session
from werkzeug import Response

from otp_service_client import OtpClient, OtpServiceError, ProofError

OTP_URL = os.environ["OTP_URL"]
otp = OtpClient(OTP_URL, os.environ["OTP_SECRET_KEY"])

app = Flask(__name__)
app.secret_key = os.environ.get("SECRET_KEY") or secrets.token_bytes(32)
app.config["SESSION_COOKIE_SAMESITE"] = "Lax"  # With HTTPS, also set SESSION_COOKIE_SECURE.


@app.before_request
def reject_forms_of_other_sites() -> None:
    """Keep other sites from logging a visitor in to an account of their choice."""
    if request.method == "POST" and not is_same_origin():
        abort(403)


def is_same_origin() -> bool:
    """Check Sec-Fetch-Site, or Origin for browsers without it: they send Origin with every POST."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    return request.headers.get("Origin") in (f"https://{request.host}", f"http://{request.host}")


@app.get("/")
def home() -> str:
    """Show the logged-in phone number, or the form."""
    return page()


@app.post("/login")
def log_in() -> Response | tuple[str, int]:
    """Log in the owner of the phone in the proof, and ignore all other fields of the form."""
    try:
        redeemed = otp.redeem(request.form.get("proof", ""), purpose="login")
    except ProofError:
        return page("Please verify your phone again."), 422
    except OtpServiceError:
        return page("We cannot log you in at the moment."), 503
    session.clear()
    session["phone"] = redeemed.phone
    return redirect("/", 303)


@app.post("/logout")
def log_out() -> Response:
    """End the session."""
    session.clear()
    return redirect("/", 303)


def page(error: str = "") -> str:
    """Render the page."""
    key = os.environ["OTP_PUBLISHABLE_KEY"]
    return render_template("page.html", otp_url=OTP_URL, key=key, error=error)


if __name__ == "__main__":
    app.run(port=int(os.environ.get("PORT", "8000")))
