"""`erase-phone`: erases what is kept of a phone, and says what that leaves."""

from __future__ import annotations

from pathlib import Path

import click

from otp_service.cli.admin import ask_phone, handle_store_errors, open_session

WHAT_IS_LEFT = """\
What this command cannot erase:
  log lines         They hold the phone's tag and its mask, never the number; delete them where they are kept.
  idempotency keys  For 1 h: a keyed fingerprint of the call and the id of its verification. Nothing in them
                    tells whose they are, so they cannot be found by the phone.
  counters          Of SMS per day, client, country and prefix: sums, in which no phone can be told apart.
  copies of Redis   Snapshots, append-only files and backups keep the erased keys until they are replaced.
  the provider      Aliyun keeps number and text of each SMS by its own rules.
  your own systems  Whoever redeemed a proof was told the number.
"""


def run(config: Path | None, *, yes: bool) -> None:
    """Erase everything that the store keeps of the phone that is asked for."""
    session = open_session(config)
    phone = ask_phone(session.settings)
    if not yes:
        click.confirm(f"Erase what is kept of {phone}? It cannot be undone.", abort=True, err=True)
    tag = session.tag(phone)
    with handle_store_errors():
        gone = session.admin.erase_phone(tag)
    session.events.emit(
        "phone_erased", phone_hash=tag, phone_masked=str(phone), keys=gone.keys, addresses=gone.addresses
    )
    click.echo(
        f"{phone} is erased. Keys deleted: {gone.keys}; entries removed from IP logs: {gone.addresses}."
    )
    click.echo()
    click.echo(WHAT_IS_LEFT, nl=False)
