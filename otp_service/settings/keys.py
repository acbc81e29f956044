"""`[keys]`: the root secrets by key id, which of them is active, and the tag key."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from pydantic import SecretStr

from otp_service.domain.crypto import Keyring
from otp_service.settings.issues import ConfigIssue
from otp_service.settings.secret_text import decoded, key_issues
from otp_service.settings.tables import Config, Secret

_KID = re.compile(r"[a-z0-9][a-z0-9_-]{0,15}")


class KeysConfig(Config):
    """The keys of the service. Every root verifies, the active one makes new codes."""

    active_kid: str = ""
    pseudonym_key: Secret = SecretStr("")
    roots: Mapping[str, Secret] = {}

    def keyring(self) -> Keyring:
        """Return the keyring; the table must be free of mistakes."""
        roots = {kid: decoded(root) for kid, root in self.roots.items()}
        return Keyring(roots, self.active_kid, decoded(self.pseudonym_key))

    def secrets(self) -> Iterator[tuple[str, SecretStr]]:
        """List every secret with its place."""
        yield "keys.pseudonym_key", self.pseudonym_key
        for kid, root in self.roots.items():
            yield f"keys.roots.{kid}", root

    def issues(self) -> Iterator[ConfigIssue]:
        """Tell what is wrong with the table in itself."""
        if not self.roots:
            yield ConfigIssue("keys.roots", "needs at least one root secret")
        if not self.active_kid:
            yield ConfigIssue("keys.active_kid", "is required")
        elif self.active_kid not in self.roots:
            yield ConfigIssue("keys.active_kid", "names no root of keys.roots", ("keys.roots.*",))
        for kid in self.roots:
            if not _KID.fullmatch(kid):
                yield ConfigIssue("keys.roots", "has a key id that is not 1 to 16 of a-z 0-9 _ -")
        for where, secret in self.secrets():
            for issue in key_issues(secret, decoded):
                yield ConfigIssue(where, issue)
