"""Joins the sandbox's parts to a Flask application; the clock is an argument."""

from __future__ import annotations

import time
from collections.abc import Callable

from flask import Flask, Response

from otp_service.sandbox.api import api_blueprint
from otp_service.sandbox.clock import Clock, utc_now
from otp_service.sandbox.config import SandboxConfig
from otp_service.sandbox.desk import Action, Desk
from otp_service.sandbox.flow_control import FlowControl
from otp_service.sandbox.inbox import Inbox
from otp_service.sandbox.inbox_pages import inbox_blueprint
from otp_service.sandbox.nonces import Nonces
from otp_service.sandbox.send_sms import send_sms
from otp_service.sandbox.verifier import Verifier

#: The actions of the API that the sandbox knows; a new one is a file and a row.
ACTIONS: dict[str, Action] = {
    "SendSms": send_sms,
}

_MAX_BODY = 1_000_000

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def create_sandbox(
    config: SandboxConfig, clock: Clock = utc_now, pause: Callable[[float], None] = time.sleep
) -> Flask:
    """Make a sandbox with an empty inbox.

    Args:
        config: The account that it plays.
        clock: Tells the time by which timestamps, nonces and flow control are judged.
        pause: Waits so many seconds; used by the magic numbers that answer late.
    """
    inbox = Inbox(config.inbox_size)
    desk = Desk(config, clock, pause, inbox, FlowControl(config.flow_limits))
    verifier = Verifier(config.access_keys, Nonces(), clock)
    app = Flask(__name__, static_folder=None, template_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = _MAX_BODY
    app.config["MAX_FORM_MEMORY_SIZE"] = _MAX_BODY
    app.extensions["sandbox"] = desk
    app.register_blueprint(api_blueprint(desk, verifier, ACTIONS))
    app.register_blueprint(inbox_blueprint(inbox))
    app.after_request(_protect)
    return app


def _protect(response: Response) -> Response:
    response.headers.update(_HEADERS)
    return response
