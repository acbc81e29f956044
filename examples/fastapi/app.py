"""Log in by phone with FastAPI: the page's script sends the proof."""

from __future__ import annotations

import os
import secrets
from html import escape
from pathlib import Path

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse
from pydantic import BaseModel
from starlette.middleware.sessions import SessionMiddleware

from otp_service_client import OtpClient, OtpServiceError, ProofError

HERE = Path(__file__).parent
OTP_URL = os.environ["OTP_URL"]
otp = OtpClient(OTP_URL, os.environ["OTP_SECRET_KEY"])

app = FastAPI()
app.add_middleware(  # With HTTPS, also set https_only=True.
    SessionMiddleware, secret_key=os.environ.get("SECRET_KEY") or secrets.token_urlsafe(32), same_site="lax"
)


def reject_other_sites(request: Request) -> None:
    """Check Sec-Fetch-Site, or Origin for browsers without it: they send Origin with every POST."""
    site, host = request.headers.get("Sec-Fetch-Site"), request.headers.get("Host")
    origin_matches = request.headers.get("Origin") in (f"https://{host}", f"http://{host}")
    if not (origin_matches if site is None else site == "same-origin"):
        raise HTTPException(403)


class Login(BaseModel):
    """The JSON that the page sends. A form of another site cannot send the JSON content type."""

    proof: str


class Me(BaseModel):
    """The logged-in phone number."""

    phone: str


@app.post("/api/login", dependencies=[Depends(reject_other_sites)])
def log_in(login: Login, request: Request) -> Me:
    """Log in the owner of the phone in the proof. Not `async`, because the client blocks."""
    try:
        redeemed = otp.redeem(login.proof, purpose="login")
    except ProofError:
        raise HTTPException(422, "Please verify your phone again.") from None
    except OtpServiceError:
        raise HTTPException(503, "We cannot log you in at the moment.") from None
    request.session.clear()
    request.session["phone"] = redeemed.phone
    return Me(phone=redeemed.phone)


@app.get("/api/me")
def me(request: Request) -> Me:
    """Return the logged-in phone number."""
    if "phone" not in request.session:
        raise HTTPException(401)
    return Me(phone=request.session["phone"])


@app.get("/")
def home() -> HTMLResponse:
    """Return the page."""
    text = (HERE / "page.html").read_text("utf-8")
    key = os.environ["OTP_PUBLISHABLE_KEY"]
    return HTMLResponse(text.replace("OTP_URL", escape(OTP_URL)).replace("OTP_KEY", escape(key)))


@app.get("/page.js")
def script() -> FileResponse:
    """Return the page's script."""
    return FileResponse(HERE / "page.js", media_type="text/javascript")


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")), log_level="warning")
