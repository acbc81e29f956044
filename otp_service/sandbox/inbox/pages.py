"""The inbox as a page and as JSON, and its actions: reply, set a result, check the report URLs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Request, Response, abort, jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as WerkzeugResponse

from otp_service.sandbox.inbox.messages import Message
from otp_service.sandbox.reports.http_posting import PostAttempt
from otp_service.sandbox.state import SandboxState
from otp_service.sms.aliyun.protocol.phone_numbers import (
    NotInternational,
    NotMainlandMobile,
    e164,
    international,
    national,
)
from otp_service.sms.aliyun.protocol.receipts import Delivery
from otp_service.sms.aliyun.protocol.templates import sms_size

_MAX_TEXT = 500
_SEPARATORS = str.maketrans("", "", " -()\t")
_SAME_ORIGIN = ("same-origin", "none")


def inbox_blueprint(state: SandboxState) -> Blueprint:
    """Serve the inbox at `/inbox` and `/inbox.json`."""
    inbox = state.inbox
    blueprint = Blueprint(
        "inbox",
        __name__,
        template_folder="templates",
        static_folder="static",
        static_url_path="/inbox/static",
    )

    @blueprint.get("/inbox")
    def page() -> str:
        phone = request.args.get("phone", "").strip()
        messages = [(message, _result(message, state.clock())) for message in _filtered(phone)]
        return render_template("inbox.html", messages=messages, phone=phone, sms_size=sms_size)

    @blueprint.get("/inbox.json")
    def listing() -> Response:
        phone = request.args.get("phone", "").strip()
        return jsonify([_message_json(message, state.clock()) for message in _filtered(phone)])

    @blueprint.post("/inbox/clear")
    def clear() -> WerkzeugResponse:
        require_same_origin(request)
        inbox.clear()
        return redirect(url_for("inbox.page"), 303)

    def _filtered(phone: str) -> list[Message]:
        """Return the messages to one phone, or all if *phone* is empty. Invalid numbers match nothing."""
        return inbox.newest_first((parse_phone(phone) or phone) if phone else None)

    blueprint.add_app_template_filter(rfc3339)
    return blueprint


def report_blueprint(state: SandboxState) -> Blueprint:
    """Serve `/inbox/reply`, `/inbox/report`, `/reports.json` and `/reports/check`."""
    blueprint = Blueprint("reports", __name__)

    @blueprint.post("/inbox/reply")
    def reply() -> WerkzeugResponse:
        require_same_origin(request)
        phone, content = _phone_field(), _text_field("content")
        item = state.reports.publish_reply(phone, content, state.inbox.newest(phone))
        if request.is_json:
            return _created(item)
        return redirect(url_for("inbox.page", phone=phone), 303)

    @blueprint.post("/inbox/report")
    def report() -> Response:
        require_same_origin(request)
        message = state.inbox.set_result(_phone_field(), _text_field("err_code"), state.clock())
        if message is None:
            abort(404, "this phone has received no SMS")
        state.reports.publish_report(message)
        return _created({"biz_id": message.biz_id, "err_code": message.err_code})

    @blueprint.get("/reports.json")
    def attempts() -> Response:
        return jsonify([_attempt_json(attempt) for attempt in state.reports.poster.attempts()])

    @blueprint.post("/reports/check")
    def check() -> Response:
        require_same_origin(request)
        return jsonify(state.reports.poster.check_urls())

    return blueprint


def require_same_origin(request: Request) -> None:
    """Abort with 403 unless the request comes from the sandbox's own pages or from a program.

    Browsers state where a request comes from in `Sec-Fetch-Site`, or else in `Origin`. A request with neither
    must be JSON: programs can send that, and pages of other origins cannot, because there is no CORS.
    """
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if site is not None:
        is_allowed = site in _SAME_ORIGIN
    elif origin is not None:
        is_allowed = origin == request.host_url.rstrip("/")
    else:
        is_allowed = request.is_json
    if not is_allowed:
        abort(403)


def parse_phone(text: str) -> str | None:
    """Parse a number as people write it, and return it in E.164, or None if it is not a number.

    A `+` that was decoded to a space is accepted. A number that is not a mainland one is read as country code
    and number.
    """
    plain = text.translate(_SEPARATORS)
    try:
        return e164(national(plain))
    except NotMainlandMobile:
        digits = plain.removeprefix("+").removeprefix("00")
    try:
        return e164(international(digits))
    except NotInternational:
        return None


def rfc3339(moment: datetime) -> str:
    """Format a time in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _result(message: Message, now: datetime) -> str:
    """Return the delivery state of a message, with the carrier's code if it failed."""
    delivery = message.delivery(now)
    return f"{delivery}: {message.err_code}" if delivery is Delivery.UNDELIVERED else delivery


def _message_json(message: Message, now: datetime) -> dict[str, Any]:
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


def _attempt_json(attempt: PostAttempt) -> dict[str, Any]:
    return {
        "message_type": attempt.message_type,
        "reports": attempt.reports,
        "number": attempt.attempt,
        "outcome": attempt.outcome,
        "posted_at": rfc3339(attempt.posted_at),
    }


def _phone_field() -> str:
    return parse_phone(_text_field("phone")) or abort(400, "phone is not a phone number")


def _text_field(name: str) -> str:
    """Read a field of a JSON object or of a form."""
    body = request.get_json() if request.is_json else request.form
    value = body.get(name) if hasattr(body, "get") else None
    if not (isinstance(value, str) and 0 < len(value) <= _MAX_TEXT):
        abort(400, f"{name} must be a string of 1 to {_MAX_TEXT} characters")
    return value


def _created(fields: dict[str, Any]) -> Response:
    response = jsonify(fields)
    response.status_code = 201
    return response
