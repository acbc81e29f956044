"""Reconciles sends of unknown outcome by asking the provider.

This prevents sending the same SMS twice: SendSms is billed and not idempotent. A send counts as sent unless
the provider reports that it failed, or does not list it or offers no lookups `LISTING_DELAY` seconds later.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from otp_service.domain.crypto import Keyring
from otp_service.domain.messages import DeliveryLookup, DeliveryLookupStatus, MessageReference
from otp_service.domain.phone import Phone
from otp_service.domain.verification import DeliveryReport, DeliveryStatus, SmsSend
from otp_service.services.interfaces import Clock, EventLogger, SmsSender, Store

LISTING_DELAY = 60
"""In seconds. A send that its provider still does not list after this time was not made."""

LOOKUP_TIMEOUT = 2.5
"""In seconds. Short enough that a resend through a second route is still possible afterwards."""

_SENT = {
    DeliveryLookupStatus.ACCEPTED: DeliveryStatus.ACCEPTED,
    DeliveryLookupStatus.DELIVERED: DeliveryStatus.DELIVERED,
    DeliveryLookupStatus.UNDELIVERED: DeliveryStatus.UNDELIVERED,
}


@dataclass(frozen=True, slots=True)
class UnknownDelivery:
    """A *send* to *phone* whose outcome is unknown at *now* (unix seconds, of the store's clock).

    *call* is the one that needs the outcome: `resend` or `status`.
    """

    call: str
    phone: Phone
    client: str
    purpose: str
    reference: MessageReference
    send: SmsSend
    now: float


class UnknownDeliveryReconciler:
    """Asks providers about sends of unknown outcome and records their answers."""

    def __init__(
        self, *, keyring: Keyring, store: Store, sender: SmsSender, clock: Clock, events: EventLogger
    ) -> None:
        self._keyring = keyring
        self._store = store
        self._sender = sender
        self._clock = clock
        self._events = events

    def must_assume_sent(self, unknown: UnknownDelivery, deadline: float) -> bool:
        """Ask the provider about a send; return whether it counts as sent.

        Takes at most LOOKUP_TIMEOUT seconds, and ends LOOKUP_TIMEOUT seconds before *deadline* (monotonic
        seconds), so that a resend has as much time.

        Raises:
            StoreUnavailable: the answer could not be recorded.
        """
        status = self._look_up(unknown, deadline)
        if status is DeliveryLookupStatus.UNDELIVERED:
            return False
        if status in (DeliveryLookupStatus.NOT_FOUND, DeliveryLookupStatus.UNSUPPORTED):
            return unknown.now - unknown.send.at < LISTING_DELAY
        return True

    def _look_up(self, unknown: UnknownDelivery, deadline: float) -> DeliveryLookupStatus:
        reference = unknown.reference
        if not self._store.acquire_lookup_lease(
            reference.phone_hash, reference.verification_hash, unknown.call
        ):
            return DeliveryLookupStatus.NO_ANSWER  # another call has just asked
        lookup = DeliveryLookup(
            phone=unknown.phone,
            client=unknown.client,
            purpose=unknown.purpose,
            route=unknown.send.route,
            began_at=unknown.send.at,
            matches=partial(self._matches, reference),
        )
        until = min(self._clock.monotonic() + LOOKUP_TIMEOUT, deadline - LOOKUP_TIMEOUT)
        found = self._sender.lookup_delivery(lookup, until)
        self._log(unknown, found.status, found.reason)
        if delivery := _SENT.get(found.status):
            report = DeliveryReport(
                reference.phone_hash, reference.verification_hash, reference.number, delivery, found.reason
            )
            self._store.apply_delivery_reports([report])
        return found.status

    def _matches(self, reference: MessageReference, text: str) -> bool:
        keys = (derived.message_reference for derived in self._keyring.by_kid.values())
        return MessageReference.decode(text, keys) == reference

    def _log(self, unknown: UnknownDelivery, status: DeliveryLookupStatus, reason: str) -> None:
        self._events.emit(
            "delivery_lookup",
            phone_hash=unknown.reference.phone_hash,
            phone_masked=str(unknown.phone),
            client=unknown.client,
            verification_hash=unknown.reference.verification_hash,
            number=unknown.reference.number,
            route=unknown.send.route,
            status=status.value,
            provider_code=reason,
        )
