"""The keys of `dev`, and the directory in which `--keep` keeps them and the data of the store."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import TracebackType
from typing import Self

from otp_service.cli.secrets import publishable_key, secret, secret_key
from otp_service.store.embedded import EmbeddedNotStarted, start_persistent

KEYS, NEW_KEYS, DATA = "keys.json", "keys.json.new", "store"


class StateNotUsable(Exception):
    """The directory cannot be used; the message completes the sentence "it …"."""


@dataclass(frozen=True)
class DevKeys:
    """All keys of one service and its sandbox; by default new ones."""

    root: str = field(default_factory=secret, repr=False)
    pseudonym_key: str = field(default_factory=secret, repr=False)
    proof_key: str = field(default_factory=secret, repr=False)
    secret_key: str = field(default_factory=secret_key, repr=False)
    publishable_key: str = field(default_factory=publishable_key)
    access_key_secret: str = field(default_factory=secret, repr=False)


class DevState:
    """Keys and a running store whose data survive in *directory*; a context manager.

    Raises:
        StateNotUsable: the directory has other files, is in use, or cannot be written.
    """

    def __init__(self, directory: Path) -> None:
        try:
            directory.mkdir(mode=0o700, exist_ok=True)
            file = directory / KEYS
            if not file.exists() and any(path.name not in {NEW_KEYS, DATA} for path in directory.iterdir()):
                raise StateNotUsable(f"contains files other than {KEYS} and {DATA}: name a new directory")
            directory.chmod(0o700)
            self._store = start_persistent(directory / DATA)
        except OSError as error:
            raise StateNotUsable(f"cannot be used: {error.strerror}") from None
        except EmbeddedNotStarted as error:
            raise StateNotUsable(f"cannot be used: {error}") from None
        try:
            self.keys = _read(file) if file.exists() else _create(file)
        except BaseException:
            self._store.close()
            raise

    @property
    def redis_url(self) -> str:
        """The URL of the store."""
        return self._store.url

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._store.close()


def _read(file: Path) -> DevKeys:
    try:
        found = json.loads(file.read_text("utf-8"))
        names = {one.name for one in fields(DevKeys)}
        if found.keys() == names and all(isinstance(value, str) and value for value in found.values()):
            return DevKeys(**found)
    except (OSError, ValueError, AttributeError):
        pass
    raise StateNotUsable(f"has a {KEYS} that was not written by this version: delete the directory")


def _create(file: Path) -> DevKeys:
    keys, temporary = DevKeys(), file.with_name(NEW_KEYS)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        json.dump(asdict(keys), opened)
    temporary.replace(file)
    return keys
