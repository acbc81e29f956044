"""The provider `webhook`: SMS, and replies of phones, are handed to a service of the operator's.

Imports what `sms` may import, and standardwebhooks.
"""

from __future__ import annotations

from otp_service.sms.webhook.hook import WebhookClient
from otp_service.sms.webhook.provider import Webhook
from otp_service.sms.webhook.uplinks import InboundSmsWebhook

__all__ = ["InboundSmsWebhook", "Webhook", "WebhookClient"]
