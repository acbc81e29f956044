"""The way into an API of Aliyun's: whether it answers, and takes clock and key. Touches the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

from otp_service.cli.doctor.check_result import CheckResult, fail, ok, warn
from otp_service.sms.aliyun.api import AliyunApi, read_fields
from otp_service.sms.aliyun.protocol.codes import (
    ErrorCodeInfo,
    Product,
    ResponsibleParty,
    SendOutcome,
    lookup,
)
from otp_service.sms.aliyun.protocol.gateway_codes import ACCESS_KEY_REFUSALS
from otp_service.sms.http import TransportError

SECONDS = 4.0

SKEW_WARNING, SKEW_FAILURE = 30, 600
"""Seconds. Aliyun refuses requests that are more than about 15 minutes off."""

UNKNOWN_ACTION = frozenset({"InvalidAction.NotFound", "InvalidVersion", "UnsupportedOperation"})

_RAM = frozenset(
    {"isp.RAM_PERMISSION_DENY", "isv.RAM_PERMISSION_DENY", "Forbidden.RAM", "NoPermission", "Forbidden"}
)
_BUSINESS = ("isv.", "isp.")


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """An answer: its *code* and the *row* about it, all its *fields*, and how far our clock is ahead."""

    code: str
    row: ErrorCodeInfo
    fields: Mapping[str, object]
    skew: float | None

    @property
    def is_ok(self) -> bool:
        """Whether what was asked for was done."""
        return self.row.outcome is SendOutcome.ACCEPTED

    @property
    def is_denied(self) -> bool:
        """Whether the key lacks the right."""
        return self.code in _RAM or self.row.code in _RAM

    @property
    def is_business(self) -> bool:
        """Whether the service itself has answered."""
        is_pnvs = self.row.product is Product.PNVS
        return self.is_ok or is_pnvs or any(c.startswith(_BUSINESS) for c in (self.code, self.row.code))

    @property
    def is_authenticated(self) -> bool:
        """Whether the key was accepted: rights and actions are looked at after it."""
        return self.is_business or self.is_denied or self.code in UNKNOWN_ACTION

    def __str__(self) -> str:
        return f"{self.row.english} ({self.code})" if self.code else "the answer was none of Aliyun's"


class ApiProbe:
    """One access key of a *route*, used through *api*. *key_name* is what may be shown of the key."""

    def __init__(
        self,
        api: AliyunApi,
        *,
        route: str,
        key_name: str,
        lookup: Callable[[str], ErrorCodeInfo] = lookup,
    ) -> None:
        self.route = route
        self._api = api
        self._key_name = key_name
        self._lookup = lookup

    def ask(self, action: str, params: Mapping[str, str]) -> ApiAnswer | None:
        """Call *action* and return what it says; nothing when there is no answer."""
        try:
            answer = self._api.call(action, params, seconds=SECONDS)
        except TransportError:
            return None
        fields = read_fields(answer.headers, answer.body)
        skew = _skew(answer.headers.get("date", ""), self._api.now())
        return ApiAnswer(fields.code, self._lookup(fields.code), fields.all, skew)

    def examine(self, told: ApiAnswer | None) -> Iterator[CheckResult]:
        """Tell how far the call got that was answered so."""
        if told is None:
            yield fail("api", "does not answer", "See the network checks above.", self.route)
            return
        yield from self._clock(told)
        yield self._key(told)

    def _clock(self, told: ApiAnswer) -> Iterator[CheckResult]:
        if told.skew is None:
            return
        off = f"{abs(told.skew):.0f} s {'ahead of' if told.skew > 0 else 'behind'} the answer's"
        fix = "Let NTP set this machine's clock."
        if abs(told.skew) >= SKEW_FAILURE:
            yield fail("clock", f"is {off}: requests are refused", fix, self.route)
        elif abs(told.skew) >= SKEW_WARNING:
            yield warn("clock", f"is {off}", fix, self.route)
        else:
            yield ok("clock", "agrees with the answer's", self.route)

    def _key(self, told: ApiAnswer) -> CheckResult:
        if told.is_authenticated:
            return ok("access key", f"{self._key_name} is accepted", self.route)
        if told.code in ACCESS_KEY_REFUSALS:
            fix = "Look at the key and its secret in the RAM console."
            return fail("access key", f"{self._key_name} is refused: {told}", fix, self.route)
        if not told.code:
            fix = "Look at the route's endpoint, and for a proxy in between."
            return fail("api", f"cannot be used: {told}", fix, self.route)
        fix = "See docs/aliyun-errors.md for this code."
        if told.row.responsible is ResponsibleParty.PROVIDER:
            return warn("api", f"cannot be used now: {told}", fix, self.route)
        return fail("api", f"cannot be used: {told}", fix, self.route)


def _skew(date: str, now: datetime) -> float | None:
    try:
        return (now - parsedate_to_datetime(date)).total_seconds()
    except (TypeError, ValueError):
        return None
