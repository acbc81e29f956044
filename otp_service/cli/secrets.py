"""`secrets new` and `keys new`: random secrets, printed as tables of the configuration."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

import click

from otp_service.domain.clients import key_digest
from otp_service.settings.clients import ID


def secret() -> str:
    """Return 32 random bytes in base64url."""
    return secrets.token_urlsafe(32)


def secret_key() -> str:
    """Return a new secret key for a client's backend."""
    return f"sk_{secret()}"


def publishable_key() -> str:
    """Return a new publishable key for a client's web pages."""
    return f"pk_{secret()}"


def key_id() -> str:
    """Return the id of a new root secret, which begins with the year."""
    return f"{datetime.now(UTC):%Y}a"


def keys_table() -> str:
    """Return a [keys] table with a root secret and a pseudonym key."""
    kid = key_id()
    return f"""\
[keys]
active_kid = "{kid}"
pseudonym_key = "{secret()}"

[keys.roots]
{kid} = "{secret()}"
"""


def client_id_issue(client: str) -> str:
    """Return why *client* cannot be the id of a client; empty if it can."""
    return "" if ID.fullmatch(client) else "must be 1 to 32 of a-z 0-9 _ -, beginning with a letter"


def client_table(client: str, key: str, proof_keys: str = "") -> str:
    """Return a [clients.<id>] table for *client* with the digest of its secret key *key*.

    *proof_keys* is the line that sets its proof keys, by default to a new one. The publishable key is
    commented out: it is of no use before `origins` is set.

    Raises:
        click.BadParameter: *client* is not a valid client id.
    """
    if issue := client_id_issue(client):
        raise click.BadParameter(issue)
    return f"""\
[clients.{client}]
secret_key_digests = ["{key_digest(key)}"]
{proof_keys or f'proof_keys = ["{secret()}"]'}
sms_per_day = 1000  # maximum SMS per day
# publishable_key = "{publishable_key()}"  # for web pages; not secret
# origins = ["https://www.example.com"]  # the origins of these pages, exactly
"""
