"""`limits`: shows the counters of a phone or a client IP address, and clears them on request."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from otp_service.cli.admin import AdminSession, ask_phone, format_duration, open_session
from otp_service.domain.client_ip import normalize_client_ip
from otp_service.domain.errors import InvalidRequest
from otp_service.domain.limits import DAY, HOUR, TEST_PHONE_LIMITS, IpLimits, PhoneLimits
from otp_service.domain.phone import Phone
from otp_service.observability.clock import SystemClock
from otp_service.store.admin import IpUsage, LimitStatus, PhoneUsage


@dataclass(frozen=True)
class LimitsOptions:
    """The flags of `limits` and `alarm`: *clear* the counters, without a question if *yes*; print JSON."""

    clear: bool
    yes: bool
    as_json: bool


def run(config: Path | None, *, address: str | None, client: str | None, options: LimitsOptions) -> None:
    """Show the counters of *address*, or of a phone that is asked for, and clear them if *options* say so."""
    session = open_session(config)
    if address is None:
        _phone(session, client, options)
    else:
        _show_ip(session, address, options)


# ── a phone ──


def _phone(session: AdminSession, client: str | None, options: LimitsOptions) -> None:
    limits = _phone_limits(session, client)
    phone = ask_phone(session.settings)
    policy, phone_hash = session.settings.policy(), session.phone_hash(phone)
    if phone.e164 in policy.test_phones:
        limits = TEST_PHONE_LIMITS
    with session.store_access():
        usage = session.admin.phone_usage(
            phone_hash, limits, policy.code_limits.max_attempts, client=client or ""
        )
        alarm = alarm_level(session)
    cleared = _show_and_confirm(phone_text(phone, usage, limits, alarm), options)
    if cleared:
        with session.store_access():
            session.admin.clear_phone(phone_hash)
        session.events.emit("limits_cleared", phone_hash=phone_hash, phone_masked=str(phone))
    _finish(options, {**phone_json(phone, usage, limits), "alarm_level": alarm}, cleared=cleared)


def _phone_limits(session: AdminSession, client: str | None) -> PhoneLimits:
    default = session.settings.policy().phone_limits
    if client is None:
        return default
    if client not in session.settings.clients:
        raise click.BadParameter("is not a client of the configuration", param_hint="--client")
    return session.settings.all_clients()[client].limits or default


def alarm_level(session: AdminSession) -> int:
    """Return the level of the alarm for wrong codes."""
    return session.admin.global_failures(
        session.settings.policy().risk.global_failures, SystemClock().now()
    ).level


def phone_text(phone: Phone, usage: PhoneUsage, limits: PhoneLimits, alarm: int) -> str:
    """Return the counters of *phone* as text."""
    sends = f"{usage.sends_in(HOUR)} of {limits.sends_per_hour} in 1 h"
    sends += f", {usage.sends_in(DAY)} of {limits.sends_per_day} in 24 h"
    failures = f"{usage.failures_in(HOUR)} of {limits.failures_per_hour} in 1 h"
    failures += f", {usage.failures_in(DAY)} of {limits.failures_per_day} in 24 h, "
    failures += f"{usage.consecutive_failures} in a row ({usage.untrusted_failures} by untrusted calls)"
    lines = {
        "next SMS": next_sms(usage.untrusted),
        "if trusted": next_sms(usage.trusted),
        "SMS": sends,
        "wrong codes": failures,
        "restricted": _state(
            usage.untrusted.is_restricted, usage.trusted.is_restricted, limits, limits.restrict_after_failures
        ),
        "locked": _state(
            usage.untrusted.is_locked, usage.trusted.is_locked, limits, limits.lock_after_failures
        ),
        "known": _yes_or_no(usage.is_known),
        "trusted": f"{usage.requesters} IP addresses that verified this phone",
        "verifications": f"{usage.open_verifications} open",
    }
    return _table(str(phone), lines | _alarm_line(alarm))


def _alarm_line(level: int) -> dict[str, str]:
    """Return the line about the alarm for wrong codes, if it is on."""
    if not level:
        return {}
    text = f"level {level}: browsers solve a risk challenge first (service_wrong_codes)"
    return {"alarm": f"{text}; see `otp-service alarm`"}


def _state(untrusted: bool, trusted: bool, limits: PhoneLimits, limit: int) -> str:  # noqa: FBT001 - two alike
    """Return for which calls a phone is restricted or locked, and from how many wrong codes."""
    word = "yes" if trusted else "yes, but not for trusted calls" if untrusted else "no"
    return f"{word} (from {limit} in a row, or {limits.untrusted_failures(limit)} by untrusted calls)"


def next_sms(usage: LimitStatus | IpUsage) -> str:
    """Return when the next SMS may be sent, and the limit that delays it."""
    return f"in {format_duration(usage.wait)} ({usage.limit})" if usage.limit else "now"


def phone_json(phone: Phone, usage: PhoneUsage, limits: PhoneLimits) -> dict[str, object]:
    """Return the counters of *phone* for `--json`. Limits have the names that the API uses."""
    return {
        "phone_masked": str(phone),
        "next_sms_in": usage.untrusted.wait,
        "refused_by": usage.untrusted.limit or None,
        "trusted_next_sms_in": usage.trusted.wait,
        "trusted_refused_by": usage.trusted.limit or None,
        "known": usage.is_known,
        "trusted_addresses": usage.requesters,
        "restricted": usage.untrusted.is_restricted,
        "trusted_restricted": usage.trusted.is_restricted,
        "locked": usage.untrusted.is_locked,
        "trusted_locked": usage.trusted.is_locked,
        "open_verifications": usage.open_verifications,
        "limits": {
            "phone_sends_per_hour": _used(usage.sends_in(HOUR), limits.sends_per_hour),
            "phone_sends_per_day": _used(usage.sends_in(DAY), limits.sends_per_day),
            "phone_failures_per_hour": _used(usage.failures_in(HOUR), limits.failures_per_hour),
            "phone_failures_per_day": _used(usage.failures_in(DAY), limits.failures_per_day),
            "phone_slow_lane": _used(usage.consecutive_failures, limits.restrict_after_failures),
            "phone_locked": _used(usage.consecutive_failures, limits.lock_after_failures),
            "untrusted_failures": _used(
                usage.untrusted_failures, limits.untrusted_failures(limits.lock_after_failures)
            ),
        },
    }


# ── a client IP address ──


def _show_ip(session: AdminSession, text: str, options: LimitsOptions) -> None:
    network = _network(text)
    ip_hash = base64.urlsafe_b64encode(session.settings.keyring().ip_hash(network)).decode()
    limits = session.settings.policy().risk.ip_limits
    with session.store_access():
        usage = session.admin.ip_usage(ip_hash, limits)
        alarm = alarm_level(session)
    cleared = _show_and_confirm(ip_text(network, usage, limits, alarm), options)
    if cleared:
        with session.store_access():
            session.admin.clear_ip(ip_hash)
        session.events.emit("limits_cleared", client_ip_hash=ip_hash)
    _finish(options, {**ip_json(network, usage, limits), "alarm_level": alarm}, cleared=cleared)


def _network(text: str) -> str:
    try:
        return normalize_client_ip(text)
    except InvalidRequest:
        raise click.BadParameter("is not an IP address", param_hint="--address") from None


def ip_text(network: str, usage: IpUsage, limits: IpLimits, alarm: int) -> str:
    """Return the counters of the IPv4 address or IPv6 *network* as text."""
    sends = f"{usage.sends_in_hour} of {limits.sends_per_hour} in 1 h"
    sends += f", {usage.sends_in_day} of {limits.sends_per_day} in 24 h"
    sends += f", to {usage.phones_in_day} of {limits.phones_per_day} phones"
    allowed = f"now, after a risk challenge ({usage.challenge_limit})" if usage.challenge_limit else "now"
    lines = {
        "next SMS": next_sms(usage) if usage.limit else allowed,
        "unverified SMS": sends,
        "verified": f"{usage.verified_in_day} in 24 h",
        "misses": f"{usage.misses_in_10_minutes} of {limits.misses_per_10_minutes} in 10 min",
        "rejected": f"at {limits.block_multiplier} times the limits for SMS",
    }
    return _table(network, lines | _alarm_line(alarm))


def ip_json(network: str, usage: IpUsage, limits: IpLimits) -> dict[str, object]:
    """Return the counters of the IPv4 address or IPv6 *network* for `--json`."""
    return {
        "address": network,
        "next_sms_in": usage.wait,
        "refused_by": usage.limit or None,
        "challenged_by": usage.challenge_limit or None,
        "verified_in_day": usage.verified_in_day,
        "limits": {
            "address_sends_per_hour": _used(usage.sends_in_hour, limits.sends_per_hour),
            "address_sends_per_day": _used(usage.sends_in_day, limits.sends_per_day),
            "address_phones_per_day": _used(usage.phones_in_day, limits.phones_per_day),
            "address_misses_per_10_minutes": _used(usage.misses_in_10_minutes, limits.misses_per_10_minutes),
        },
    }


# ── output and confirmation ──


def _show_and_confirm(text: str, options: LimitsOptions) -> bool:
    """Print *text* unless JSON is wanted, and return whether to clear. Asks the operator without `--yes`."""
    if not options.as_json:
        click.echo(text)
    if options.clear and not options.yes:
        click.confirm("Clear these limits?", abort=True, err=True)
    return options.clear


def _finish(options: LimitsOptions, facts: Mapping[str, object], *, cleared: bool) -> None:
    if options.as_json:
        click.echo(json.dumps({**facts, "cleared": cleared}))
    elif cleared:
        click.echo("Cleared.")


def _table(title: str, lines: Mapping[str, str]) -> str:
    width = max(map(len, lines)) + 2
    return "\n".join([title, *(f"  {name:<{width}}{value}" for name, value in lines.items())])


def _used(count: int, limit: int) -> dict[str, int]:
    return {"used": count, "of": limit}


def _yes_or_no(value: bool) -> str:  # noqa: FBT001 - the only argument
    return "yes" if value else "no"
