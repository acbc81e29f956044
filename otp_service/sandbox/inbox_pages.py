"""The inbox as a page for people and as JSON for programs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as WerkzeugResponse

from otp_service.aliyun.numbers import NotMainlandMobile, e164, national
from otp_service.aliyun.templates import sms_size
from otp_service.sandbox.inbox import Inbox, Message

_SEPARATORS = str.maketrans("", "", " -()\t")


def inbox_blueprint(inbox: Inbox) -> Blueprint:
    """Serve *inbox* at `/inbox` and `/inbox.json`."""
    blueprint = Blueprint(
        "inbox",
        __name__,
        template_folder="templates",
        static_folder="static",
        static_url_path="/inbox/static",
    )

    @blueprint.get("/inbox")
    def page() -> str:
        wanted = request.args.get("phone", "").strip()
        messages = inbox.newest_first(_phone(wanted))
        return render_template("inbox.html", messages=messages, wanted=wanted, sms_size=sms_size)

    @blueprint.get("/inbox.json")
    def listing() -> Response:
        wanted = request.args.get("phone", "").strip()
        return jsonify([_as_json(message) for message in inbox.newest_first(_phone(wanted))])

    @blueprint.post("/inbox/clear")
    def clear() -> WerkzeugResponse:
        inbox.clear()
        return redirect(url_for("inbox.page"), 303)

    blueprint.add_app_template_filter(rfc3339)
    return blueprint


def rfc3339(moment: datetime) -> str:
    """Write a moment in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _phone(wanted: str) -> str | None:
    """Read a number in any spelling, also with its `+` arrived as a space; None asks for all."""
    if not wanted:
        return None
    try:
        return e164(national(wanted.translate(_SEPARATORS)))
    except NotMainlandMobile:
        return wanted  # Nobody's number: matches nothing.


def _as_json(message: Message) -> dict[str, Any]:
    return {
        "phone": message.phone,
        "sign_name": message.sign_name,
        "template_code": message.template_code,
        "text": message.text,
        "code": message.code,
        "out_id": message.out_id,
        "biz_id": message.biz_id,
        "received_at": rfc3339(message.received_at),
    }
