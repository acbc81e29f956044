"""Doubts: sends of unknown outcome, cleared up by asking the provider. Touches nothing.

Sending the same SMS twice is what this prevents: SendSms is billed and not idempotent. So only a provider
that says so makes a send count as not sent; one that says nothing leaves it counted as sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from otp_service.keyring import Keyring
from otp_service.out_id import OutId
from otp_service.phone import Phone
from otp_service.ports import Clock, DeliveryReport, Events, Finding, Inquiry, SmsSender, Store
from otp_service.verification import Delivery, Send

LISTED_AFTER = 60
"""Seconds after which a send that the provider does not list has not happened."""

INQUIRY_SECONDS = 2.5
"""As long as a second route would need: a resend must still be possible afterwards."""

_SENT = {
    Finding.ACCEPTED: Delivery.ACCEPTED,
    Finding.DELIVERED: Delivery.DELIVERED,
    Finding.UNDELIVERED: Delivery.UNDELIVERED,
}


@dataclass(frozen=True, slots=True)
class Doubt:
    """A *send* to *phone* of whose outcome nothing is known at *now* (unix seconds, of the store's clock).

    *call* is the one that wants to know: `resend` or `status`.
    """

    call: str
    phone: Phone
    client: str
    purpose: str
    out_id: OutId
    send: Send
    now: float


class Doubts:
    """Asks providers about doubtful sends and books what they say."""

    def __init__(
        self, *, keyring: Keyring, store: Store, sender: SmsSender, clock: Clock, events: Events
    ) -> None:
        self._keyring = keyring
        self._store = store
        self._sender = sender
        self._clock = clock
        self._events = events

    def counts_as_sent(self, doubt: Doubt, deadline: float) -> bool:
        """Ask what became of the send; tell whether it must be taken for sent.

        Not more than INQUIRY_SECONDS, and so long before *deadline* (monotonic seconds) that a resend still
        has as much.

        Raises:
            StoreUnavailable: what was found could not be booked.
        """
        finding = self._ask(doubt, deadline)
        if finding is Finding.UNDELIVERED:
            return False
        if finding in (Finding.ABSENT, Finding.UNASKED):
            return doubt.now - doubt.send.at < LISTED_AFTER
        return True

    def _ask(self, doubt: Doubt, deadline: float) -> Finding:
        out_id = doubt.out_id
        if not self._store.claim_inquiry(out_id.tag, out_id.verification_hash, doubt.call):
            return Finding.SILENT  # somebody has just asked
        inquiry = Inquiry(
            phone=doubt.phone,
            client=doubt.client,
            purpose=doubt.purpose,
            route=doubt.send.route,
            began_at=doubt.send.at,
            is_ours=partial(self._is_of, out_id),
        )
        until = min(self._clock.monotonic() + INQUIRY_SECONDS, deadline - INQUIRY_SECONDS)
        found = self._sender.inquire(inquiry, until)
        self._tell(doubt, found.finding, found.reason)
        if delivery := _SENT.get(found.finding):
            report = DeliveryReport(
                out_id.tag, out_id.verification_hash, out_id.number, delivery, found.reason
            )
            self._store.report([report])
        return found.finding

    def _is_of(self, out_id: OutId, text: str) -> bool:
        keys = (sub_keys.out_id for sub_keys in self._keyring.by_kid.values())
        return OutId.read(text, keys) == out_id

    def _tell(self, doubt: Doubt, finding: Finding, reason: str) -> None:
        self._events.emit(
            "inquiry",
            phone=doubt.out_id.tag,
            phone_masked=str(doubt.phone),
            client=doubt.client,
            verification_hash=doubt.out_id.verification_hash,
            number=doubt.out_id.number,
            route=doubt.send.route,
            finding=finding.value,
            provider_code=reason,
        )
