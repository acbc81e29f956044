"""Calls to an API of Aliyun, and checks whether it responds and accepts this machine's clock and the key."""

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
"""Seconds. Aliyun rejects requests whose time is more than about 15 minutes off."""

UNKNOWN_ACTION = frozenset({"InvalidAction.NotFound", "InvalidVersion", "UnsupportedOperation"})

_RAM = frozenset(
    {"isp.RAM_PERMISSION_DENY", "isv.RAM_PERMISSION_DENY", "Forbidden.RAM", "NoPermission", "Forbidden"}
)
_BUSINESS = ("isv.", "isp.")


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """A response: its *code*, the *info* that explains it, and its *fields*.

    *skew* is the number of seconds that our clock is ahead of Aliyun's, or None if that is unknown.
    """

    code: str
    info: ErrorCodeInfo
    fields: Mapping[str, object]
    skew: float | None

    @property
    def is_ok(self) -> bool:
        """Whether the call succeeded."""
        return self.info.outcome is SendOutcome.ACCEPTED

    @property
    def is_denied(self) -> bool:
        """Whether the key lacks the permission."""
        return self.code in _RAM or self.info.code in _RAM

    @property
    def is_business(self) -> bool:
        """Whether the response comes from the service itself, not from the gateway before it."""
        is_pnvs = self.info.product is Product.PNVS
        return self.is_ok or is_pnvs or any(c.startswith(_BUSINESS) for c in (self.code, self.info.code))

    @property
    def is_authenticated(self) -> bool:
        """Whether the key was accepted. Permissions and actions are checked after the key."""
        return self.is_business or self.is_denied or self.code in UNKNOWN_ACTION

    def __str__(self) -> str:
        return f"{self.info.english} ({self.code})" if self.code else "the response is not Aliyun's"


class ApiProbe:
    """Calls *api* with one access key of a *route*. *key_name* is the part of the key that may be shown."""

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

    def call(self, action: str, params: Mapping[str, str]) -> ApiResponse | None:
        """Call *action* and return the response, or None if there is none."""
        try:
            answer = self._api.call(action, params, seconds=SECONDS)
        except TransportError:
            return None
        fields = read_fields(answer.headers, answer.body)
        skew = _skew(answer.headers.get("date", ""), self._api.now())
        return ApiResponse(fields.code, self._lookup(fields.code), fields.all, skew)

    def check_access(self, response: ApiResponse | None) -> Iterator[CheckResult]:
        """Check the connection, the clock and the key by the *response* to a call."""
        if response is None:
            yield fail("api", "does not respond", "See the network checks above.", self.route)
            return
        yield from self._clock(response)
        yield self._key(response)

    def _clock(self, response: ApiResponse) -> Iterator[CheckResult]:
        if response.skew is None:
            return
        off = f"{abs(response.skew):.0f} s {'ahead of' if response.skew > 0 else 'behind'} Aliyun's"
        fix = "Synchronize this machine's clock with NTP."
        if abs(response.skew) >= SKEW_FAILURE:
            yield fail("clock", f"is {off}: requests are rejected", fix, self.route)
        elif abs(response.skew) >= SKEW_WARNING:
            yield warn("clock", f"is {off}", fix, self.route)
        else:
            yield ok("clock", "agrees with Aliyun's", self.route)

    def _key(self, response: ApiResponse) -> CheckResult:
        if response.is_authenticated:
            return ok("access key", f"{self._key_name} is accepted", self.route)
        if response.code in ACCESS_KEY_REFUSALS:
            fix = "Check the key and its secret in the RAM console."
            return fail("access key", f"{self._key_name} is rejected: {response}", fix, self.route)
        if not response.code:
            fix = "Check the route's endpoint, and look for a proxy in between."
            return fail("api", f"cannot be used: {response}", fix, self.route)
        fix = "See docs/aliyun-errors.md for this code."
        if response.info.responsible is ResponsibleParty.PROVIDER:
            return warn("api", f"cannot be used now: {response}", fix, self.route)
        return fail("api", f"cannot be used: {response}", fix, self.route)


def _skew(date: str, now: datetime) -> float | None:
    try:
        return (now - parsedate_to_datetime(date)).total_seconds()
    except (TypeError, ValueError, OverflowError):
        return None
