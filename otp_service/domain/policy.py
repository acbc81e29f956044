"""The policy: what the settings decide about every request, and the access lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import ClassVar

from otp_service.domain.codes import Code, CodeType
from otp_service.domain.limits import CodeLimits, ConversionLimits, GlobalFailureLimits, IpLimits, PhoneLimits
from otp_service.domain.phone import Phone, PhoneRules

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class AccessList:
    """One list: *networks* of IP addresses, *prefixes* of E.164 numbers, *countries*, hashes of *phones*."""

    networks: tuple[Network, ...] = ()
    prefixes: tuple[str, ...] = ()
    countries: frozenset[str] = frozenset()
    phones: frozenset[str] = frozenset()

    def matches_phone(self, phone: Phone, phone_hash: str) -> bool:
        """Return whether *phone* is on the list."""
        return (
            phone.country in self.countries
            or phone_hash in self.phones
            or any(phone.e164.startswith(prefix) for prefix in self.prefixes)
        )

    def matches_ip(self, text: str) -> bool:
        """Return whether an IP address is on the list. IPv4-mapped IPv6 addresses are treated as IPv4."""
        if not self.networks:
            return False
        address = ip_address(text.partition("%")[0])
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self.networks)


@dataclass(frozen=True, slots=True)
class AccessLists:
    """The access lists. *deny* gets no SMS; *allow* is exempt from risk challenges and the pumping guard.

    A call that matches both lists is denied. Neither list lifts the limits of a phone or a budget.
    """

    deny: AccessList = AccessList()
    allow: AccessList = AccessList()

    def denies_phone(self, phone: Phone, phone_hash: str) -> bool:
        """Return whether *phone* is denied."""
        return self.deny.matches_phone(phone, phone_hash)

    def denies_ip(self, client_ip: str | None) -> bool:
        """Return whether the end user's *client_ip* is denied."""
        return client_ip is not None and self.deny.matches_ip(client_ip)

    def is_allowlisted(self, phone: Phone, phone_hash: str, client_ip: str | None) -> bool:
        """Return whether the call is exempt from all risk checks."""
        return self.allow.matches_phone(phone, phone_hash) or (
            client_ip is not None and self.allow.matches_ip(client_ip)
        )


class PumpingGuardMode(StrEnum):
    """What the pumping guard does with a scope over its threshold."""

    OFF = "off"
    RECORD_ONLY = "record_only"
    """Log what it would do."""
    ENFORCE = "enforce"


CONVERSION_SCOPES = ("country", "prefix", "client", "address")
"""The kinds of scope in which sent and verified SMS are counted."""

BROAD_SCOPES = frozenset({"country", "client"})
"""Scopes that contain too many people to reject requests. They make the other, narrow scopes stricter."""


@dataclass(frozen=True, slots=True)
class RiskPolicy:
    """When a call needs a risk challenge or is blocked. *conversion_limits*: by kind of scope."""

    ip_limits: IpLimits = field(default_factory=IpLimits)
    pumping_guard_mode: PumpingGuardMode = PumpingGuardMode.RECORD_ONLY
    conversion_limits: Mapping[str, ConversionLimits] = field(
        default_factory=lambda: dict.fromkeys(CONVERSION_SCOPES, ConversionLimits())
    )
    global_failures: GlobalFailureLimits = field(default_factory=GlobalFailureLimits)


TEST_ROUTE = "test"
"""The route of test phones, which get no SMS. No configured route has this name."""


@dataclass(frozen=True, slots=True)
class TestPhone:
    """A phone that gets no SMS and has a fixed *code* until *expires_at* (unix seconds)."""

    __test__: ClassVar[bool] = False  # pytest would collect it as a test

    code: Code
    expires_at: float


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules that apply to every request; one per process.

    *purposes* maps each purpose to its code type; *sms_per_day* is the budget of the whole service, and
    *reserved_for_known_ratio* the share of every budget that is reserved for known phones; *deadline* and
    *proof_ttl* are in seconds.
    """

    phones: PhoneRules
    purposes: Mapping[str, CodeType]
    phone_limits: PhoneLimits
    code_limits: CodeLimits
    sms_per_day: int
    reserved_for_known_ratio: float = 0.2
    deadline: float = 6.0
    proof_ttl: int = 180
    risk: RiskPolicy = field(default_factory=RiskPolicy)
    access_lists: AccessLists = field(default_factory=AccessLists)
    test_phones: Mapping[str, TestPhone] = field(default_factory=dict)
