"""The provider `webhook`, and inbound SMS: both post to a service that the operator runs.

`docs/webhook.md` has the table of responses. Only a 4xx counts as a refusal, because after a refusal the
quota is returned and another route may send. Every other response that is not a success may come from a proxy
in between, so it is unknown what the receiver did.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from otp_service.domain.messages import (
    DeliveryLookup,
    DeliveryLookupResult,
    DeliveryLookupStatus,
    FailureCause,
    InboundSms,
    SendResult,
    SendStatus,
    SmsMessage,
    Template,
)
from otp_service.services.interfaces import Clock, EventLogger
from otp_service.sms.http import TransportError
from otp_service.sms.provider import ProviderResult, RouteHealth, deadline_passed, no_response
from otp_service.sms.webhook_client import WebhookClient, rfc3339

SEND = "otp.send"
RECEIVED = "sms.received"

DESTINATION_REJECTED = "destination_rejected"
"""The `code` in the body of a 422 with which a receiver says that this number cannot get SMS at all."""

MAX_RETRY_AFTER = 3600
"""Seconds; a longer `Retry-After` is cut to this."""

_UNPROCESSABLE, _TOO_MANY = 422, 429
_SECONDS = re.compile(r"[0-9]{1,9}")
_ID_BYTES = 16


class WebhookProvider:
    """Posts every SMS through *webhook*; *sign_name* is passed on, and may be empty."""

    def __init__(self, *, webhook: WebhookClient, sign_name: str, clock: Clock) -> None:
        self._webhook = webhook
        self._sign_name = sign_name
        self._clock = clock

    def send(self, sms: SmsMessage, template: Template, deadline: float) -> ProviderResult:
        """Post *sms* once; give up at *deadline* (monotonic seconds)."""
        data = self._data(sms, template)
        seconds = deadline - self._clock.monotonic()
        if seconds <= 0:
            return deadline_passed()
        try:
            response = self._webhook.post(SEND, message_id(sms.reference), data, seconds=seconds)
        except TransportError as error:
            return no_response(error)
        return read_response(response.status, response.headers, response.body, self._webhook.now())

    def lookup_delivery(self, lookup: DeliveryLookup, deadline: float) -> DeliveryLookupResult:
        """Return UNSUPPORTED: receivers offer no lookup."""
        del lookup, deadline
        return DeliveryLookupResult(DeliveryLookupStatus.UNSUPPORTED)

    def close(self) -> None:
        """Close idle connections."""
        self._webhook.close()

    def _data(self, sms: SmsMessage, template: Template) -> dict[str, object]:
        return {
            "phone": sms.phone.e164,
            "code": sms.code.get_secret_value(),
            "code_type": sms.code_type.value,
            "purpose": sms.purpose,
            "locale": sms.locale,
            "client": sms.client,
            "sign_name": self._sign_name,
            "template_code": template.template_code,
            "params": template.template_param(sms.code),
            "out_id": sms.reference,
        }


class InboundSmsWebhook:
    """Implements `interfaces.InboundSmsForwarder`: posts every inbound SMS through *webhook*."""

    def __init__(self, *, webhook: WebhookClient, events: EventLogger) -> None:
        self._webhook = webhook
        self._events = events

    def forward(self, message: InboundSms, seconds: float) -> bool:
        """Post *message* within *seconds*; return whether the receiver accepted it. Never raises."""
        if seconds <= 0:
            return self._log_failure("deadline")
        try:
            response = self._webhook.post(RECEIVED, message.id, _inbound_data(message), seconds=seconds)
        except TransportError as error:
            return self._log_failure(error.reason)
        except Exception as error:  # noqa: BLE001 - one message that cannot be posted must not block the others
            return self._log_failure(type(error).__name__)
        return _is_success(response.status) or self._log_failure(f"http_{response.status}")

    def close(self) -> None:
        """Close idle connections."""
        self._webhook.close()

    def _log_failure(self, reason: str) -> bool:
        """Log *reason* and return False. The texts of exceptions may contain the message: do not log them."""
        self._events.emit("inbound_sms_forward_failed", reason=reason)
        return False


def read_response(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> ProviderResult:
    """Return the meaning of a receiver's response to an SMS."""
    code = f"http_{status}"
    if _is_success(status):
        return ProviderResult(SendResult(SendStatus.ACCEPTED, provider_code=code))
    if not 400 <= status < 500:  # noqa: PLR2004 - HTTP's own classes
        return ProviderResult(SendResult(SendStatus.UNKNOWN, provider_code=code), RouteHealth.TRANSPORT_ERROR)
    if status == _UNPROCESSABLE and _error_code(body) == DESTINATION_REJECTED:
        return ProviderResult(_refused(FailureCause.RECIPIENT, DESTINATION_REJECTED))
    if status == _TOO_MANY:
        seconds = parse_retry_after(headers.get("retry-after", ""), now)
        return ProviderResult(_refused(FailureCause.PROVIDER, code, seconds))
    return ProviderResult(_refused(FailureCause.ACCOUNT, code), RouteHealth.TEMPLATE_ERROR)


def parse_retry_after(text: str, now: datetime) -> int:
    """Return the seconds in `Retry-After`, a number or a date, at most `MAX_RETRY_AFTER`; 0 if invalid."""
    if _SECONDS.fullmatch(text):
        return min(int(text), MAX_RETRY_AFTER)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # an OverflowError for a year of many digits
        return 0
    seconds = math.ceil((at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds())
    return max(0, min(seconds, MAX_RETRY_AFTER))


def message_id(out_id: str) -> str:
    """Return an id that is the same for the same send. The out id itself authenticates reports."""
    digest = hashlib.sha256(f"webhook-id.{out_id}".encode()).digest()
    return "send_" + base64.urlsafe_b64encode(digest[:_ID_BYTES]).decode().rstrip("=")


def _is_success(status: int) -> bool:
    return 200 <= status < 300  # noqa: PLR2004 - HTTP's own class


def _refused(cause: FailureCause, code: str, retry_after: int = 0) -> SendResult:
    return SendResult(SendStatus.REFUSED, cause=cause, retry_after=retry_after, provider_code=code)


def _error_code(body: bytes) -> object:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document.get("code") if isinstance(document, dict) else None


def _inbound_data(message: InboundSms) -> dict[str, object]:
    return {
        "id": message.id,
        "phone": message.phone,
        "content": message.content,
        "sender": message.sender,
        # Unix second 0 stands for a time that could not be parsed.
        "sent_at": rfc3339(datetime.fromtimestamp(message.sent_at, UTC)) if message.sent_at else None,
        "sign_name": message.sign_name,
    }
