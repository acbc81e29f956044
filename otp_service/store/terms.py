"""Terms: how servers are spoken to, whatever their number. Touches files, whenever it connects."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from redis import AuthenticationError
from redis.credentials import CredentialProvider


@dataclass(frozen=True, slots=True)
class Wait:
    """For how many *replicas* a write that must last waits, and for how many *seconds* at most."""

    replicas: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for every connection. Time-outs in seconds; *pool_size* connections to each server.

    *password_file* stands in for the password of the URL. *sentinel_username* is who we are to Sentinels.
    """

    pool_size: int = 256
    connect_timeout: float = 0.5
    read_timeout: float = 0.5
    password_file: Path | None = None
    sentinel_username: str = ""
    sentinel_password_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None


class FileCredentials(CredentialProvider):
    """A user and what its file holds when a connection is made: a password that changes without a restart."""

    def __init__(self, username: str, file: Path) -> None:
        self._username = username
        self._file = file

    def get_credentials(self) -> tuple[str, ...]:  # type: ignore[override]
        """Return what a connection presents.

        Raises:
            redis.AuthenticationError: the file cannot be read.
        """
        try:
            password = self._file.read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            raise AuthenticationError("the file of the password cannot be read") from None
        return (self._username, password) if self._username else (password,)
