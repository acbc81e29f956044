"""Magic phone numbers: each makes the sandbox fail in one way.

A call to one of them passes every check that other calls pass; then its behaviour
decides what becomes of it, and its fate what the carrier says of an accepted SMS.
`docs/sandbox.md` shows the same table to people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from otp_service.sandbox.answers import (
    Answer,
    Dropped,
    RawAnswer,
    Refused,
)
from otp_service.sandbox.delivery_scenario import DELIVERED, DeliveryScenario
from otp_service.sms.aliyun.protocol.flow_control import (
    FLOW_CONTROL_CODE,
    FlowLimit,
    Window,
    flow_message,
)

#: Puts the SMS into the inbox and says what a working provider would answer.
Deliver = Callable[[], Answer]
#: Waits for so many seconds.
Pause = Callable[[float], None]


SLOW_SECONDS = 3.0
VERY_SLOW_SECONDS = 30.0
LATE_SECONDS = 10.0

_JUNK_PAGE = "<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"


class Behaviour(Protocol):
    """What becomes of a call."""

    def __call__(self, deliver: Deliver, pause: Pause) -> Answer | RawAnswer:
        """Answer the call, having delivered the SMS or not."""


def deliver_normally(deliver: Deliver, pause: Pause) -> Answer:
    """Do what every number that is not magic gets."""
    del pause
    return deliver()


@dataclass(frozen=True)
class Refuse:
    """Refuse with one of Aliyun's codes; nothing reaches the inbox."""

    code: str
    message: str | None = None

    def __call__(self, deliver: Deliver, pause: Pause) -> Answer:
        """Raise the refusal."""
        del deliver, pause
        raise Refused(self.code, self.message)


@dataclass(frozen=True)
class Delay:
    """Deliver, but answer late."""

    seconds: float

    def __call__(self, deliver: Deliver, pause: Pause) -> Answer:
        """Deliver, wait, answer."""
        answer = deliver()
        pause(self.seconds)
        return answer


@dataclass(frozen=True)
class Drop:
    """Close the connection without an answer: in order, or with a reset."""

    delivers: bool
    resets: bool = False

    def __call__(self, deliver: Deliver, pause: Pause) -> Answer:
        """Deliver if asked to, then drop."""
        del pause
        if self.delivers:
            deliver()
        raise Dropped(resets=self.resets)


@dataclass(frozen=True)
class Garble:
    """Answer with something that is not the API's."""

    answer: RawAnswer
    delivers: bool

    def __call__(self, deliver: Deliver, pause: Pause) -> RawAnswer:
        """Deliver if asked to, then answer nonsense."""
        del pause
        if self.delivers:
            deliver()
        return self.answer


@dataclass(frozen=True)
class Magic:
    """A magic number, what it does in words, and in deed."""

    number: str
    effect: str
    #: What becomes of a call that sends to it.
    behaviour: Behaviour = deliver_normally
    #: What the carrier says of an SMS to it.
    fate: DeliveryScenario = DELIVERED
    #: What becomes of a `QuerySendDetails` about it.
    query_behaviour: Behaviour = deliver_normally


def _refuse(number: str, code: str, message: str | None = None) -> Magic:
    return Magic(number, f"refused with `{code}`", Refuse(code, message))


def _full(number: str, limit: FlowLimit) -> Magic:
    message = flow_message(limit)
    effect = f"refused with `{FLOW_CONTROL_CODE}`, `{message}`"
    return Magic(number, effect, Refuse(FLOW_CONTROL_CODE, message))


def _undelivered(number: str, err_code: str) -> Magic:
    return Magic(number, f"accepted, then reported as `{err_code}`", fate=DeliveryScenario(err_code))


def _page(title: str, status: int) -> RawAnswer:
    return RawAnswer(status, _JUNK_PAGE.format(title))


def _json(status: int, body: str) -> RawAnswer:
    return RawAnswer(status, body, "application/json;charset=utf-8")


_UNAVAILABLE = '{"Code":"ServiceUnavailable","Message":"Service is unavailable."}'
_MOVED = RawAnswer(301, "", headers={"Location": "http://127.0.0.1:9/"})

