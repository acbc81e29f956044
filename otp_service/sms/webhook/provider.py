"""SMS through a service of the operator's; touches the network through `WebhookClient`."""

from __future__ import annotations

import base64
import hashlib

from otp_service.domain.messages import (
    DeliveryLookup,
    DeliveryLookupResult,
    DeliveryLookupStatus,
    SmsMessage,
    Template,
)
from otp_service.services.interfaces import Clock
from otp_service.sms.call import send_once
from otp_service.sms.provider import ProviderResult
from otp_service.sms.webhook.answer import read_answer
from otp_service.sms.webhook.hook import WebhookClient

SEND = "otp.send"

_ID_BYTES = 16


class Webhook:
    """Posts every SMS to a *hook*; *sign_name* is passed on, and may be empty."""

    def __init__(self, *, hook: WebhookClient, sign_name: str, clock: Clock) -> None:
        self._hook = hook
        self._sign_name = sign_name
        self._clock = clock

    def send(self, sms: SmsMessage, template: Template, deadline: float) -> ProviderResult:
        """Post *sms* once; give up at *deadline* (monotonic seconds)."""
        data = self._data(sms, template)
        seconds = deadline - self._clock.monotonic()
        return send_once(
            lambda: self._hook.post(SEND, message_id(sms.out_id), data, seconds=seconds),
            lambda answer: read_answer(answer.status, answer.headers, answer.body, self._hook.now()),
            seconds,
        )

    def lookup_delivery(self, lookup: DeliveryLookup, deadline: float) -> DeliveryLookupResult:
        """Ask nobody: a receiver answers no questions."""
        del lookup, deadline
        return DeliveryLookupResult(DeliveryLookupStatus.UNSUPPORTED)

    def close(self) -> None:
        """Close the idle connections."""
        self._hook.close()

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
            "out_id": sms.out_id,
        }


def message_id(out_id: str) -> str:
    """Return an id that is the same for the same send: the out id itself authenticates reports."""
    digest = hashlib.sha256(f"webhook-id.{out_id}".encode()).digest()
    return "send_" + base64.urlsafe_b64encode(digest[:_ID_BYTES]).decode().rstrip("=")
