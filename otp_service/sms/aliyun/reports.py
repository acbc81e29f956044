"""Reads Aliyun's delivery reports and inbound SMS, and explains its codes for SMS that were not delivered."""

from __future__ import annotations

from datetime import UTC, datetime

from otp_service.domain.reports import DeliveryFailure, ProviderReport, ReceivedSms, UnreadableReports
from otp_service.domain.verification import DeliveryStatus
from otp_service.sms.aliyun.protocol import reports
from otp_service.sms.aliyun.protocol.phone_numbers import NotMainlandMobile, e164, national
from otp_service.sms.aliyun.protocol.receipts import Delivery, lookup_receipt
from otp_service.sms.aliyun.protocol.reports import BadReports, SmsReport, SmsUp

_DELIVERIES = {
    Delivery.DELIVERED: DeliveryStatus.DELIVERED,
    Delivery.UNDELIVERED: DeliveryStatus.UNDELIVERED,
    Delivery.WAITING: DeliveryStatus.ACCEPTED,
}


class AliyunReportParser:
    """Implements `interfaces.ReportParser`."""

    def read_body(self, body: bytes) -> list[object]:
        """See `interfaces.ReportParser.read_body`."""
        try:
            return reports.read_body(body)
        except BadReports as error:
            raise UnreadableReports(str(error)) from None

    def read_item(self, item: object) -> ProviderReport | ReceivedSms:
        """See `interfaces.ReportParser.read_item`."""
        try:
            read = reports.read_item(item)
        except BadReports as error:
            raise UnreadableReports(str(error)) from None
        return _report(read) if isinstance(read, SmsReport) else _received(read)

    def describe_item(self, item: object) -> list[str]:
        """See `interfaces.ReportParser.describe_item`."""
        return reports.describe_item(item)


def describe_failure(code: str) -> DeliveryFailure:
    """Return what *code* means. A carrier's own code has a general explanation."""
    info = lookup_receipt(code)
    return DeliveryFailure(code, info.english, info.chinese)


def _report(item: SmsReport) -> ProviderReport:
    return ProviderReport(item.out_id, _DELIVERIES[item.delivery], item.code)


def _received(item: SmsUp) -> ReceivedSms:
    sent_at = item.sent_at or datetime.fromtimestamp(0, UTC)
    return ReceivedSms(
        phone=_e164(item.number),
        content=item.content,
        sender=item.sender,
        sent_at=sent_at.timestamp(),
        sign_name=item.sign_name,
        identity=(item.number, item.content, item.sender, item.sequence_id, str(item.sent_at)),
    )


def _e164(number: str) -> str:
    """Return *number* in E.164. Aliyun writes mainland numbers bare, others with their country code."""
    try:
        return e164(national(number))
    except NotMainlandMobile:
        return "+" + number.lstrip("+")
