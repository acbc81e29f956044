"""Inbound SMS, posted to the operator; touches the network through `WebhookClient`."""

from __future__ import annotations

from datetime import UTC, datetime

from otp_service.domain.messages import InboundSms
from otp_service.services.interfaces import EventLogger
from otp_service.sms.http import TransportError
from otp_service.sms.webhook.hook import WebhookClient, rfc3339

RECEIVED = "sms.received"


class InboundSmsWebhook:
    """Posts every reply to a *hook*."""

    def __init__(self, *, hook: WebhookClient, events: EventLogger) -> None:
        self._hook = hook
        self._events = events

    def forward(self, uplink: InboundSms, seconds: float) -> bool:
        """Post *uplink* within *seconds*; False when nobody has taken it. Never raises."""
        if seconds <= 0:
            return self._failed("deadline")
        try:
            answer = self._hook.post(RECEIVED, uplink.id, _data(uplink), seconds=seconds)
        except TransportError as error:
            return self._failed(error.reason)
        except Exception as error:  # noqa: BLE001 - a reply that cannot be written must not stop the others
            return self._failed(type(error).__name__)
        return 200 <= answer.status < 300 or self._failed(f"http_{answer.status}")  # noqa: PLR2004 - HTTP's own

    def close(self) -> None:
        """Close the idle connections."""
        self._hook.close()

    def _failed(self, reason: str) -> bool:
        """Record why; the texts of errors may hold the reply."""
        self._events.emit("inbound_sms_forward_failed", reason=reason)
        return False


def _data(uplink: InboundSms) -> dict[str, object]:
    return {
        "id": uplink.id,
        "phone": uplink.phone,
        "content": uplink.content,
        "sender": uplink.sender,
        # Unix second 0 stands for a time that nobody could read.
        "sent_at": rfc3339(datetime.fromtimestamp(uplink.sent_at, UTC)) if uplink.sent_at else None,
        "sign_name": uplink.sign_name,
    }
