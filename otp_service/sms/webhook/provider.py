"""The provider itself: SMS for a service of the operator's to send; touches the network through `Hook`."""

from __future__ import annotations

import base64
import hashlib

from otp_service.domain.messages import SmsMessage, Template
from otp_service.services.interfaces import Clock, DeliveryLookup, DeliveryLookupResult, DeliveryLookupStatus
from otp_service.sms.call import call_once
from otp_service.sms.provider import Verdict
from otp_service.sms.webhook.answer import read_answer
from otp_service.sms.webhook.hook import Hook

SEND = "otp.send"

_ID_BYTES = 16


class Webhook:
    """Posts every SMS to a *hook*; *sign_name* is passed on, and may be empty."""

    def __init__(self, *, hook: Hook, sign_name: str, clock: Clock) -> None:
        self._hook = hook
        self._sign_name = sign_name
        self._clock = clock

    def send(self, sms: SmsMessage, template: Template, deadline: float) -> Verdict:
        """Post *sms* once; give up at *deadline* (monotonic seconds)."""
        data = self._data(sms, template)
        seconds = deadline - self._clock.monotonic()
        return call_once(
            lambda: self._hook.post(SEND, message_id(sms.out_id), data, seconds=seconds),
            lambda answer: read_answer(answer.status, answer.headers, answer.body, self._hook.now()),
            seconds,
        )

    def inquire(self, inquiry: DeliveryLookup, deadline: float) -> DeliveryLookupResult:
        """Ask nobody: a receiver answers no questions."""
        del inquiry, deadline
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
