"""Delivery reports and inbound SMS, which providers send unprompted.

Reports are not signed, but the reference in a report is: this service created it, with a MAC, and it
identifies the send. A report without such a reference changes nothing, and no phone number has to be stored
to find a send.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from otp_service.domain.crypto import Keyring, hmac_fields
from otp_service.domain.messages import InboundSms, MessageReference
from otp_service.domain.phone import mask
from otp_service.domain.reports import ProviderReport, ReceivedSms, UnreadableReports
from otp_service.domain.verification import DeliveryReport, DeliveryUpdate
from otp_service.services.interfaces import Clock, EventLogger, InboundSmsForwarder, ReportParser, Store

_ID_BYTES = 16

MAX_DESCRIBED = 10
"""Maximum number of unreadable items in one body whose structure is logged. All of them are counted."""


@dataclass(frozen=True, slots=True)
class ReportBatchResult:
    """The number of items in one body, by result."""

    updated: int = 0
    """Reports that changed the status of a send."""
    repeated: int = 0
    expired: int = 0
    """Reports of this service's SMS whose verifications the store no longer holds."""
    unrecognized: int = 0
    """Reports without a reference of this service."""
    malformed: int = 0
    """Items that cannot be read; 1 for a body that cannot be read."""
    forwarded: int = 0
    """Inbound SMS that the webhook has accepted."""
    dropped: int = 0
    """Inbound SMS for which no webhook is configured."""
    must_retry: int = 0
    """Inbound SMS that could not be forwarded: the provider must report them again."""


class DeliveryReportService:
    """Records delivery reports and forwards inbound SMS; without *forwarder* it drops them. Thread-safe."""

    def __init__(
        self,
        *,
        keyring: Keyring,
        store: Store,
        clock: Clock,
        events: EventLogger,
        parser: ReportParser,
        forwarder: InboundSmsForwarder | None,
    ) -> None:
        self._keyring = keyring
        self._store = store
        self._clock = clock
        self._events = events
        self._parser = parser
        self._forwarder = forwarder

    def process(self, body: bytes, deadline: float) -> ReportBatchResult:
        """Record every report in *body* and forward every inbound SMS, until *deadline* (monotonic seconds).

        Processing the same body again changes nothing, except that inbound SMS are forwarded again with the
        same id.

        Raises:
            UnreadableReports: the body holds no items at all.
            StoreUnavailable: it is unknown what was recorded; the provider must report the body again.
        """
        items, malformed = self._read_items(self._read_body(body))
        counts = Counter(malformed=malformed)
        counts.update(self._record([item for item in items if isinstance(item, ProviderReport)]))
        counts.update(self._forward(item, deadline) for item in items if isinstance(item, ReceivedSms))
        result = ReportBatchResult(**counts)
        self._log(result)
        return result

    def _read_body(self, body: bytes) -> list[object]:
        try:
            return self._parser.read_body(body)
        except UnreadableReports:
            self._events.emit("report_unreadable", part="body", fields=[], bytes=len(body))
            self._log(ReportBatchResult(malformed=1))
            raise

    def _read_items(self, items: Iterable[object]) -> tuple[list[ProviderReport | ReceivedSms], int]:
        """Return the readable items and the number of unreadable ones; log the structure of the latter."""
        read: list[ProviderReport | ReceivedSms] = []
        malformed = 0
        for item in items:
            try:
                read.append(self._parser.read_item(item))
            except UnreadableReports:
                malformed += 1
                if malformed <= MAX_DESCRIBED:
                    fields = self._parser.describe_item(item)
                    self._events.emit("report_unreadable", part="item", fields=fields)
        return read, malformed

    def _log(self, result: ReportBatchResult) -> None:
        counts = {name: getattr(result, name) for name in ReportBatchResult.__slots__}
        self._events.emit("delivery_report_batch", **counts)

    # ── delivery reports ──

    def _record(self, items: Iterable[ProviderReport]) -> Counter[str]:
        keys = [derived.message_reference for derived in self._keyring.by_kid.values()]
        read = [(MessageReference.decode(item.reference, keys), item) for item in items]
        ours = [(reference, item) for reference, item in read if reference]
        updates = self._store.apply_delivery_reports(
            [_delivery_report(reference, item) for reference, item in ours]
        )
        outcomes = [
            self._log_update(reference, item, update)
            for (reference, item), update in zip(ours, updates, strict=True)
        ]
        return Counter(outcomes) + Counter(unrecognized=len(read) - len(ours))

    def _log_update(
        self, reference: MessageReference, item: ProviderReport, update: DeliveryUpdate | None
    ) -> str:
        """Log what one report has changed; return the name of the count in `ReportBatchResult`."""
        if update is None:
            return "expired"
        if not update.changed:
            return "repeated"
        self._events.emit(
            "delivery_report",
            phone_hash=reference.phone_hash,
            client=update.client,
            purpose=update.purpose,
            verification_hash=reference.verification_hash,
            number=reference.number,
            route=update.route,
            delivery=item.delivery.value,
            provider_code=item.reason,
        )
        return "updated"

    # ── inbound SMS ──

    def _forward(self, item: ReceivedSms, deadline: float) -> str:
        outcome = "dropped"
        if self._forwarder:
            seconds = deadline - self._clock.monotonic()
            is_accepted = seconds > 0 and self._forwarder.forward(self._inbound_sms(item), seconds)
            outcome = "forwarded" if is_accepted else "must_retry"
        self._events.emit(
            "inbound_sms",
            phone_hash=self._keyring.phone_hash(item.phone),
            phone_masked=mask(item.phone),
            outcome=outcome,
        )
        return outcome

    def _inbound_sms(self, item: ReceivedSms) -> InboundSms:
        """Return the SMS with an id that reveals nothing, and stays the same when it is reported again."""
        fields = (text.encode("utf-8", "backslashreplace") for text in item.identity)
        mac = hmac_fields(self._keyring.active.message_reference, (b"uplink", *fields))
        return InboundSms(
            id="sms_" + base64.urlsafe_b64encode(mac[:_ID_BYTES]).decode().rstrip("="),
            phone=item.phone,
            content=item.content,
            sender=item.sender,
            sent_at=item.sent_at,
            sign_name=item.sign_name,
        )


def _delivery_report(reference: MessageReference, item: ProviderReport) -> DeliveryReport:
    return DeliveryReport(
        reference.phone_hash, reference.verification_hash, reference.number, item.delivery, item.reason
    )
