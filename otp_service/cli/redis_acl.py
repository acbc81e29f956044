"""`redis-acl`: an ACL user for this service, as redis-cli takes it. Touches the file of a password."""

from __future__ import annotations

import hashlib
from pathlib import Path

from otp_service.store.acl import sentinel_rules, server_rules

PLACEHOLDER = ">PASSWORD"
"""For the operator to fill in."""


def line(username: str, password_file: Path | None, *, sentinel: bool) -> str:
    """Return the command that makes the user, on a server with data or on a *sentinel*."""
    secret = PLACEHOLDER if password_file is None else f"#{_digest(password_file)}"
    rules = sentinel_rules() if sentinel else server_rules()
    return " ".join(["ACL SETUSER", username, "reset", "on", secret, *rules])


def _digest(password_file: Path) -> str:
    """Return the SHA-256 of what the file holds, the form in which Redis keeps it."""
    return hashlib.sha256(password_file.read_text(encoding="utf-8-sig").strip().encode()).hexdigest()
