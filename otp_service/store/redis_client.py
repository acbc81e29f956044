"""Runs scripts and commands on Redis for every part of the store.

Every failure becomes `StoreUnavailable`: redis-py's errors contain keys and arguments, so their texts are
neither logged nor passed on. Each round trip emits an event with its duration.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import redis

from otp_service import forks
from otp_service.domain.errors import StoreUnavailable
from otp_service.services.interfaces import EventLogger
from otp_service.store import health
from otp_service.store.backend import Command, PipelineResult, RedisBackend, ReplicationWait, backend_of
from otp_service.store.diagnosis import RedisProblem, diagnose, schema_problem
from otp_service.store.health import Inspection, UnsuitableRedis
from otp_service.store.schema import OWN, SchemaGuard, SchemaVersion
from otp_service.store.scripts import Call, ScriptRunner

READINESS, COUNTERS = "readiness", "counters"
"""Background jobs. They run again and again, so only the beginning and the end of an outage are warnings."""


class Outages:
    """Tracks which background jobs fail. An outage ends when none of them fails any more."""

    def __init__(self, events: EventLogger, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._events = events
        self._monotonic = monotonic
        self._failing: set[str] = set()
        self._began = 0.0
        self._renew_lock()
        forks.call_in_child(self._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()

    def failed(self, job: str, kind: str) -> None:
        """Record a failure of *job*; only the first failure of an outage is a warning."""
        self._events.emit("background_redis_error", job=job, kind=kind)
        with self._lock:
            is_first = not self._failing
            self._failing.add(job)
            if is_first:
                self._began = self._monotonic()
        if is_first:
            self._events.emit("redis_outage", state="began", job=job, kind=kind)

    def succeeded(self, job: str) -> None:
        """Record a success of *job*."""
        if job not in self._failing:
            return
        with self._lock:
            self._failing.discard(job)
            is_over = not self._failing
            seconds = round(self._monotonic() - self._began)
        if is_over:
            self._events.emit("redis_outage", state="ended", job=job, seconds=seconds)


class RedisClient:
    """Runs scripts and commands on *backend*.

    Durable calls succeed only after *wait*. Without *shebang*, the scripts run on fakeredis. *job* names the
    background work that all calls belong to, if any. Background work also declares the *schema* version of
    this process. While a newer release writes what this one cannot read, no script runs.
    """

    def __init__(
        self,
        backend: redis.Redis | RedisBackend,
        events: EventLogger,
        *,
        shebang: bool = True,
        wait: ReplicationWait | None = None,
        job: str = "",
        schema: SchemaVersion = OWN,
    ) -> None:
        self._backend = backend_of(backend)
        self._events = events
        self._schema = SchemaGuard(events, schema)
        self._wait = wait
        self._job = job
        self._outages = Outages(events)
        self.scripts = ScriptRunner(self._backend, shebang=shebang, wait=wait)
        self._round_trips: set[object] = set()
        forks.call_in_child(self._forget_round_trips)

    @property
    def in_flight(self) -> int:
        """The number of round trips in flight; each uses a connection."""
        return len(self._round_trips)

    def close(self) -> None:
        """Close idle connections."""
        self._backend.close()

    # ── scripts and commands ──

    def run_scripts(self, calls: Sequence[Call]) -> list[list[Any]]:
        """Run *calls* in one round trip and return their replies.

        Raises:
            StoreUnavailable: any of them may or may not have run.
        """
        return self._run_scripts(calls).replies

    def run_counter_scripts(self, calls: Sequence[Call]) -> list[list[Any]]:
        """Run *calls* for the usage counters: like `run_scripts`, but with one warning for each outage.

        Raises:
            StoreUnavailable: any of them may or may not have run.
        """
        return self._run_scripts(calls, job=COUNTERS).replies

    def run_durable(self, calls: Sequence[Call]) -> PipelineResult:
        """Run *calls* in one round trip and wait for replicas.

        If the result is not `replicated`, the calls have run and a failover may undo them.

        Raises:
            StoreUnavailable: any of them may or may not have run.
        """
        return self._run_scripts(calls, durable=True)

    def not_replicated(self) -> StoreUnavailable:
        """Log that too few replicas have acknowledged a write, and return the error to raise."""
        self._log_failure(self._job, "NotReplicated")
        return StoreUnavailable()

    def run_commands(self, commands: Sequence[Command]) -> list[Any]:
        """Run *commands* in one round trip and return their replies.

        Raises:
            StoreUnavailable: any of them may or may not have run.
        """
        with self.round_trip() as backend:
            return backend.execute(commands).raise_errors()

    @contextmanager
    def round_trip(self, job: str = "") -> Iterator[RedisBackend]:
        """Yield the backend for one operation, which belongs to the background *job* if one is named.

        Raises:
            StoreUnavailable: its commands may or may not have run.
        """
        began, round_trip, job = time.monotonic(), object(), job or self._job
        self._round_trips.add(round_trip)
        try:
            yield self._backend
        except redis.RedisError as error:
            self._log_failure(job, type(error).__name__)
            raise StoreUnavailable from None
        else:
            if job:
                self._outages.succeeded(job)
        finally:
            self._round_trips.discard(round_trip)
            # Rounded, because six digits in a row could be mistaken for a code.
            self._events.emit("redis_roundtrip", duration_ms=round((time.monotonic() - began) * 1000, 3))

    def _run_scripts(self, calls: Sequence[Call], *, durable: bool = False, job: str = "") -> PipelineResult:
        job = job or self._job
        if not self._schema.is_readable:
            if not job:
                raise StoreUnavailable
            self._check_schema(job)
        with self.round_trip(job):
            result = self.scripts.run(*calls, durable=durable)
        if job and self._schema.is_due:
            with suppress(StoreUnavailable):  # this call succeeded; the next one is rejected
                self._check_schema(job)
        return result

    def _check_schema(self, job: str) -> None:
        """Declare this process's schema version, and check that it can read the one in use.

        Raises:
            StoreSchemaNewer: it cannot.
            StoreUnavailable: Redis fails.
        """
        with self.round_trip(job):
            result = self.scripts.run(self._schema.call())
        self._schema.learn(result.replies[0][1])

    def _log_failure(self, job: str, kind: str) -> None:
        if job:
            self._outages.failed(job, kind)
        else:
            self._events.emit("redis_error", kind=kind)

    def _forget_round_trips(self) -> None:
        self._round_trips = set()

    # ── health ──

    def check_health(self) -> bool:
        """See `interfaces.Store.check_health`. Also declares and checks the schema version."""
        persists = self.check_servers()
        self._check_schema(READINESS)
        return persists

    def check_servers(self) -> bool:
        """Check that the servers are suitable and accept writes; return whether all persist their data.

        Raises:
            StoreUnavailable: one is unsuitable, rejects writes or does not answer.
        """
        try:
            with self.round_trip(READINESS) as backend:
                return health.check(backend, self._replicas)
        except UnsuitableRedis:
            self._outages.failed(READINESS, UnsuitableRedis.__name__)
            raise

    def inspect(self) -> Inspection:
        """Return what the servers say about themselves.

        Raises:
            StoreUnavailable: one does not answer.
        """
        with self.round_trip() as backend:
            return health.inspect(backend, self._replicas)

    def schema_problem(self) -> RedisProblem | None:
        """Return why this release cannot read the data in Redis, or None if it can.

        Raises:
            StoreUnavailable: Redis fails.
        """
        with self.round_trip() as backend:
            return schema_problem(backend)

    def diagnose(self) -> RedisProblem | None:
        """Return what is wrong with the servers, in words, or None."""
        return diagnose(self._backend, self._replicas)

    @property
    def _replicas(self) -> int:
        return self._wait.replicas if self._wait else 0
