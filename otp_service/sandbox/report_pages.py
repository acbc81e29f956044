"""What developers do to reports: reply as a phone, decide what became of an SMS, see what was posted."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, jsonify, redirect, request, url_for
from werkzeug.wrappers import Response as WerkzeugResponse

from otp_service.sandbox.inbox_pages import rfc3339
from otp_service.sandbox.phone_text import phone_of
from otp_service.sandbox.reporter import Posting
from otp_service.sandbox.same_origin import demand_same_origin
from otp_service.sandbox.state import SandboxState

_MAX_TEXT = 500


def report_blueprint(desk: SandboxState) -> Blueprint:
    """Serve `/inbox/reply`, `/inbox/report`, `/reports.json` and `/reports/check`."""
    blueprint = Blueprint("reports", __name__)

    @blueprint.post("/inbox/reply")
    def reply() -> WerkzeugResponse:
        demand_same_origin(request)
        phone, content = _phone(), _text("content")
        item = desk.reports.reply(phone, content, desk.inbox.newest(phone))
        if request.is_json:
            return _json(item, 201)
        return redirect(url_for("inbox.page", phone=phone), 303)

    @blueprint.post("/inbox/report")
    def report() -> Response:
        demand_same_origin(request)
        message = desk.inbox.settle(_phone(), _text("err_code"), desk.clock())
        if message is None:
            abort(404, "this phone has got no SMS")
        desk.reports.sms_report(message)
        return _json({"biz_id": message.biz_id, "err_code": message.err_code}, 201)

    @blueprint.get("/reports.json")
    def postings() -> Response:
        return jsonify([_as_json(posting) for posting in desk.reports.reporter.postings()])

    @blueprint.post("/reports/check")
    def check() -> Response:
        demand_same_origin(request)
        return jsonify(desk.reports.reporter.check())

    return blueprint


def _phone() -> str:
    return phone_of(_text("phone")) or abort(400, "phone is not a number that SMS go to")


def _text(name: str) -> str:
    """Read one field of a JSON object or of a form."""
    body = request.get_json() if request.is_json else request.form
    value = body.get(name) if hasattr(body, "get") else None
    if not (isinstance(value, str) and 0 < len(value) <= _MAX_TEXT):
        abort(400, f"{name} has to be a text of 1 to {_MAX_TEXT} characters")
    return value


def _json(fields: dict[str, Any], status: int) -> Response:
    response = jsonify(fields)
    response.status_code = status
    return response


def _as_json(posting: Posting) -> dict[str, Any]:
    return {
        "message_type": posting.message_type,
        "reports": posting.reports,
        "number": posting.number,
        "outcome": posting.outcome,
        "posted_at": rfc3339(posting.posted_at),
    }
