"""Builds the sandbox's Flask application from its parts."""

from __future__ import annotations

import time
from collections.abc import Callable

from flask import Flask, Response

from otp_service.sandbox.api.blueprint import api_blueprint
from otp_service.sandbox.api.flow_control import FlowControl
from otp_service.sandbox.api.issued_codes import IssuedCodes
from otp_service.sandbox.api.pnvs import check_sms_verify_code, send_sms_verify_code
from otp_service.sandbox.api.queries import (
    get_sms_sign,
    get_sms_template,
    query_send_details,
    query_sms_sign,
    query_sms_template,
)
from otp_service.sandbox.api.send_sms import send_batch_sms, send_sms
from otp_service.sandbox.api.verifier import Nonces, Verifier
from otp_service.sandbox.config import Clock, SandboxConfig, utc_now
from otp_service.sandbox.credentials import Credentials
from otp_service.sandbox.inbox.messages import Inbox
from otp_service.sandbox.inbox.pages import inbox_blueprint, report_blueprint
from otp_service.sandbox.reports.mns_api import mns_blueprint, query_token_for_mns_queue
from otp_service.sandbox.reports.mns_credentials import MnsVerifier, QueueKeys
from otp_service.sandbox.reports.reports import Reports
from otp_service.sandbox.state import Action, SandboxState

#: The actions of all three APIs (Dysmsapi, Dypnsapi, Dybaseapi), which share one version and one port.
#: To add an action, write a function and add a row.
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
    "QueryTokenForMnsQueue": query_token_for_mns_queue,
}

_MAX_BODY = 1_000_000

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",  # With "no-referrer", the inbox's forms have no origin.
    "X-Content-Type-Options": "nosniff",
}


def create_sandbox(
    config: SandboxConfig, clock: Clock = utc_now, pause: Callable[[float], None] = time.sleep
) -> Flask:
    """Create a sandbox with an empty inbox.

    Args:
        config: The simulated account.
        clock: Returns the time used for timestamps, nonces, flow control, deliveries, queues and the
            delays between report posts.
        pause: Sleeps for a number of seconds; used by the magic numbers that respond late.
    """
    state = _create_state(config, clock, pause)
    credentials = Credentials(config.access_keys, config.sts_keys)
    app = Flask(__name__, static_folder=None, template_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = _MAX_BODY
    app.config["MAX_FORM_MEMORY_SIZE"] = _MAX_BODY
    app.extensions["sandbox"] = state
    app.register_blueprint(api_blueprint(state, Verifier(credentials, Nonces(), clock), ACTIONS))
    app.register_blueprint(mns_blueprint(state, MnsVerifier(state.queue_keys, credentials, clock)))
    app.register_blueprint(inbox_blueprint(state))
    app.register_blueprint(report_blueprint(state))
    app.after_request(_add_security_headers)
    return app


def _create_state(config: SandboxConfig, clock: Clock, pause: Callable[[float], None]) -> SandboxState:
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


def _add_security_headers(response: Response) -> Response:
    response.headers.update(_HEADERS)
    return response
