"""The start page: a sign-up form with the widget on the left, and a phone that shows the SMS on the right.

The page stands in for a customer's shop, so the caller passes in everything that it shows of the service and
the sandbox.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from flask import Blueprint, Flask, Response, jsonify, render_template, request

POLICY = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_MAX_SMS = 20
"""How many of the newest SMS the page shows."""


@dataclass(frozen=True)
class Sms:
    """An SMS to *phone* (E.164), the *code* in its *text*, and when it was sent *at* (RFC 3339)."""

    id: str
    phone: str
    text: str
    code: str
    at: str


@dataclass(frozen=True)
class Verified:
    """The claims of a redeemed proof."""

    phone: str
    purpose: str
    verified_at: str


@dataclass(frozen=True)
class RedeemFailed:
    """The problem *code* with which the service refused a proof."""

    code: str


def start_page(
    app: Flask,
    *,
    publishable_key: str,
    inbox_url: str,
    inbox: Callable[[], Sequence[Sms]],
    redeem: Callable[[str], Verified | RedeemFailed],
) -> None:
    """Serve the start page at `/` of *app*.

    *inbox* returns every SMS, newest first. *redeem* redeems a proof, as a shop's server does.
    """
    blueprint = Blueprint(
        "demo", __name__, template_folder="templates", static_folder="static", static_url_path="/demo"
    )

    @blueprint.get("/")
    def start() -> str:
        return render_template(
            "start.html",
            publishable_key=publishable_key,
            inbox_url=inbox_url,
            inbox=inbox()[:_MAX_SMS],
            service_url=request.url_root.rstrip("/"),
        )

    @blueprint.get("/demo/inbox.json")
    def newest() -> Response:
        return jsonify([asdict(sms) for sms in inbox()[:_MAX_SMS]])

    @blueprint.post("/demo/signup")
    def signup() -> str:
        result = redeem(request.form.get("proof", ""))
        page = "welcome.html" if isinstance(result, Verified) else "failed.html"
        return render_template(page, name=request.form.get("name", ""), result=result)

    @blueprint.after_request
    def add_security_headers(response: Response) -> Response:
        response.headers.update(_HEADERS)
        return response

    app.register_blueprint(blueprint)
