"""Log in by phone, in FastAPI: the page's script hands the proof over."""

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

from otp_service.client import OtpClient, OtpServiceError, ProofError

HERE = Path(__file__).parent
OTP_URL = os.environ["OTP_URL"]
otp = OtpClient(OTP_URL, os.environ["OTP_SECRET_KEY"])

app = FastAPI()
app.add_middleware(  # and https_only=True behind HTTPS
    SessionMiddleware, secret_key=os.environ.get("SECRET_KEY") or secrets.token_urlsafe(32), same_site="lax"
)


def refuse_other_sites(request: Request) -> None:
    """Believe what the browser says; those that do not know Sec-Fetch-Site send Origin with every POST."""
    site, host = request.headers.get("Sec-Fetch-Site"), request.headers.get("Host")
    is_ours = request.headers.get("Origin") in (f"https://{host}", f"http://{host}")
    if not (is_ours if site is None else site == "same-origin"):
        raise HTTPException(403)


class Login(BaseModel):
    """What the page sends. JSON, and said to be JSON, which a form of another site cannot send."""

    proof: str


class Me(BaseModel):
    """Who is logged in."""

    phone: str


@app.post("/api/login", dependencies=[Depends(refuse_other_sites)])
def log_in(login: Login, request: Request) -> Me:
    """Log in whoever holds the phone of the proof. Not `async`: the client waits in a thread."""
    try:
        redeemed = otp.redeem(login.proof, purpose="login")
    except ProofError:
        raise HTTPException(422, "Please verify your phone once more.") from None
    except OtpServiceError:
        raise HTTPException(503, "We cannot log you in at the moment.") from None
    request.session.clear()
    request.session["phone"] = redeemed.phone
    return Me(phone=redeemed.phone)


@app.get("/api/me")
def me(request: Request) -> Me:
    """Tell who is logged in."""
    if "phone" not in request.session:
        raise HTTPException(401)
    return Me(phone=request.session["phone"])


@app.get("/")
def home() -> HTMLResponse:
    """Show the page."""
    text = (HERE / "page.html").read_text("utf-8")
    key = os.environ["OTP_PUBLISHABLE_KEY"]
    return HTMLResponse(text.replace("OTP_URL", escape(OTP_URL)).replace("OTP_KEY", escape(key)))


@app.get("/page.js")
def script() -> FileResponse:
    """Show the page's script."""
    return FileResponse(HERE / "page.js", media_type="text/javascript")


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")), log_level="warning")
