"""`limits`: what is counted of a phone or an address, shown and cleared."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from otp_service.cli.admin import AdminSession, ask_phone, format_duration, handle_store_errors, open_session
from otp_service.domain.errors import InvalidRequest
from otp_service.domain.limits import DAY, HOUR, TEST_PHONE_LIMITS, IpLimits, PhoneLimits
from otp_service.domain.network import normalize_client_ip
from otp_service.domain.phone import Phone
from otp_service.observability.clock import SystemClock
from otp_service.store.admin import IpUsage, PhoneUsage, Verdict


@dataclass(frozen=True)
class Wish:
    """What is wanted beside looking: *clear* it, *yes* without being asked, *as_json*."""

    clear: bool
    yes: bool
    as_json: bool


def run(config: Path | None, *, address: str | None, client: str | None, wish: Wish) -> None:
    """Show what is counted of *address*, or else of the phone that is asked for; and clear it on demand."""
    session = open_session(config)
    if address is None:
        _phone(session, client, wish)
    else:
        _address(session, address, wish)


# ── a phone ──


def _phone(session: AdminSession, client: str | None, wish: Wish) -> None:
    limits = _phone_limits(session, client)
    phone = ask_phone(session.settings)
    policy, tag = session.settings.policy(), session.tag(phone)
    if phone.e164 in policy.test_phones:
        limits = TEST_PHONE_LIMITS
    with handle_store_errors():
        facts = session.admin.phone_usage(tag, limits, policy.code_limits.max_attempts, client=client or "")
        alarm = alarm_level(session)
    text = phone_text(phone, facts, limits, alarm)
    cleared = _is_to_be_cleared(text, wish)
    if cleared:
        with handle_store_errors():
            session.admin.clear_phone(tag)
        session.events.emit("limits_cleared", phone_hash=tag, phone_masked=str(phone))
    _end(wish, {**phone_json(phone, facts, limits), "alarm_level": alarm}, cleared=cleared)


def _phone_limits(session: AdminSession, client: str | None) -> PhoneLimits:
    usual = session.settings.policy().phone_limits
    if client is None:
        return usual
    if client not in session.settings.clients:
        raise click.BadParameter("is not a client of the configuration", param_hint="--client")
    return session.settings.all_clients()[client].limits or usual


def alarm_level(session: AdminSession) -> int:
    """Return the level of the wrong-code alarm."""
    return session.admin.global_failures(
        session.settings.policy().risk.global_failures, SystemClock().now()
    ).level


def phone_text(phone: Phone, facts: PhoneUsage, limits: PhoneLimits, alarm: int) -> str:
    """Return what is counted of *phone*, for people."""
    sends = f"{facts.sends_in(HOUR)} of {limits.sends_per_hour} in 1 h"
    sends += f", {facts.sends_in(DAY)} of {limits.sends_per_day} in 24 h"
    failures = f"{facts.failures_in(HOUR)} of {limits.failures_per_hour} in 1 h"
    failures += f", {facts.failures_in(DAY)} of {limits.failures_per_day} in 24 h, "
    failures += f"{facts.consecutive_failures} in a row ({facts.untrusted_failures} by untrusted calls)"
    lines = {
        "next SMS": next_sms(facts.untrusted),
        "if trusted": next_sms(facts.trusted),
        "SMS": sends,
        "wrong codes": failures,
        "slow lane": _state(
            facts.untrusted.is_restricted, facts.trusted.is_restricted, limits, limits.restrict_after_failures
        ),
        "locked": _state(
            facts.untrusted.is_locked, facts.trusted.is_locked, limits, limits.lock_after_failures
        ),
        "known": _yes(facts.is_known),
        "trusted": f"{facts.requesters} addresses that verified it last",
        "verifications": f"{facts.open_verifications} can still be approved",
    }
    return _listed(str(phone), lines | _alarm_line(alarm))


def _alarm_line(level: int) -> dict[str, str]:
    """Return what `limits` adds while the wrong-code alarm is on."""
    if not level:
        return {}
    what = f"level {level}: browsers solve a risk challenge first (service_wrong_codes)"
    return {"alarm": f"{what}; see `otp-service alarm`"}


def _state(untrusted: bool, trusted: bool, limits: PhoneLimits, limit: int) -> str:  # noqa: FBT001 - two alike
    """Say for which calls a phone is in the slow lane or locked, and from how many wrong codes on."""
    word = "yes" if trusted else "yes, but not for trusted calls" if untrusted else "no"
    return f"{word} (from {limit} in a row, or {limits.untrusted_failures(limit)} by untrusted calls)"


def next_sms(facts: Verdict | IpUsage) -> str:
    """Return when the next SMS may go out, and what holds it up until then."""
    return f"in {format_duration(facts.wait)} ({facts.limit})" if facts.limit else "now"


def phone_json(phone: Phone, facts: PhoneUsage, limits: PhoneLimits) -> dict[str, object]:
    """Return what is counted of *phone*, for programs; limits by the names that the API gives them."""
    return {
        "phone_masked": str(phone),
        "next_sms_in": facts.untrusted.wait,
        "refused_by": facts.untrusted.limit or None,
        "trusted_next_sms_in": facts.trusted.wait,
        "trusted_refused_by": facts.trusted.limit or None,
        "known": facts.is_known,
        "trusted_addresses": facts.requesters,
        "slow_lane": facts.untrusted.is_restricted,
        "trusted_slow_lane": facts.trusted.is_restricted,
        "locked": facts.untrusted.is_locked,
        "trusted_locked": facts.trusted.is_locked,
        "live_verifications": facts.open_verifications,
        "limits": {
            "phone_sends_per_hour": _used(facts.sends_in(HOUR), limits.sends_per_hour),
            "phone_sends_per_day": _used(facts.sends_in(DAY), limits.sends_per_day),
            "phone_failures_per_hour": _used(facts.failures_in(HOUR), limits.failures_per_hour),
            "phone_failures_per_day": _used(facts.failures_in(DAY), limits.failures_per_day),
            "phone_slow_lane": _used(facts.consecutive_failures, limits.restrict_after_failures),
            "phone_locked": _used(facts.consecutive_failures, limits.lock_after_failures),
            "untrusted_failures": _used(
                facts.untrusted_failures, limits.untrusted_failures(limits.lock_after_failures)
            ),
        },
    }


# ── an address ──


def _address(session: AdminSession, text: str, wish: Wish) -> None:
    unit = _network(text)
    tag = base64.urlsafe_b64encode(session.settings.keyring().ip_hash(unit)).decode()
    limits = session.settings.policy().risk.ip_limits
    with handle_store_errors():
        facts = session.admin.ip_usage(tag, limits)
        alarm = alarm_level(session)
    cleared = _is_to_be_cleared(address_text(unit, facts, limits, alarm), wish)
    if cleared:
        with handle_store_errors():
            session.admin.clear_ip(tag)
        session.events.emit("limits_cleared", client_ip_hash=tag)
    _end(wish, {**address_json(unit, facts, limits), "alarm_level": alarm}, cleared=cleared)


def _network(text: str) -> str:
    try:
        return normalize_client_ip(text)
    except InvalidRequest:
        raise click.BadParameter("is not an IP address", param_hint="--address") from None


def address_text(unit: str, facts: IpUsage, limits: IpLimits, alarm: int) -> str:
    """Return what is counted of the address or network *unit*, for people."""
    sends = f"{facts.sends_in_hour} of {limits.sends_per_hour} in 1 h"
    sends += f", {facts.sends_in_day} of {limits.sends_per_day} in 24 h"
    sends += f", to {facts.phones_in_day} of {limits.phones_per_day} phones"
    asked = f"now, after a risk challenge ({facts.challenge_limit})" if facts.challenge_limit else "now"
    lines = {
        "next SMS": next_sms(facts) if facts.limit else asked,
        "unverified SMS": sends,
        "verified": f"{facts.verified_in_day} in 24 h",
        "misses": f"{facts.misses_in_10_minutes} of {limits.misses_per_10_minutes} in 10 min",
        "refused": f"from {limits.block_multiplier} times these limits for SMS",
    }
    return _listed(unit, lines | _alarm_line(alarm))


def address_json(unit: str, facts: IpUsage, limits: IpLimits) -> dict[str, object]:
    """Return what is counted of the address or network *unit*, for programs."""
    return {
        "address": unit,
        "next_sms_in": facts.wait,
        "refused_by": facts.limit or None,
        "challenged_by": facts.challenge_limit or None,
        "verified_in_day": facts.verified_in_day,
        "limits": {
            "address_sends_per_hour": _used(facts.sends_in_hour, limits.sends_per_hour),
            "address_sends_per_day": _used(facts.sends_in_day, limits.sends_per_day),
            "address_phones_per_day": _used(facts.phones_in_day, limits.phones_per_day),
            "address_misses_per_10_minutes": _used(facts.misses_in_10_minutes, limits.misses_per_10_minutes),
        },
    }


# ── showing and asking ──


def _is_to_be_cleared(text: str, wish: Wish) -> bool:
    """Show *text* to whoever reads, and find out whether it is to be cleared."""
    if not wish.as_json:
        click.echo(text)
    if wish.clear and not wish.yes:
        click.confirm("Clear these limits?", abort=True, err=True)
    return wish.clear


def _end(wish: Wish, told: Mapping[str, object], *, cleared: bool) -> None:
    if wish.as_json:
        click.echo(json.dumps({**told, "cleared": cleared}))
    elif cleared:
        click.echo("Cleared.")


def _listed(title: str, lines: Mapping[str, str]) -> str:
    width = max(map(len, lines)) + 2
    return "\n".join([title, *(f"  {name:<{width}}{what}" for name, what in lines.items())])


def _used(count: int, limit: int) -> dict[str, int]:
    return {"used": count, "of": limit}


def _yes(fact: bool) -> str:  # noqa: FBT001 - the one thing it is about
    return "yes" if fact else "no"
