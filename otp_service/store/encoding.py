"""Turns values into the arguments of scripts."""

from __future__ import annotations

from functools import lru_cache

from otp_service.domain.codes import CodeType
from otp_service.domain.limits import DAY, ConversionLimits, IpLimits, PhoneLimits
from otp_service.domain.risk import PhoneKey

NO_REQUESTER = bytes(12)
"""The IP address hash of a call without an IP address."""

CODE_TYPES = {CodeType.DIGITS: "d", CodeType.ALNUM: "n"}


@lru_cache(maxsize=16)
def limits(values: PhoneLimits) -> bytes:
    """Return the limits as `phone_rules.lua` reads them: as bytes, which Lua reads faster than text."""
    numbers = (
        values.sends_per_hour,
        values.sends_per_day,
        values.sends_per_requester_per_hour,
        values.failures_per_hour,
        values.failures_per_day,
        values.restrict_after_failures,
        values.lock_after_failures,
        values.untrusted_sends(values.sends_per_hour),
        values.untrusted_sends(values.sends_per_day),
        values.untrusted_failures(values.failures_per_hour),
        values.untrusted_failures(values.failures_per_day),
        values.untrusted_failures(values.restrict_after_failures),
        values.untrusted_failures(values.lock_after_failures),
    )
    return bytes(numbers) + b"".join(seconds.to_bytes(3, "big") for seconds in values.cooldown)


_UTC8 = 8 * 3600


def day(seconds: float) -> int:
    """Return the calendar day in UTC+8 of *seconds* (unix, by the store's clock)."""
    return int(seconds + _UTC8) // DAY


@lru_cache(maxsize=16)
def ip_limits(values: IpLimits) -> bytes:
    """Return the limits as `ip_rules.lua` reads them."""
    numbers = (
        values.sends_per_hour,
        values.sends_per_day,
        values.phones_per_day,
        values.block_multiplier,
        round(values.verified_allowance_ratio * 100),
    )
    return b"".join(number.to_bytes(3, "big") for number in numbers)


def short_phone_hash(phone_hash: str) -> str:
    """Return the 6 characters that stand for a phone in the log of an IP address."""
    return phone_hash[:6]


def broad_limits(values: ConversionLimits) -> tuple[int, int, int]:
    """Return the numbers of `conversion_stats_broad.lua`, in its order."""
    return values.min_unverified, round(values.max_unverified_ratio * 100), values.block_multiplier


def narrow_limits(values: ConversionLimits) -> tuple[int, int, int, int]:
    """Return the numbers of `conversion_stats.lua`, in its order."""
    return *broad_limits(values), values.strict_min_unverified


def requester(phone_key: PhoneKey) -> bytes:
    """Return the IP address hash, and whether the device is known, as `phone_state.lua` reads them."""
    return (phone_key.ip_hash or NO_REQUESTER) + (b"\1" if phone_key.known_device else b"\0")


def code_types(kinds: frozenset[CodeType]) -> str:
    """Return the code types that a submitted text could be."""
    return "".join(CODE_TYPES[kind] for kind in kinds)
