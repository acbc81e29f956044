"""Log in by phone, in Flask."""

from __future__ import annotations

import os
import secrets

from flask import Flask, abort, redirect, render_template, request, session
from werkzeug import Response

from otp_service.client import OtpClient, OtpServiceError, ProofError

OTP_URL = os.environ["OTP_URL"]
otp = OtpClient(OTP_URL, os.environ["OTP_SECRET_KEY"])

app = Flask(__name__)
app.secret_key = os.environ.get("SECRET_KEY") or secrets.token_bytes(32)
app.config["SESSION_COOKIE_SAMESITE"] = "Lax"  # and SESSION_COOKIE_SECURE = True behind HTTPS


@app.before_request
def refuse_forms_of_other_sites() -> None:
    """Nobody else may log somebody in here as somebody of their choice."""
    if request.method == "POST" and not is_from_this_site():
        abort(403)


def is_from_this_site() -> bool:
    """Tell what the browser says; browsers that do not know Sec-Fetch-Site send Origin with every POST."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    return request.headers.get("Origin") in (f"https://{request.host}", f"http://{request.host}")


@app.get("/")
def home() -> str:
    """Show who is logged in, or the form."""
    return page()


@app.post("/login")
def log_in() -> Response | tuple[str, int]:
    """Log in whoever holds the phone of the proof. What else the form says does not matter."""
    try:
        redeemed = otp.redeem(request.form.get("proof", ""), purpose="login")
    except ProofError:
        return page("Please verify your phone once more."), 422
    except OtpServiceError:
        return page("We cannot log you in at the moment."), 503
    session.clear()
    session["phone"] = redeemed.phone
    return redirect("/", 303)


@app.post("/logout")
def log_out() -> Response:
    """Forget who was logged in."""
    session.clear()
    return redirect("/", 303)


def page(trouble: str = "") -> str:
    """Return the only page."""
    key = os.environ["OTP_PUBLISHABLE_KEY"]
    return render_template("page.html", otp_url=OTP_URL, key=key, trouble=trouble)


if __name__ == "__main__":
    app.run(port=int(os.environ.get("PORT", "8000")))
