"""`redis-acl`: prints the command that creates the Redis user of the service."""

from __future__ import annotations

import hashlib
from pathlib import Path

from otp_service.store.acl import sentinel_rules, server_rules

PLACEHOLDER = ">PASSWORD"
"""Printed in place of a password. The operator replaces it."""


def acl_command(username: str, password_file: Path | None, *, sentinel: bool) -> str:
    """Return the `ACL SETUSER` command for a Redis server, or for a *sentinel*."""
    secret = PLACEHOLDER if password_file is None else f"#{_sha256(password_file)}"
    rules = sentinel_rules() if sentinel else server_rules()
    return " ".join(["ACL SETUSER", username, "reset", "on", secret, *rules])


def _sha256(password_file: Path) -> str:
    """Return the SHA-256 of the password in the file. Redis stores passwords in this form."""
    return hashlib.sha256(password_file.read_text(encoding="utf-8-sig").strip().encode()).hexdigest()
