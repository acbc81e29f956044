"""`redis-acl`: prints the command that creates the Redis user of the service."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import click

from otp_service.settings.secret_settings import UnreadableFile, read_text, text_issue
from otp_service.store.acl import sentinel_rules, server_rules

PLACEHOLDER = ">PASSWORD"
"""Printed in place of a password. The operator replaces it."""


_USERNAME = re.compile(r"[!-~]+")
"""Redis separates the rules of the command by spaces."""


def acl_command(username: str, password_file: Path | None, *, sentinel: bool) -> str:
    """Return the `ACL SETUSER` command for a Redis server, or for a *sentinel*.

    Raises:
        click.BadParameter: *username* is not a name, or *password_file* contains no password.
    """
    if not _USERNAME.fullmatch(username):
        raise click.BadParameter("must be ASCII without spaces", param_hint="--username")
    secret = PLACEHOLDER if password_file is None else f"#{_sha256(password_file)}"
    rules = sentinel_rules() if sentinel else server_rules()
    return " ".join(["ACL SETUSER", username, "reset", "on", secret, *rules])


def _sha256(password_file: Path) -> str:
    """Return the SHA-256 of the password in the file. Redis stores passwords in this form."""
    try:
        password = read_text(password_file).strip()
    except UnreadableFile as error:
        raise click.BadParameter(f"names a file that {error.reason}", param_hint="--password-file") from None
    # Redis would accept an empty password, and the user could then log in with one.
    issue = text_issue(password, may_have_spaces=True) if password else "is empty"
    if issue:
        raise click.BadParameter(f"names a file whose text {issue}", param_hint="--password-file")
    return hashlib.sha256(password.encode()).hexdigest()
