"""`unlock`: lets a phone be verified again after too many wrong codes."""

from __future__ import annotations

from pathlib import Path

import click

from otp_service.cli.admin import ask_phone, handle_store_errors, open_session
from otp_service.cli.limits import next_sms


def run(config: Path | None) -> None:
    """Forget the failures of the phone that is asked for, and tell when it may get an SMS."""
    session = open_session(config)
    phone = ask_phone(session.settings)
    policy, tag = session.settings.policy(), session.tag(phone)
    with handle_store_errors():
        before = session.admin.phone_usage(tag, policy.phone_limits, policy.code_limits.max_attempts)
        session.store.unlock(tag)
        after = session.admin.phone_usage(tag, policy.phone_limits, policy.code_limits.max_attempts)
    session.events.emit("phone_unlocked", phone_hash=tag, phone_masked=str(phone), client="")
    state = "was locked" if before.untrusted.is_locked else "was not locked"
    click.echo(f"{phone} {state}; wrong codes forgotten: {before.consecutive_failures} in a row.")
    click.echo(f"next SMS: {next_sms(after.untrusted)}")
