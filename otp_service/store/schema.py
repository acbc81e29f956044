"""The version of the Redis schema, which decides whether releases can share a Redis.

The key `otp:schema` holds the highest version in use and the oldest version that may run beside it. Every
process writes and checks it in the background. A process never lowers the version: when the last process of
a newer release has ended, the key expires after `RETENTION` seconds.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from otp_service.domain.errors import StoreUnavailable
from otp_service.services.interfaces import EventLogger
from otp_service.store import keys
from otp_service.store.scripts import Call

STORE_SCHEMA = 1
"""The schema version of this release. Raise it when an older release could misread what this one writes."""

OLDEST_COMPATIBLE_SCHEMA = 1
"""The oldest version that may run beside this release: each of the two reads what the other writes."""

RETENTION = 30 * 60
"""Seconds for which a version counts as in use. No verification lives longer than that."""

CHECK_SECONDS = 5.0
"""Interval between two checks of a process that serves no readiness probes."""

_VALUE = re.compile(rb"(\d{1,9}) (\d{1,9})")


@dataclass(frozen=True, slots=True)
class SchemaVersion:
    """A schema *version*, and the *oldest* version that may run beside it."""

    version: int
    oldest: int


OWN = SchemaVersion(STORE_SCHEMA, OLDEST_COMPATIBLE_SCHEMA)

UNKNOWN = SchemaVersion(10**9, 10**9)
"""Stands for a value that this release cannot parse: only a newer release can have written it."""


def newer_version(value: bytes | None, own: SchemaVersion = OWN) -> SchemaVersion | None:
    """Return the version that the key's *value* names, if *own* must not run beside it, or None."""
    if value is None:
        return None
    found = _VALUE.fullmatch(value)
    in_use = SchemaVersion(int(found[1]), int(found[2])) if found else UNKNOWN
    return in_use if in_use.version > own.version and in_use.oldest > own.version else None


class StoreSchemaNewer(StoreUnavailable):
    """A newer release uses the same Redis, and this release cannot read what it writes."""

    def members(self) -> dict[str, object]:
        """Return when to retry, and the reason."""
        return {**super().members(), "reason": "store_schema_newer"}


class SchemaGuard:
    """Remembers whether this process, which uses the version *own*, can read what is in Redis."""

    def __init__(
        self,
        events: EventLogger,
        own: SchemaVersion = OWN,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._events = events
        self._own = own
        self._monotonic = monotonic
        self._checked_at = -CHECK_SECONDS
        self._newer: SchemaVersion | None = None
        self.is_readable = True
        """Whether this process could read what was in Redis at the last check."""

    @property
    def is_due(self) -> bool:
        """Whether the last check is so old that another one is needed."""
        return self._monotonic() - self._checked_at >= CHECK_SECONDS

    def call(self) -> Call:
        """Return the call that declares this process's version and replies with the version in use."""
        self._checked_at = self._monotonic()
        return Call("schema", [keys.schema()], [self._own.version, self._own.oldest, RETENTION * 1000])

    def learn(self, value: bytes) -> None:
        """Record the version in use, the *value* of the key. A change to a newer version emits an event.

        Raises:
            StoreSchemaNewer: this process cannot read it.
        """
        before, self._newer = self._newer, newer_version(value, self._own)
        self.is_readable = self._newer is None
        if self._newer is None:
            return
        if self._newer != before:
            self._emit(self._newer)
        raise StoreSchemaNewer

    def _emit(self, newer: SchemaVersion) -> None:
        version, oldest = (None, None) if newer == UNKNOWN else (newer.version, newer.oldest)
        self._events.emit(
            "store_schema_newer", schema=version, oldest_schema=oldest, own_schema=self._own.version
        )
