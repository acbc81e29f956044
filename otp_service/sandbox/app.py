"""Joins the sandbox's parts to a Flask application; the clock is an argument."""

from __future__ import annotations

import time
from collections.abc import Callable

from flask import Flask, Response

from otp_service.sandbox.api import api_blueprint
from otp_service.sandbox.clock import Clock, utc_now
from otp_service.sandbox.config import SandboxConfig
from otp_service.sandbox.credentials import Credentials
from otp_service.sandbox.flow_control import FlowControl
from otp_service.sandbox.inbox import Inbox
from otp_service.sandbox.inbox_pages import inbox_blueprint
from otp_service.sandbox.issued_codes import IssuedCodes
from otp_service.sandbox.mns_api import mns_blueprint
from otp_service.sandbox.mns_verifier import MnsVerifier
from otp_service.sandbox.nonces import Nonces
from otp_service.sandbox.pnvs import check_sms_verify_code, send_sms_verify_code
from otp_service.sandbox.query_queue_key import query_queue_key
from otp_service.sandbox.query_send_details import query_send_details
from otp_service.sandbox.queue_keys import QueueKeys
from otp_service.sandbox.report_pages import report_blueprint
from otp_service.sandbox.reports import Reports
from otp_service.sandbox.send_batch_sms import send_batch_sms
from otp_service.sandbox.send_sms import send_sms
from otp_service.sandbox.sign_queries import get_sms_sign, query_sms_sign
from otp_service.sandbox.state import Action, SandboxState
from otp_service.sandbox.template_queries import get_sms_template, query_sms_template
from otp_service.sandbox.verifier import Verifier

#: The actions that the sandbox knows, of all three APIs (Dysmsapi, Dypnsapi, Dybaseapi): their version
#: is the same and so is the port. A new one is a function and a row.
ACTIONS: dict[str, Action] = {
    "SendSms": send_sms,
    "SendBatchSms": send_batch_sms,
    "QuerySendDetails": query_send_details,
    "QuerySmsSign": query_sms_sign,
    "GetSmsSign": get_sms_sign,
    "QuerySmsTemplate": query_sms_template,
    "GetSmsTemplate": get_sms_template,
    "SendSmsVerifyCode": send_sms_verify_code,
    "CheckSmsVerifyCode": check_sms_verify_code,
    "QueryTokenForMnsQueue": query_queue_key,
}

_MAX_BODY = 1_000_000

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",  # With "no-referrer" the inbox's own forms would have no origin.
    "X-Content-Type-Options": "nosniff",
}


def create_sandbox(
    config: SandboxConfig, clock: Clock = utc_now, pause: Callable[[float], None] = time.sleep
) -> Flask:
    """Make a sandbox with an empty inbox.

    Args:
        config: The account that it plays.
        clock: Tells the time by which timestamps, nonces, flow control, deliveries, queues and
            the waits between posts of reports are judged.
        pause: Waits so many seconds; used by the magic numbers that answer late.
    """
    desk = _desk(config, clock, pause)
    credentials = Credentials(config.access_keys, config.sts_keys)
    app = Flask(__name__, static_folder=None, template_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = _MAX_BODY
    app.config["MAX_FORM_MEMORY_SIZE"] = _MAX_BODY
    app.extensions["sandbox"] = desk
    app.register_blueprint(api_blueprint(desk, Verifier(credentials, Nonces(), clock), ACTIONS))
    app.register_blueprint(mns_blueprint(desk, MnsVerifier(desk.queue_keys, credentials, clock)))
    app.register_blueprint(inbox_blueprint(desk))
    app.register_blueprint(report_blueprint(desk))
    app.after_request(_protect)
    return app


def _desk(config: SandboxConfig, clock: Clock, pause: Callable[[float], None]) -> SandboxState:
    return SandboxState(
        config=config,
        clock=clock,
        pause=pause,
        inbox=Inbox(config.inbox_size),
        flow_control=FlowControl(config.flow_limits),
        reports=Reports(config, clock),
        queue_keys=QueueKeys(config.queue_key_seconds),
        issued_codes=IssuedCodes(),
    )


def _protect(response: Response) -> Response:
    response.headers.update(_HEADERS)
    return response
