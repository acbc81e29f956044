"""QuerySendDetails, read: what became of one of our sends. Touches the network through `AliyunApi`.

https://help.aliyun.com/document_detail/419277.html: the list is of one number and one day in China. Only a
row with our out id tells anything; that there is none counts only where the whole list was seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from otp_service.domain.messages import DeliveryLookup, DeliveryLookupResult, DeliveryLookupStatus
from otp_service.services.interfaces import Clock
from otp_service.sms.aliyun.api import AliyunApi
from otp_service.sms.aliyun.fields import read_fields
from otp_service.sms.aliyun.phone_numbers import UnsupportedRecipient, phone_numbers
from otp_service.sms.aliyun.protocol.receipts import plain_code
from otp_service.sms.aliyun.protocol.timestamps import china_date
from otp_service.sms.http import TransportError

ACTION = "QuerySendDetails"
PAGE_SIZE = 50
MAX_PAGES = 3
"""A number gets 40 SMS in 24 hours, whoever sends them."""

MIDNIGHT = timedelta(minutes=10)
"""So near to midnight in China the provider may have put a send under the other day."""

_FINDINGS = {
    "1": DeliveryLookupStatus.ACCEPTED,
    "2": DeliveryLookupStatus.UNDELIVERED,
    "3": DeliveryLookupStatus.DELIVERED,
}

Row = Mapping[str, object]


class Unreadable(Exception):
    """The list did not come, or not whole."""


class SendDetailsQuery:
    """Asks about sends of one account."""

    def __init__(self, api: AliyunApi, clock: Clock) -> None:
        self._api = api
        self._clock = clock

    def lookup_delivery(self, lookup: DeliveryLookup, deadline: float) -> DeliveryLookupResult:
        """Look for the send in the lists of its days, until *deadline* (monotonic seconds)."""
        try:
            for day in days(lookup.began_at):
                for row in self._rows(lookup, day, deadline):
                    if lookup.matches(_text(row, "OutId")):
                        return _found(row)
        except (Unreadable, UnsupportedRecipient):
            return DeliveryLookupResult(DeliveryLookupStatus.NO_ANSWER)
        return DeliveryLookupResult(DeliveryLookupStatus.NOT_FOUND)

    def _rows(self, lookup: DeliveryLookup, day: str, deadline: float) -> Iterator[Row]:
        """Yield the list of *day*, a page at a time.

        Raises:
            Unreadable: what was yielded is not all.
        """
        seen = 0
        for page in range(1, MAX_PAGES + 1):
            total, rows = self._page(lookup, day, page, deadline)
            yield from rows
            seen += len(rows)
            if seen >= total:
                return
            if len(rows) < PAGE_SIZE:
                break  # rows are missing
        raise Unreadable

    def _page(self, lookup: DeliveryLookup, day: str, page: int, deadline: float) -> tuple[int, list[Row]]:
        seconds = deadline - self._clock.monotonic()
        if seconds <= 0:
            raise Unreadable
        params = {
            "PhoneNumber": phone_numbers(lookup.phone),
            "SendDate": day,
            "PageSize": str(PAGE_SIZE),
            "CurrentPage": str(page),
        }
        try:
            answer = self._api.call(ACTION, params, seconds=seconds)
        except TransportError:
            raise Unreadable from None
        return read_page(answer.status, answer.headers, answer.body)


def days(began_at: float) -> list[str]:
    """Return the days in China, as `yyyyMMdd`, under which a send that began then may stand."""
    began = datetime.fromtimestamp(began_at, UTC)
    moments = (began, began - MIDNIGHT, began + MIDNIGHT)
    return list(dict.fromkeys(china_date(moment) for moment in moments))


def read_page(status: int, headers: Mapping[str, str], body: bytes) -> tuple[int, list[Row]]:
    """Return how many rows the whole list has, and those of one page.

    Raises:
        Unreadable: the answer is no such list.
    """
    fields = read_fields(headers, body)
    total = str(fields.all.get("TotalCount", ""))
    rows = _rows(fields.all.get("SmsSendDetailDTOs"))
    if status != 200 or fields.code != "OK" or not total.isdecimal() or rows is None:  # noqa: PLR2004 - HTTP's own
        raise Unreadable
    return int(total), rows


def _rows(holder: object) -> list[Row] | None:
    """Return the rows; an empty list may come without its holder's content."""
    rows = holder.get("SmsSendDetailDTO", []) if isinstance(holder, dict) else None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else None


def _found(row: Row) -> DeliveryLookupResult:
    """Read our row. With a status that nobody knows it still says that the SMS was sent."""
    finding = _FINDINGS.get(str(row.get("SendStatus")), DeliveryLookupStatus.ACCEPTED)
    return DeliveryLookupResult(
        finding, plain_code(row.get("ErrCode")) if finding is not DeliveryLookupStatus.ACCEPTED else ""
    )


def _text(row: Row, name: str) -> str:
    value = row.get(name)
    return value if isinstance(value, str) else ""
