"""Fresh secrets, as the configuration wants them. Touches randomness and the date."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

import click

from otp_service.domain.clients import key_digest
from otp_service.settings.clients import ID


def secret() -> str:
    """Return 32 random bytes as text."""
    return secrets.token_urlsafe(32)


def secret_key() -> str:
    """Return a client's secret key."""
    return f"sk_{secret()}"


def publishable_key() -> str:
    """Return a client's key for browsers."""
    return f"pk_{secret()}"


def keys_table() -> str:
    """Return a [keys] table with a root secret, named after this year, and a tag key."""
    kid = f"{datetime.now(UTC):%Y}a"
    return f"""\
[keys]
active_kid = "{kid}"
pseudonym_key = "{secret()}"

[keys.roots]
{kid} = "{secret()}"
"""


def client_table(client: str, key: str) -> str:
    """Return a [clients.<id>] table for *client*, whose secret key is *key*.

    Its publishable key waits in a comment: it is good for nothing until somebody says for which pages.

    Raises:
        click.BadParameter: *client* cannot be the id of a client.
    """
    if not ID.fullmatch(client):
        raise click.BadParameter("must be 1 to 32 of a-z 0-9 _ -, beginning with a letter")
    return f"""\
[clients.{client}]
secret_key_digests = ["{key_digest(key)}"]
proof_keys = ["{secret()}"]
sms_per_day = 1000  # how many SMS it may cause in a day
# publishable_key = "{publishable_key()}"  # for browsers; no secret
# origins = ["https://www.example.com"]  # the pages that may use it, exactly
"""
