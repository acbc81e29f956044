"""Reconciles sends of unknown outcome by asking the provider.

Sending the same SMS twice is what this prevents: SendSms is billed and not idempotent. So only a provider
that says so makes a send count as not sent; one that says nothing leaves it counted as sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from otp_service.domain.keyring import Keyring
from otp_service.domain.messages import DeliveryLookup, DeliveryLookupStatus
from otp_service.domain.out_id import MessageReference
from otp_service.domain.phone import Phone
from otp_service.domain.verification import DeliveryReport, DeliveryStatus, SmsSend
from otp_service.services.interfaces import Clock, EventLogger, SmsSender, Store

LISTING_DELAY = 60
"""Seconds after which a send that the provider does not list has not happened."""

LOOKUP_TIMEOUT = 2.5
"""As long as a second route would need: a resend must still be possible afterwards."""

_SENT = {
    DeliveryLookupStatus.ACCEPTED: DeliveryStatus.ACCEPTED,
    DeliveryLookupStatus.DELIVERED: DeliveryStatus.DELIVERED,
    DeliveryLookupStatus.UNDELIVERED: DeliveryStatus.UNDELIVERED,
}


@dataclass(frozen=True, slots=True)
class UnknownDelivery:
    """A *send* to *phone* of whose outcome nothing is known at *now* (unix seconds, of the store's clock).

    *call* is the one that wants to know: `resend` or `status`.
    """

    call: str
    phone: Phone
    client: str
    purpose: str
    out_id: MessageReference
    send: SmsSend
    now: float


class UnknownDeliveryReconciler:
    """Asks providers about doubtful sends and books what they say."""

    def __init__(
        self, *, keyring: Keyring, store: Store, sender: SmsSender, clock: Clock, events: EventLogger
    ) -> None:
        self._keyring = keyring
        self._store = store
        self._sender = sender
        self._clock = clock
        self._events = events

    def must_assume_sent(self, doubt: UnknownDelivery, deadline: float) -> bool:
        """Ask what became of the send; tell whether it must be taken for sent.

        Not more than INQUIRY_SECONDS, and so long before *deadline* (monotonic seconds) that a resend still
        has as much.

        Raises:
            StoreUnavailable: what was found could not be booked.
        """
        finding = self._ask(doubt, deadline)
        if finding is DeliveryLookupStatus.UNDELIVERED:
            return False
        if finding in (DeliveryLookupStatus.NOT_FOUND, DeliveryLookupStatus.UNSUPPORTED):
            return doubt.now - doubt.send.at < LISTING_DELAY
        return True

    def _ask(self, doubt: UnknownDelivery, deadline: float) -> DeliveryLookupStatus:
        out_id = doubt.out_id
        if not self._store.acquire_lookup_lease(out_id.tag, out_id.verification_hash, doubt.call):
            return DeliveryLookupStatus.NO_ANSWER  # somebody has just asked
        inquiry = DeliveryLookup(
            phone=doubt.phone,
            client=doubt.client,
            purpose=doubt.purpose,
            route=doubt.send.route,
            began_at=doubt.send.at,
            matches=partial(self._is_of, out_id),
        )
        until = min(self._clock.monotonic() + LOOKUP_TIMEOUT, deadline - LOOKUP_TIMEOUT)
        found = self._sender.lookup_delivery(inquiry, until)
        self._tell(doubt, found.status, found.reason)
        if delivery := _SENT.get(found.status):
            report = DeliveryReport(
                out_id.tag, out_id.verification_hash, out_id.number, delivery, found.reason
            )
            self._store.apply_delivery_reports([report])
        return found.status

    def _is_of(self, out_id: MessageReference, text: str) -> bool:
        keys = (sub_keys.out_id for sub_keys in self._keyring.by_kid.values())
        return MessageReference.decode(text, keys) == out_id

    def _tell(self, doubt: UnknownDelivery, finding: DeliveryLookupStatus, reason: str) -> None:
        self._events.emit(
            "delivery_lookup",
            phone_hash=doubt.out_id.tag,
            phone_masked=str(doubt.phone),
            client=doubt.client,
            verification_hash=doubt.out_id.verification_hash,
            number=doubt.out_id.number,
            route=doubt.send.route,
            status=finding.value,
            provider_code=reason,
        )
