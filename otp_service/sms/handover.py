"""The hand-over of an outcome from the thread that sends to the one that waits; touches nothing but locks."""

from __future__ import annotations

import threading
from enum import Enum

from otp_service.ports import Outcome


class Stage(Enum):
    """How far it has come."""

    QUEUED = "queued"
    """No thread has begun."""
    RUNNING = "running"
    DONE = "done"
    """The outcome came in time: the one who waits has it."""
    LEFT = "left"
    """The one who waited has gone: the outcome is late."""
    REVOKED = "revoked"
    """The one who waited has gone before it began: it never will."""


class Handover:
    """Every outcome is either in time or late, never both and never neither: one lock decides."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._announced = threading.Lock()  # held until there is something to hear: cheaper than an event
        self._announced.acquire()
        self._stage = Stage.QUEUED
        self._outcome: Outcome | None = None

    @property
    def stage(self) -> Stage:
        """How far it has come."""
        return self._stage

    # ── the sending thread ──

    def begin(self) -> bool:
        """Start; False means that it was revoked and nothing may be sent."""
        return self._move(Stage.QUEUED, Stage.RUNNING)

    def settle(self, outcome: Outcome) -> bool:
        """Lay the outcome down; False means that it is late."""
        self._outcome = outcome
        return self._move(Stage.RUNNING, Stage.DONE)

    def announce(self) -> None:
        """Wake the one who waits; called once."""
        self._announced.release()

    # ── the waiting thread ──

    def wait(self, seconds: float) -> Outcome | None:
        """Return the outcome, or nothing when it is not there after *seconds*."""
        try:
            self._listen(max(0.0, seconds))
        finally:  # a worker may be interrupted while it waits
            self.leave()
        return self._outcome if self._stage is Stage.DONE else None

    def _listen(self, seconds: float) -> None:
        self._announced.acquire(timeout=seconds)

    def revoke(self) -> None:
        """Keep it from beginning; one that has begun goes on."""
        if self._move(Stage.QUEUED, Stage.REVOKED):
            self._announced.release()

    def leave(self) -> None:
        """Wait no longer."""
        self.revoke()
        self._move(Stage.RUNNING, Stage.LEFT)

    def _move(self, old: Stage, new: Stage) -> bool:
        with self._lock:
            if self._stage is not old:
                return False
            self._stage = new
            return True
