"""Reports: what providers tell on their own about SMS, and what people reply.

Nobody signs a report. Its out id does: we made it, with a MAC, and it names the place of the send. So a
report without one of ours changes nothing, and no number has to be kept to find what a report is about.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from otp_service.domain.crypto import Keyring, hmac_fields
from otp_service.domain.messages import InboundSms, MessageReference
from otp_service.domain.phone import mask
from otp_service.domain.verification import DeliveryReport, DeliveryStatus, DeliveryUpdate
from otp_service.services.interfaces import Clock, EventLogger, InboundSmsForwarder, Store
from otp_service.sms.aliyun.protocol import reports as aliyun
from otp_service.sms.aliyun.protocol.phone_numbers import NotMainlandMobile, e164, national
from otp_service.sms.aliyun.protocol.receipts import Delivery as Receipt
from otp_service.sms.aliyun.protocol.reports import BadReports, SmsReport, SmsUp

_DELIVERIES = {
    Receipt.DELIVERED: DeliveryStatus.DELIVERED,
    Receipt.UNDELIVERED: DeliveryStatus.UNDELIVERED,
    Receipt.WAITING: DeliveryStatus.ACCEPTED,
}

_ID_BYTES = 16

MAX_DESCRIBED = 10
"""Unreadable items of one body whose form is recorded; all of them are counted."""


@dataclass(frozen=True, slots=True)
class ReportBatchResult:
    """What became of the items of one body."""

    updated: int = 0
    """Reports that told something new."""
    repeated: int = 0
    expired: int = 0
    """Ours, but of verifications that are no longer remembered."""
    unrecognized: int = 0
    """Without an out id of ours."""
    malformed: int = 0
    """Items that cannot be read, or one for a body that cannot."""
    forwarded: int = 0
    """Replies that somebody has taken."""
    dropped: int = 0
    """Replies that nobody wants."""
    must_retry: int = 0
    """Replies that could not be passed on: they must be told again."""


class DeliveryReportService:
    """Takes what is told; threads share it. Without *uplinks* nobody wants replies."""

    def __init__(
        self,
        *,
        keyring: Keyring,
        store: Store,
        clock: Clock,
        events: EventLogger,
        uplinks: InboundSmsForwarder | None,
    ) -> None:
        self._keyring = keyring
        self._store = store
        self._clock = clock
        self._events = events
        self._uplinks = uplinks

    def process(self, body: bytes, deadline: float) -> ReportBatchResult:
        """Book every report of *body* and pass every reply on, until *deadline* (monotonic seconds).

        Taking the same body again changes nothing, but that replies are passed on again, under the same id.

        Raises:
            BadReports: the body holds no items at all.
            StoreUnavailable: nobody knows what was booked; the body must be told again.
        """
        items, malformed = self._read(self._read_body(body))
        counts = Counter(malformed=malformed)
        counts.update(self._book([item for item in items if isinstance(item, SmsReport)]))
        counts.update(self._forward(item, deadline) for item in items if isinstance(item, SmsUp))
        taken = ReportBatchResult(**counts)
        self._tell(taken)
        return taken

    def _read_body(self, body: bytes) -> list[object]:
        try:
            return aliyun.read_body(body)
        except BadReports:
            self._events.emit("report_unreadable", part="body", fields=[], bytes=len(body))
            self._tell(ReportBatchResult(malformed=1))
            raise

    def _read(self, items: Iterable[object]) -> tuple[list[SmsReport | SmsUp], int]:
        """Return what can be read, and how many items cannot; the form of each of those is recorded."""
        read: list[SmsReport | SmsUp] = []
        malformed = 0
        for item in items:
            try:
                read.append(aliyun.read_item(item))
            except BadReports:
                malformed += 1
                if malformed <= MAX_DESCRIBED:
                    self._events.emit("report_unreadable", part="item", fields=aliyun.describe_item(item))
        return read, malformed

    def _tell(self, taken: ReportBatchResult) -> None:
        self._events.emit(
            "delivery_report_batch", **{name: getattr(taken, name) for name in ReportBatchResult.__slots__}
        )

    # ── reports ──

    def _book(self, items: Iterable[SmsReport]) -> Counter[str]:
        keys = [sub_keys.out_id for sub_keys in self._keyring.by_kid.values()]
        read = [(MessageReference.decode(item.out_id, keys), item) for item in items]
        ours = [(out_id, item) for out_id, item in read if out_id]
        told = self._store.apply_delivery_reports([_delivery_report(out_id, item) for out_id, item in ours])
        outcomes = [
            self._note(out_id, item, reported) for (out_id, item), reported in zip(ours, told, strict=True)
        ]
        return Counter(outcomes) + Counter(unrecognized=len(read) - len(ours))

    def _note(self, out_id: MessageReference, item: SmsReport, reported: DeliveryUpdate | None) -> str:
        """Record what one report has told; of what is forgotten, only that it came."""
        if reported is None:
            return "expired"
        if not reported.changed:
            return "repeated"
        self._events.emit(
            "delivery_report",
            phone_hash=out_id.phone_hash,
            client=reported.client,
            purpose=reported.purpose,
            verification_hash=out_id.verification_hash,
            number=out_id.number,
            route=reported.route,
            delivery=_DELIVERIES[item.delivery].value,
            provider_code=item.code,
        )
        return "updated"

    # ── replies ──

    def _forward(self, item: SmsUp, deadline: float) -> str:
        uplink = self._uplink(item)
        outcome = self._pass_on(uplink, deadline)
        self._events.emit(
            "inbound_sms",
            phone_hash=self._keyring.phone_hash(uplink.phone),
            phone_masked=mask(uplink.phone),
            outcome=outcome,
        )
        return outcome

    def _pass_on(self, uplink: InboundSms, deadline: float) -> str:
        if self._uplinks is None:
            return "dropped"
        seconds = deadline - self._clock.monotonic()
        return "forwarded" if seconds > 0 and self._uplinks.forward(uplink, seconds) else "must_retry"

    def _uplink(self, item: SmsUp) -> InboundSms:
        sent_at = item.sent_at or datetime.fromtimestamp(0, UTC)
        return InboundSms(
            id=self._uplink_id(item),
            phone=_e164(item.number),
            content=item.content,
            sender=item.sender,
            sent_at=sent_at.timestamp(),
            sign_name=item.sign_name,
        )

    def _uplink_id(self, item: SmsUp) -> str:
        """Return an id that is the same when the same reply is told again, and tells nothing about it."""
        sent_at = str(item.sent_at)
        fields = (item.number, item.content, item.sender, item.sequence_id, sent_at)
        mac = hmac_fields(
            self._keyring.active.out_id,
            (b"uplink", *(text.encode("utf-8", "backslashreplace") for text in fields)),
        )
        return "sms_" + base64.urlsafe_b64encode(mac[:_ID_BYTES]).decode().rstrip("=")


def _delivery_report(out_id: MessageReference, item: SmsReport) -> DeliveryReport:
    delivery = _DELIVERIES[item.delivery]
    return DeliveryReport(out_id.phone_hash, out_id.verification_hash, out_id.number, delivery, item.code)


def _e164(number: str) -> str:
    """Return in E.164 what Aliyun spells bare if it is of the mainland, else with its country code."""
    try:
        return e164(national(number))
    except NotMainlandMobile:
        return "+" + number.lstrip("+")
