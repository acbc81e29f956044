"""Risk: challenges, limits per IP address, the pumping guard, access lists and test phones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime, time, timedelta, timezone
from ipaddress import ip_network
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from otp_service.domain import codes, phone
from otp_service.domain.codes import CodeType
from otp_service.domain.errors import DestinationBlocked, InvalidCode, InvalidPhone
from otp_service.domain.limits import ConversionLimits, GlobalFailureLimits, IpLimits
from otp_service.domain.phone import PhoneRules
from otp_service.domain.policy import AccessList, PumpingGuardMode, RiskPolicy, TestPhone
from otp_service.settings.fields import Config, Country, Network
from otp_service.settings.issues import ConfigIssue, matching

Prefix = Annotated[str, matching(r"\+[1-9][0-9]{0,14}", "must be a prefix of numbers in E.164, like +86170")]
PhoneHash = Annotated[
    str,
    matching(
        r"[A-Za-z0-9_-]{16}", "must be the 16 characters of a phone's keyed hash, as the log shows them"
    ),
]


class RiskConfig(Config):
    """`[risk]`: the challenge that a suspicious call must solve before an SMS is sent. *ttl* in seconds."""

    challenge: Literal["altcha", "off"] = "altcha"
    ttl: int = Field(default=600, ge=60, le=1_800)


_IP, _GUARD, _FAILURES = IpLimits(), ConversionLimits(), GlobalFailureLimits()
"""The defaults of the settings."""


class IpLimitsConfig(Config):
    """`[ip_limits]`: limits per IP address of end users, for unverified SMS and for failed lookups."""

    sends_per_hour: int = Field(default=_IP.sends_per_hour, ge=1, le=10_000)
    sends_per_day: int = Field(default=_IP.sends_per_day, ge=1, le=10_000)
    phones_per_day: int = Field(default=_IP.phones_per_day, ge=1, le=10_000)
    block_multiplier: int = Field(default=_IP.block_multiplier, ge=1, le=100)
    verified_allowance_ratio: float = Field(default=_IP.verified_allowance_ratio, ge=0, le=1)
    misses_per_10_minutes: int = Field(default=_IP.misses_per_10_minutes, ge=5, le=100_000)


class ConversionScopeConfig(Config):
    """`[pumping_guard.<scope>]`: how many unverified SMS in 24 hours make the guard react."""

    min_unverified: int = Field(default=_GUARD.min_unverified, ge=1, le=1_000_000)
    max_unverified_ratio: float = Field(default=_GUARD.max_unverified_ratio, ge=0.05, le=10)
    block_multiplier: int = Field(default=_GUARD.block_multiplier, ge=1, le=100)


class PrefixScopeConfig(ConversionScopeConfig):
    """`[pumping_guard.prefix]`: a prefix contains few numbers, so fewer SMS are suspicious."""

    min_unverified: int = Field(default=10, ge=1, le=1_000_000)


class PumpingGuardConfig(Config):
    """`[pumping_guard]`: the guard against SMS pumping."""

    mode: PumpingGuardMode = PumpingGuardMode.RECORD_ONLY
    country: ConversionScopeConfig = ConversionScopeConfig()
    prefix: PrefixScopeConfig = PrefixScopeConfig()
    client: ConversionScopeConfig = ConversionScopeConfig()
    address: ConversionScopeConfig = ConversionScopeConfig()

    def scopes(self) -> dict[str, ConversionLimits]:
        """Return the limits of each kind of scope."""
        tables = {
            "country": self.country,
            "prefix": self.prefix,
            "client": self.client,
            "address": self.address,
        }
        # People in an office who have not entered their codes yet share an address, but not a prefix.
        limits = {kind: ConversionLimits(**table.model_dump()) for kind, table in tables.items()}
        return {**limits, "address": replace(limits["address"], strict_ratio=1.0)}


class GlobalFailuresConfig(Config):
    """`[global_failures]`: how many wrong codes of verifications never approved require challenges."""

    min_failures: int = Field(default=_FAILURES.min_failures, ge=1, le=1_000_000)
    max_failure_ratio: float = Field(default=_FAILURES.max_failure_ratio, ge=0, le=1)
    severe_min_failures: int = Field(default=_FAILURES.severe_min_failures, ge=1, le=10_000_000)
    severe_max_failure_ratio: float = Field(default=_FAILURES.severe_max_failure_ratio, ge=0, le=1)


def risk_policy(
    ip_limits: IpLimitsConfig, guard: PumpingGuardConfig, global_failures: GlobalFailuresConfig
) -> RiskPolicy:
    """Return the policy that the three tables describe."""
    return RiskPolicy(
        ip_limits=IpLimits(**ip_limits.model_dump()),
        pumping_guard_mode=guard.mode,
        conversion_limits=guard.scopes(),
        global_failures=GlobalFailureLimits(**global_failures.model_dump()),
    )


class AllowConfig(Config):
    """`[allow]`: requests exempt from challenges and the guard, but not from phone limits and budgets."""

    addresses: tuple[Network, ...] = ()
    prefixes: tuple[Prefix, ...] = ()
    phone_hashes: tuple[PhoneHash, ...] = ()

    def entries(self) -> AccessList:
        """Return the list."""
        return AccessList(
            networks=tuple(ip_network(text) for text in self.addresses),
            prefixes=self.prefixes,
            phones=frozenset(self.phone_hashes),
        )


class DenyConfig(AllowConfig):
    """`[deny]`: requests that get no SMS."""

    countries: tuple[Country, ...] = ()

    def entries(self) -> AccessList:
        """Return the list."""
        plain = super().entries()
        return AccessList(plain.networks, plain.prefixes, frozenset(self.countries), plain.phones)


MAX_TEST_PHONE_DAYS = 90
MAX_TEST_PHONES = 20

CHINA = timezone(timedelta(hours=8))


class TestPhoneConfig(Config):
    """`[[test_phones]]`: a phone with a fixed code and no SMS, valid to the end of *expires* (UTC+8)."""

    __test__ = False  # pytest would collect it as a test

    phone: str = ""
    code: SecretStr = SecretStr("")
    expires: date | None = None
    name: str = ""

    def made(self) -> TestPhone:
        """Return the test phone; the table must be valid."""
        code, _ = codes.parse(self.code.get_secret_value())
        return TestPhone(code, self._ends_at().timestamp())

    def issues(
        self, where: str, rules: PhoneRules, kinds: Mapping[str, CodeType], today: date
    ) -> Iterator[ConfigIssue]:
        """Yield the issues of this table; *today* is the date in China."""
        yield from self._phone_issues(f"{where}.phone", rules)
        yield from self._code_issues(f"{where}.code", kinds)
        if not self.name:
            yield ConfigIssue(f"{where}.name", "is required: a note that says what the phone is for")
        if self.expires is None:
            yield ConfigIssue(f"{where}.expires", "is required: the last day on which it works")
        elif self.expires < today:
            yield ConfigIssue(f"{where}.expires", "is in the past")
        elif self.expires > today + timedelta(days=MAX_TEST_PHONE_DAYS):
            yield ConfigIssue(f"{where}.expires", f"is more than {MAX_TEST_PHONE_DAYS} days ahead")

    def _phone_issues(self, where: str, rules: PhoneRules) -> Iterator[ConfigIssue]:
        try:
            if phone.parse(self.phone, rules).e164 != self.phone:
                yield ConfigIssue(where, "must be written in E.164, like +8613800138000")
        except InvalidPhone:
            yield ConfigIssue(where, "must be a valid number in E.164, like +8613800138000")
        except DestinationBlocked:
            yield ConfigIssue(where, "has a country or type that this service does not send to")

    def _code_issues(self, where: str, kinds: Mapping[str, CodeType]) -> Iterator[ConfigIssue]:
        try:
            _, shapes = codes.parse(self.code.get_secret_value())
        except InvalidCode:
            yield ConfigIssue(
                where,
                f"must be a possible code: {codes.LENGTH} digits, "
                f"or {codes.LENGTH} of the letters and digits of alnum6",
            )
            return
        for purpose, kind in kinds.items():
            if kind not in shapes:
                yield ConfigIssue(where, f"cannot be a code of {purpose}")

    def _ends_at(self) -> datetime:
        return datetime.combine(self.expires or date.min, time.max, CHINA)
