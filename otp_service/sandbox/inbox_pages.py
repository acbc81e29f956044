"""The inbox as a page for people and as JSON for programs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as WerkzeugResponse

from otp_service.sandbox.inbox import Message
from otp_service.sandbox.phone_text import phone_of
from otp_service.sandbox.same_origin import demand_same_origin
from otp_service.sandbox.state import SandboxState
from otp_service.sms.aliyun.protocol.receipts import Delivery
from otp_service.sms.aliyun.protocol.templates import sms_size


def inbox_blueprint(desk: SandboxState) -> Blueprint:
    """Serve the inbox at `/inbox` and `/inbox.json`."""
    inbox = desk.inbox
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
        messages = [(message, _outcome(message, desk.clock())) for message in _wanted(wanted)]
        return render_template("inbox.html", messages=messages, wanted=wanted, sms_size=sms_size)

    @blueprint.get("/inbox.json")
    def listing() -> Response:
        wanted = request.args.get("phone", "").strip()
        return jsonify([_as_json(message, desk.clock()) for message in _wanted(wanted)])

    @blueprint.post("/inbox/clear")
    def clear() -> WerkzeugResponse:
        demand_same_origin(request)
        inbox.clear()
        return redirect(url_for("inbox.page"), 303)

    def _wanted(wanted: str) -> list[Message]:
        """List one phone's messages; a number that is nobody's matches nothing."""
        return inbox.newest_first((phone_of(wanted) or wanted) if wanted else None)

    blueprint.add_app_template_filter(rfc3339)
    return blueprint


def rfc3339(moment: datetime) -> str:
    """Write a moment in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _outcome(message: Message, now: datetime) -> str:
    """Say what became of a message: the carrier's own code where it failed."""
    delivery = message.delivery(now)
    return f"{delivery}: {message.err_code}" if delivery is Delivery.UNDELIVERED else delivery


def _as_json(message: Message, now: datetime) -> dict[str, Any]:
    delivery = message.delivery(now)
    return {
        "phone": message.phone,
        "sign_name": message.sign_name,
        "template_code": message.template_code,
        "text": message.text,
        "code": message.code,
        "out_id": message.out_id,
        "biz_id": message.biz_id,
        "received_at": rfc3339(message.received_at),
        "delivery": delivery,
        "err_code": "" if delivery is Delivery.WAITING else message.err_code,
    }
