"""Looks up the state of a send through QuerySendDetails.

https://help.aliyun.com/document_detail/419277.html: a list covers one number and one day in China. Only a row
with our out id counts. Its absence counts only if the whole list was read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from otp_service.domain.messages import DeliveryLookup, DeliveryLookupResult, DeliveryLookupStatus
from otp_service.services.interfaces import Clock
from otp_service.sms.aliyun.api import AliyunApi, read_fields
from otp_service.sms.aliyun.protocol.receipts import plain_code
from otp_service.sms.aliyun.protocol.timestamps import china_date
from otp_service.sms.aliyun.recipients import UnsupportedRecipient, phone_numbers
from otp_service.sms.http import TransportError

ACTION = "QuerySendDetails"
PAGE_SIZE = 50
MAX_PAGES = 3
"""Enough, because a number gets at most 40 SMS in 24 hours from all senders."""

MIDNIGHT = timedelta(minutes=10)
"""This close to midnight in China, the provider may list a send under the other day."""

_STATUSES = {
    "1": DeliveryLookupStatus.ACCEPTED,
    "2": DeliveryLookupStatus.UNDELIVERED,
    "3": DeliveryLookupStatus.DELIVERED,
}

Row = Mapping[str, object]


class Unreadable(Exception):
    """The list is missing or incomplete."""


class SendDetailsQuery:
    """Looks up sends of one account."""

    def __init__(self, api: AliyunApi, clock: Clock) -> None:
        self._api = api
        self._clock = clock

    def lookup_delivery(self, lookup: DeliveryLookup, deadline: float) -> DeliveryLookupResult:
        """Search the lists of the possible days for the send, until *deadline* (monotonic seconds)."""
        try:
            for day in days(lookup.began_at):
                for row in self._rows(lookup, day, deadline):
                    if lookup.matches(_text(row, "OutId")):
                        return _found(row)
        except (Unreadable, UnsupportedRecipient):
            return DeliveryLookupResult(DeliveryLookupStatus.NO_ANSWER)
        return DeliveryLookupResult(DeliveryLookupStatus.NOT_FOUND)

    def _rows(self, lookup: DeliveryLookup, day: str, deadline: float) -> Iterator[Row]:
        """Yield the rows of *day*, page by page.

        Raises:
            Unreadable: rows are missing.
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
            response = self._api.call(ACTION, params, seconds=seconds)
        except TransportError:
            raise Unreadable from None
        return read_page(response.status, response.headers, response.body)


def days(began_at: float) -> list[str]:
    """Return the days in China, as `yyyyMMdd`, under which a send that began then may be listed."""
    began = datetime.fromtimestamp(began_at, UTC)
    moments = (began, began - MIDNIGHT, began + MIDNIGHT)
    return list(dict.fromkeys(china_date(moment) for moment in moments))


def read_page(status: int, headers: Mapping[str, str], body: bytes) -> tuple[int, list[Row]]:
    """Return the number of rows in the whole list, and the rows of one page.

    Raises:
        Unreadable: the response is not such a list.
    """
    fields = read_fields(headers, body)
    total = str(fields.all.get("TotalCount", ""))
    rows = _rows(fields.all.get("SmsSendDetailDTOs"))
    if status != 200 or fields.code != "OK" or not total.isdecimal() or rows is None:  # noqa: PLR2004 - HTTP's own
        raise Unreadable
    return int(total), rows


def _rows(holder: object) -> list[Row] | None:
    """Return the rows; an empty list may lack its inner array."""
    rows = holder.get("SmsSendDetailDTO", []) if isinstance(holder, dict) else None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else None


def _found(row: Row) -> DeliveryLookupResult:
    """Return what our row says. Even a row with an unknown status shows that the SMS was sent."""
    status = _STATUSES.get(str(row.get("SendStatus")), DeliveryLookupStatus.ACCEPTED)
    return DeliveryLookupResult(
        status, plain_code(row.get("ErrCode")) if status is not DeliveryLookupStatus.ACCEPTED else ""
    )


def _text(row: Row, name: str) -> str:
    value = row.get(name)
    return value if isinstance(value, str) else ""
