"""`unlock`: lets a phone be verified again after too many wrong codes."""

from __future__ import annotations

from pathlib import Path

import click

from otp_service.cli.admin import ask_phone, open_session
from otp_service.cli.limits import next_sms


def run(config: Path | None) -> None:
    """Ask for a phone, reset its wrong codes, and print when it may receive an SMS."""
    session = open_session(config)
    phone = ask_phone(session.settings)
    policy, phone_hash = session.settings.policy(), session.phone_hash(phone)
    with session.store_access():
        before = session.admin.phone_usage(phone_hash, policy.phone_limits, policy.code_limits.max_attempts)
        session.store.unlock(phone_hash)
        after = session.admin.phone_usage(phone_hash, policy.phone_limits, policy.code_limits.max_attempts)
    session.events.emit("phone_unlocked", phone_hash=phone_hash, phone_masked=str(phone), client="")
    state = "was locked" if before.untrusted.is_locked else "was not locked"
    click.echo(f"{phone} {state}. Wrong codes in a row, now reset: {before.consecutive_failures}.")
    click.echo(f"next SMS: {next_sms(after.untrusted)}")
