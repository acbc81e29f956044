"""The start page: a signup page with the widget on the left, the phone that gets its SMS on the right.

Touches Flask. Whatever it shows of service and sandbox it is handed: it stands for somebody's own shop.
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
_SHOWN = 20
"""How many SMS the phone shows: the newest."""


@dataclass(frozen=True)
class Sms:
    """An SMS that came: to which *phone* (E.164), *text* with the *code* in it, *at* what time (RFC 3339)."""

    id: str
    phone: str
    text: str
    code: str
    at: str


@dataclass(frozen=True)
class Verified:
    """What a redeemed proof says."""

    phone: str
    purpose: str
    verified_at: str


@dataclass(frozen=True)
class Refused:
    """Why a proof was not taken: the *code* of the problem."""

    code: str


def start_page(
    app: Flask,
    *,
    publishable_key: str,
    inbox_url: str,
    inbox: Callable[[], Sequence[Sms]],
    redeem: Callable[[str], Verified | Refused],
) -> None:
    """Serve the start page at `/` of *app*, and what belongs to it.

    *inbox* lists every SMS, the newest first; *redeem* uses a proof up, as a shop's server does.
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
            inbox=inbox()[:_SHOWN],
            service_url=request.url_root.rstrip("/"),
        )

    @blueprint.get("/demo/inbox.json")
    def newest() -> Response:
        return jsonify([asdict(sms) for sms in inbox()[:_SHOWN]])

    @blueprint.post("/demo/signup")
    def signup() -> str:
        outcome = redeem(request.form.get("proof", ""))
        page = "welcome.html" if isinstance(outcome, Verified) else "refused.html"
        return render_template(page, name=request.form.get("name", ""), outcome=outcome)

    @blueprint.after_request
    def dress(response: Response) -> Response:
        response.headers.update(_HEADERS)
        return response

    app.register_blueprint(blueprint)
