"""`erase-phone`: deletes the data about a phone, and prints what it cannot delete."""

from __future__ import annotations

from pathlib import Path

import click

from otp_service.cli.admin import ask_phone, open_session

NOT_ERASED = """\
What this command cannot erase:
  log lines         They contain a keyed hash and the masked number, never the number itself. Delete them
                    where you store them.
  idempotency keys  Kept for 1 h: a keyed fingerprint of the call and the id of its verification. They contain
                    nothing about the phone, so they cannot be found by it.
  counters          SMS per day, client, country and prefix. These are sums; no phone can be read from them.
  copies of Redis   Snapshots, append-only files and backups keep the erased keys until they are replaced.
  the provider      Aliyun keeps the number and the text of each SMS under its own rules.
  your own systems  Every backend that redeemed a proof received the number.
"""


def run(config: Path | None, *, yes: bool) -> None:
    """Ask for a phone, and delete everything that the store holds about it."""
    session = open_session(config)
    phone = ask_phone(session.settings)
    if not yes:
        click.confirm(f"Erase all data about {phone}? This cannot be undone.", abort=True, err=True)
    phone_hash = session.phone_hash(phone)
    with session.store_access():
        erased = session.admin.erase_phone(phone_hash)
    session.events.emit(
        "phone_erased",
        phone_hash=phone_hash,
        phone_masked=str(phone),
        keys=erased.keys,
        ip_logs=erased.ip_logs,
    )
    click.echo(
        f"{phone} is erased. Keys deleted: {erased.keys}; entries removed from IP logs: {erased.ip_logs}."
    )
    click.echo()
    click.echo(NOT_ERASED, nl=False)
