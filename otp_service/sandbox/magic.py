"""Magic phone numbers: each makes the sandbox simulate one kind of failure.

A request to a magic number passes the same checks as any other. Then the number's behavior decides the
response, and its delivery scenario decides what the carrier reports for an accepted SMS.
`docs/sandbox.md` contains the same table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from otp_service.sandbox.api.responses import ApiError, ApiResponse, ConnectionDropped, RawResponse
from otp_service.sms.aliyun.protocol.flow_control import (
    FLOW_CONTROL_CODE,
    FlowLimit,
    Window,
    flow_message,
)

#: Puts the SMS into the inbox and returns the response of a working provider.
Deliver = Callable[[], ApiResponse]
#: Sleeps for a number of seconds.
Pause = Callable[[float], None]


SLOW_SECONDS = 3.0
VERY_SLOW_SECONDS = 30.0
LATE_SECONDS = 10.0

_HTML_PAGE = "<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"


class Behavior(Protocol):
    """How the sandbox responds to a request."""

    def __call__(self, deliver: Deliver, pause: Pause) -> ApiResponse | RawResponse:
        """Return the response; whether *deliver* is called depends on the behavior."""


def deliver_normally(deliver: Deliver, pause: Pause) -> ApiResponse:
    """Deliver and respond, as for every number that is not magic."""
    del pause
    return deliver()


@dataclass(frozen=True)
class Refuse:
    """Refuse with one of Alibaba Cloud's error codes, without delivering."""

    code: str
    message: str | None = None

    def __call__(self, deliver: Deliver, pause: Pause) -> ApiResponse:
        """Raise the error."""
        del deliver, pause
        raise ApiError(self.code, self.message)


@dataclass(frozen=True)
class Delay:
    """Deliver, but respond late."""

    seconds: float

    def __call__(self, deliver: Deliver, pause: Pause) -> ApiResponse:
        """Deliver, wait, and respond."""
        response = deliver()
        pause(self.seconds)
        return response


@dataclass(frozen=True)
class DropConnection:
    """Close or reset the connection without a response."""

    delivers: bool
    reset: bool = False

    def __call__(self, deliver: Deliver, pause: Pause) -> ApiResponse:
        """Deliver if *delivers* is set, then drop the connection."""
        del pause
        if self.delivers:
            deliver()
        raise ConnectionDropped(reset=self.reset)


@dataclass(frozen=True)
class MalformedResponse:
    """Respond with something that is not in the API's format."""

    response: RawResponse
    delivers: bool

    def __call__(self, deliver: Deliver, pause: Pause) -> RawResponse:
        """Deliver if *delivers* is set, then return the malformed response."""
        del pause
        if self.delivers:
            deliver()
        return self.response


@dataclass(frozen=True)
class DeliveryScenario:
    """What the carrier reports for an accepted SMS, when, and how often."""

    err_code: str = "DELIVERED"
    #: How much later than usual the carrier reports.
    late_seconds: float = 0.0
    #: How many reports are sent. With 0 the result never becomes known.
    reports: int = 1

    def report_at(self, accepted_at: datetime, delivery_seconds: float) -> datetime | None:
        """Return when the carrier reports the result; None means never."""
        if not self.reports:
            return None
        return accepted_at + timedelta(seconds=delivery_seconds + self.late_seconds)


DELIVERED = DeliveryScenario()


@dataclass(frozen=True)
class MagicNumber:
    """A magic number and its effect, in words and as code."""

    number: str
    effect: str
    #: How a request that sends to the number behaves.
    behavior: Behavior = deliver_normally
    #: What the carrier reports for an SMS to the number.
    delivery: DeliveryScenario = DELIVERED
    #: How a `QuerySendDetails` request about the number behaves.
    query_behavior: Behavior = deliver_normally


def _refused(number: str, code: str, message: str | None = None) -> MagicNumber:
    return MagicNumber(number, f"refused with `{code}`", Refuse(code, message))


def _flow_limited(number: str, limit: FlowLimit) -> MagicNumber:
    message = flow_message(limit)
    effect = f"refused with `{FLOW_CONTROL_CODE}`, `{message}`"
    return MagicNumber(number, effect, Refuse(FLOW_CONTROL_CODE, message))