_TABLE = (
    # 10xx: the SMS service refuses.
    _refuse("13800001001", "isv.MOBILE_NUMBER_ILLEGAL", "invalid mobile number"),
    _refuse("13800001002", "isv.BLACK_KEY_CONTROL_LIMIT"),
    _refuse("13800001003", "isv.CUSTOMER_REFUSED"),
    _refuse("13800001004", "isv.OUT_OF_SERVICE"),
    _refuse("13800001005", "isv.AMOUNT_NOT_ENOUGH"),
    _refuse("13800001006", "isv.SMS_SIGNATURE_ILLEGAL"),
    _refuse("13800001007", "isv.SMS_TEMPLATE_ILLEGAL"),
    _refuse("13800001008", "isp.RAM_PERMISSION_DENY"),
    _refuse("13800001009", "isv.DAY_LIMIT_CONTROL"),
    _refuse("13800001010", "isv.MONTH_LIMIT_CONTROL"),
    _refuse("13800001011", "isv.DENY_IP_RANGE"),
    _refuse("13800001012", "isv.INVALID_PARAMETERS"),
    _refuse("13800001013", "isv.NOT_IN_ANY_TABLE", "a code that nobody has seen"),
    _refuse("13800001014", "isp.SYSTEM_ERROR"),
    _refuse("13800001015", "isp.GATEWAY_ERROR"),
    # 20xx: flow control.
    _full("13800002001", FlowLimit(Window.MINUTE, 1)),
    _full("13800002002", FlowLimit(Window.HOUR, 5)),
    _full("13800002003", FlowLimit(Window.DAY, 10)),
    _full("13800002004", FlowLimit(Window.DAY, 40, all_senders=True)),
    _refuse("13800002005", FLOW_CONTROL_CODE, "a message that names no window"),
    # 30xx: the gateway refuses.
    _refuse("13800003001", "Throttling.User"),
    _refuse("13800003002", "Forbidden.RAM"),
    _refuse("13800003003", "InvalidAccessKeyId.Inactive"),
    _refuse("13800003004", "InternalError"),
    # 40xx: late answers.
    Magic(
        "13800004001",
        f"delivered, answered after {SLOW_SECONDS:.0f} seconds",
        Delay(SLOW_SECONDS),
    ),
    Magic(
        "13800004002",
        f"delivered, answered after {VERY_SLOW_SECONDS:.0f} seconds",
        Delay(VERY_SLOW_SECONDS),
    ),
    # 50xx: no answer.
    Magic(
        "13800005001",
        "not delivered, connection closed without an answer",
        Drop(delivers=False),
    ),
    Magic(
        "13800005002",
        "delivered, connection closed without an answer",
        Drop(delivers=True),
    ),
    Magic(
        "13800005003",
        "not delivered, connection reset without an answer",
        Drop(delivers=False, resets=True),
    ),
    Magic(
        "13800005004",
        "delivered, connection reset without an answer",
        Drop(delivers=True, resets=True),
    ),
    # 60xx: answers that are none. On a 2xx the SMS was delivered.
    Magic(
        "13800006001",
        "delivered, answered with an HTML page on HTTP 200",
        Garble(_page("Welcome", 200), delivers=True),
    ),
    Magic(
        "13800006002",
        "delivered, answered with JSON that breaks off",
        Garble(_json(200, '{"Message":"OK","RequestId":"F655'), delivers=True),
    ),
    Magic(
        "13800006003",
        "delivered, answered with an empty body on HTTP 200",
        Garble(_json(200, ""), delivers=True),
    ),
    Magic(
        "13800006004",
        "delivered, answered with `{}` on HTTP 200",
        Garble(_json(200, "{}"), delivers=True),
    ),
    Magic(
        "13800006005",
        "not delivered, answered with an HTML page on HTTP 502",
        Garble(_page("502 Bad Gateway", 502), delivers=False),
    ),
    Magic(
        "13800006006",
        "not delivered, answered with JSON on HTTP 503",
        Garble(_json(503, _UNAVAILABLE), delivers=False),
    ),
    Magic(
        "13800006007",
        "not delivered, redirected to another address with HTTP 301",
        Garble(_MOVED, delivers=False),
    ),
    # 70xx: accepted, and then the carrier says something else than that it was delivered.
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
    Magic("13800007011", "accepted, and never reported: waiting for ever", fate=DeliveryScenario(reports=0)),
    Magic(
        "13800007012",
        f"delivered, reported {LATE_SECONDS:.0f} seconds later than others",
        fate=DeliveryScenario(late_seconds=LATE_SECONDS),
    ),
    Magic("13800007013", "delivered, reported twice", fate=DeliveryScenario(reports=2)),
    # 80xx: delivered, but QuerySendDetails fails.
    Magic(
        "13800008001",
        "delivered, a query is refused with `isp.SYSTEM_ERROR`",
        query_behaviour=Refuse("isp.SYSTEM_ERROR"),
    ),
    Magic(
        "13800008002",
        "delivered, a query is refused with `Throttling.User`",
        query_behaviour=Refuse("Throttling.User"),
    ),
    Magic(
        "13800008003",
        f"delivered, a query is answered after {VERY_SLOW_SECONDS:.0f} seconds",
        query_behaviour=Delay(VERY_SLOW_SECONDS),
    ),
    Magic(
        "13800008004",
        "delivered, a query is answered with an HTML page on HTTP 502",
        query_behaviour=Garble(_page("502 Bad Gateway", 502), delivers=False),
    ),
    Magic(
        "13800008005",
        "delivered, a query is answered with a closed connection",
        query_behaviour=Drop(delivers=False),
    ),
)

MAGIC = {magic.number: magic for magic in _TABLE}

_NOT_MAGIC = Magic("", "delivered")


def behaviour_of(numbers: Iterable[str]) -> Behaviour:
    """Tell how a call that sends to *numbers* behaves: the first one with a behaviour decides."""
    behaviours = (MAGIC.get(number, _NOT_MAGIC).behaviour for number in numbers)
    return next((found for found in behaviours if found is not deliver_normally), deliver_normally)


def query_behaviour_of(number: str) -> Behaviour:
    """Tell how a query about a *number* behaves."""
    return MAGIC.get(number, _NOT_MAGIC).query_behaviour


def fate_of(number: str) -> DeliveryScenario:
    """Tell what the carrier says of an SMS to a *number*."""
    return MAGIC.get(number, _NOT_MAGIC).fate
