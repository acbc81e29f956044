"""What makes a requester suspicious, the challenge then, and who is shut out or let in."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from typing import Annotated, Literal

from pydantic import Field

from otp_service.domain.limits import GlobalFailureLimits, GuardLimits, IpLimits
from otp_service.domain.policy import AccessList, PumpingGuardMode, RiskPolicy
from otp_service.settings.countries import Country
from otp_service.settings.issues import matching
from otp_service.settings.tables import Config, Network

Prefix = Annotated[
    str, matching(r"\+[1-9][0-9]{0,14}", "must be the beginning of a number in E.164, like +86170")
]
PhoneTag = Annotated[
    str,
    matching(r"[A-Za-z0-9_-]{16}", "must be the 16 characters of a phone's tag, as they stand in the log"),
]


class RiskConfig(Config):
    """What is asked for before an SMS goes out when something is suspicious. *ttl* in seconds."""

    challenge: Literal["altcha", "off"] = "altcha"
    ttl: int = Field(default=600, ge=60, le=1_800)


class IpLimitsConfig(Config):
    """What one address of end users may cause: SMS that nobody has verified, and attempts."""

    sends_per_hour: int = Field(default=20, ge=1, le=10_000)
    sends_per_day: int = Field(default=100, ge=1, le=10_000)
    phones_per_day: int = Field(default=20, ge=1, le=10_000)
    block_multiplier: int = Field(default=10, ge=1, le=100)
    verified_allowance_ratio: float = Field(default=0.5, ge=0, le=1)
    misses_per_10_minutes: int = Field(default=60, ge=5, le=100_000)


class GuardScopeConfig(Config):
    """When too few SMS of one scope are verified."""

    min_unverified: int = Field(default=20, ge=1, le=1_000_000)
    max_unverified_ratio: float = Field(default=0.5, ge=0.05, le=10)
    block_multiplier: int = Field(default=3, ge=1, le=100)


class PrefixGuardConfig(GuardScopeConfig):
    """A prefix holds few numbers, so that few SMS are suspicious."""

    min_unverified: int = Field(default=10, ge=1, le=1_000_000)


class PumpingGuardConfig(Config):
    """The guard against pumped SMS."""

    mode: PumpingGuardMode = PumpingGuardMode.RECORD_ONLY
    country: GuardScopeConfig = GuardScopeConfig()
    prefix: PrefixGuardConfig = PrefixGuardConfig()
    client: GuardScopeConfig = GuardScopeConfig()
    address: GuardScopeConfig = GuardScopeConfig()

    def scopes(self) -> dict[str, GuardLimits]:
        """Return the limits of each kind of scope."""
        tables = {
            "country": self.country,
            "prefix": self.prefix,
            "client": self.client,
            "address": self.address,
        }
        # An office of people who are reading their codes has one address, but not one prefix.
        limits = {kind: GuardLimits(**table.model_dump()) for kind, table in tables.items()}
        return {**limits, "address": replace(limits["address"], strict_ratio=1.0)}


class GlobalFailuresConfig(Config):
    """Wrong codes a day, of verifications never approved, from which the whole service is on guard."""

    min_failures: int = Field(default=500, ge=1, le=1_000_000)
    max_failure_ratio: float = Field(default=0.01, ge=0, le=1)
    severe_min_failures: int = Field(default=2_000, ge=1, le=10_000_000)
    severe_max_failure_ratio: float = Field(default=0.04, ge=0, le=1)


def risk_policy(
    addresses: IpLimitsConfig, guard: PumpingGuardConfig, global_failures: GlobalFailuresConfig
) -> RiskPolicy:
    """Return what the three tables say."""
    return RiskPolicy(
        address=IpLimits(**addresses.model_dump()),
        guard_mode=guard.mode,
        guards=guard.scopes(),
        global_failures=GlobalFailureLimits(**global_failures.model_dump()),
    )


class AllowConfig(Config):
    """Who is spared risk challenges and the guard; no limit of a phone and no budget is lifted."""

    addresses: tuple[Network, ...] = ()
    prefixes: tuple[Prefix, ...] = ()
    phone_hashes: tuple[PhoneTag, ...] = ()

    def entries(self) -> AccessList:
        """Return the list."""
        return AccessList(
            networks=tuple(ip_network(text) for text in self.addresses),
            prefixes=self.prefixes,
            phones=frozenset(self.phone_hashes),
        )


class DenyConfig(AllowConfig):
    """Who gets no SMS."""

    countries: tuple[Country, ...] = ()

    def entries(self) -> AccessList:
        """Return the list."""
        plain = super().entries()
        return AccessList(plain.networks, plain.prefixes, frozenset(self.countries), plain.phones)