def _undelivered(number: str, err_code: str) -> MagicNumber:
    effect = f"accepted, then reported as `{err_code}`"
    return MagicNumber(number, effect, delivery=DeliveryScenario(err_code))


def _html(title: str, status: int) -> RawResponse:
    return RawResponse(status, _HTML_PAGE.format(title))


def _json(status: int, body: str) -> RawResponse:
    return RawResponse(status, body, "application/json;charset=utf-8")


_UNAVAILABLE = '{"Code":"ServiceUnavailable","Message":"Service is unavailable."}'
_REDIRECT = RawResponse(301, "", headers={"Location": "http://127.0.0.1:9/"})

_NUMBERS = (
    # 10xx: the SMS service refuses.
    _refused("13800001001", "isv.MOBILE_NUMBER_ILLEGAL", "invalid mobile number"),
    _refused("13800001002", "isv.BLACK_KEY_CONTROL_LIMIT"),
    _refused("13800001003", "isv.CUSTOMER_REFUSED"),
    _refused("13800001004", "isv.OUT_OF_SERVICE"),
    _refused("13800001005", "isv.AMOUNT_NOT_ENOUGH"),
    _refused("13800001006", "isv.SMS_SIGNATURE_ILLEGAL"),
    _refused("13800001007", "isv.SMS_TEMPLATE_ILLEGAL"),
    _refused("13800001008", "isp.RAM_PERMISSION_DENY"),
    _refused("13800001009", "isv.DAY_LIMIT_CONTROL"),
    _refused("13800001010", "isv.MONTH_LIMIT_CONTROL"),
    _refused("13800001011", "isv.DENY_IP_RANGE"),
    _refused("13800001012", "isv.INVALID_PARAMETERS"),
    _refused("13800001013", "isv.NOT_IN_ANY_TABLE", "an unknown code"),
    _refused("13800001014", "isp.SYSTEM_ERROR"),
    _refused("13800001015", "isp.GATEWAY_ERROR"),
    # 20xx: flow control.
    _flow_limited("13800002001", FlowLimit(Window.MINUTE, 1)),
    _flow_limited("13800002002", FlowLimit(Window.HOUR, 5)),
    _flow_limited("13800002003", FlowLimit(Window.DAY, 10)),
    _flow_limited("13800002004", FlowLimit(Window.DAY, 40, all_senders=True)),
    _refused("13800002005", FLOW_CONTROL_CODE, "a message that names no window"),
    # 30xx: the gateway refuses.
    _refused("13800003001", "Throttling.User"),
    _refused("13800003002", "Forbidden.RAM"),
    _refused("13800003003", "InvalidAccessKeyId.Inactive"),
    _refused("13800003004", "InternalError"),
    # 40xx: late responses.
    MagicNumber(
        "13800004001",
        f"delivered, response after {SLOW_SECONDS:.0f} seconds",
        Delay(SLOW_SECONDS),
    ),
    MagicNumber(
        "13800004002",
        f"delivered, response after {VERY_SLOW_SECONDS:.0f} seconds",
        Delay(VERY_SLOW_SECONDS),
    ),
    # 50xx: no response.
    MagicNumber(
        "13800005001",
        "not delivered, connection closed without a response",
        DropConnection(delivers=False),
    ),
    MagicNumber(
        "13800005002",
        "delivered, connection closed without a response",
        DropConnection(delivers=True),
    ),
    MagicNumber(
        "13800005003",
        "not delivered, connection reset without a response",
        DropConnection(delivers=False, reset=True),
    ),
    MagicNumber(
        "13800005004",
        "delivered, connection reset without a response",
        DropConnection(delivers=True, reset=True),
    ),
    # 60xx: malformed responses. Where the status is 2xx, the SMS was delivered.
    MagicNumber(
        "13800006001",
        "delivered, response is an HTML page with HTTP 200",
        MalformedResponse(_html("Welcome", 200), delivers=True),
    ),
    MagicNumber(
        "13800006002",
        "delivered, response is truncated JSON",
        MalformedResponse(_json(200, '{"Message":"OK","RequestId":"F655'), delivers=True),
    ),
    MagicNumber(
        "13800006003",
        "delivered, response is empty with HTTP 200",
        MalformedResponse(_json(200, ""), delivers=True),
    ),
    MagicNumber(
        "13800006004",
        "delivered, response is `{}` with HTTP 200",
        MalformedResponse(_json(200, "{}"), delivers=True),
    ),
    MagicNumber(
        "13800006005",
        "not delivered, response is an HTML page with HTTP 502",
        MalformedResponse(_html("502 Bad Gateway", 502), delivers=False),
    ),
    MagicNumber(
        "13800006006",
        "not delivered, response is JSON with HTTP 503",
        MalformedResponse(_json(503, _UNAVAILABLE), delivers=False),
    ),
    MagicNumber(
        "13800006007",
        "not delivered, response is a redirect to another address with HTTP 301",
        MalformedResponse(_REDIRECT, delivers=False),
    ),
    # 70xx: accepted, then reported by the carrier in another way than usual.
    _undelivered("13800007001", "MOBILE_NOT_ON_SERVICE"),
    _undelivered("13800007002", "INVALID_NUMBER"),
    _undelivered("13800007003", "MOBILE_IN_BLACK"),
    _undelivered("13800007004", "MOBILE_SEND_LIMIT"),
    _undelivered("13800007005", "CONTENT_KEYWORD"),
    _undelivered("13800007006", "PORT_NOT_REGISTERED"),
    _undelivered("13800007007", "IS_CLOSE"),
    _undelivered("13800007008", "USER_REJECT"),
    _undelivered("13800007009", "MK:0012"),
    _undelivered("13800007010", "REQUEST_SUCCESS"),
    MagicNumber(
        "13800007011", "accepted, never reported: stays `waiting`", delivery=DeliveryScenario(reports=0)
    ),
    MagicNumber(
        "13800007012",
        f"delivered, reported {LATE_SECONDS:.0f} seconds later than usual",
        delivery=DeliveryScenario(late_seconds=LATE_SECONDS),
    ),
    MagicNumber("13800007013", "delivered, reported twice", delivery=DeliveryScenario(reports=2)),
    # 80xx: delivered, but QuerySendDetails fails.
    MagicNumber(
        "13800008001",
        "delivered; queries are refused with `isp.SYSTEM_ERROR`",
        query_behavior=Refuse("isp.SYSTEM_ERROR"),
    ),
    MagicNumber(
        "13800008002",
        "delivered; queries are refused with `Throttling.User`",
        query_behavior=Refuse("Throttling.User"),
    ),
    MagicNumber(
        "13800008003",
        f"delivered; queries get a response after {VERY_SLOW_SECONDS:.0f} seconds",
        query_behavior=Delay(VERY_SLOW_SECONDS),
    ),
    MagicNumber(
        "13800008004",
        "delivered; queries get an HTML page with HTTP 502",
        query_behavior=MalformedResponse(_html("502 Bad Gateway", 502), delivers=False),
    ),
    MagicNumber(
        "13800008005",
        "delivered; on queries the connection is closed without a response",
        query_behavior=DropConnection(delivers=False),
    ),
)

MAGIC = {magic.number: magic for magic in _NUMBERS}

_NOT_MAGIC = MagicNumber("", "delivered")


def behavior_of(numbers: Iterable[str]) -> Behavior:
    """Return the behavior of a request that sends to *numbers*: that of the first number that has one."""
    behaviors = (MAGIC.get(number, _NOT_MAGIC).behavior for number in numbers)
    return next((found for found in behaviors if found is not deliver_normally), deliver_normally)


def query_behavior_of(number: str) -> Behavior:
    """Return the behavior of a query about *number*."""
    return MAGIC.get(number, _NOT_MAGIC).query_behavior


def delivery_of(number: str) -> DeliveryScenario:
    """Return what the carrier reports for an SMS to *number*."""
    return MAGIC.get(number, _NOT_MAGIC).delivery
