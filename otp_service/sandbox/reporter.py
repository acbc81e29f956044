"""Posts reports in the background: batched, and again after Aliyun's waits until they are accepted.

One thread, started with the first report, works through a bounded list. Reports are posted at
least once: a receiver that accepts too late gets them again.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from otp_service.sandbox.clock import Clock
from otp_service.sandbox.report_items import Item
from otp_service.sandbox.report_post import ACCEPTED, LIMIT_SECONDS, check_url, post_reports
from otp_service.sms.aliyun.protocol.mns import MessageType

#: How long Aliyun waits after the first, the second and the third failure; after the fourth it gives up.
WAITS = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=10))

#: The most reports in one call.
MAX_BATCH = 100

#: How often the thread looks whether something is due, in seconds: the clock may be a test's.
_POLL = 0.02


@dataclass(frozen=True)
class Posting:
    """One call that was made: what it carried, the how-manieth it was for it, and what it came to."""

    message_type: MessageType
    reports: int
    number: int
    outcome: str
    posted_at: datetime


@dataclass(frozen=True)
class _Batch:
    message_type: MessageType
    items: tuple[Item, ...]
    due: datetime
    failures: int = 0


class Reporter:
    """Knows where reports go, and what is still to be posted; `close` it."""

    def __init__(
        self,
        urls: Mapping[MessageType, str],
        clock: Clock,
        time_factor: float,
        most: int = 10_000,
        log_size: int = 1000,
    ) -> None:
        """Keep what is given; *time_factor* multiplies the waits."""
        self._urls = urls
        self._clock = clock
        self._waits = [wait * time_factor for wait in WAITS]
        self._changed = threading.Condition()
        self._waiting: deque[_Batch] = deque(maxlen=most)
        self._log: deque[Posting] = deque(maxlen=log_size)
        self._thread: threading.Thread | None = None
        self._closed = False

    def report(self, message_type: MessageType, item: Item, due: datetime) -> None:
        """Post an item when it is due, if there is a URL for its type."""
        if message_type in self._urls:
            self._add(_Batch(message_type, (item,), due))

    def postings(self) -> list[Posting]:
        """List the calls that were made, newest first."""
        with self._changed:
            return list(reversed(self._log))

    def check(self) -> dict[MessageType, str]:
        """Get every URL as the console does; tells what it came to."""
        return {message_type: check_url(url) for message_type, url in self._urls.items()}

    def close(self) -> None:
        """Stop; what is not posted yet never will be."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(2 * LIMIT_SECONDS)

    def _add(self, batch: _Batch) -> None:
        with self._changed:
            self._waiting.append(batch)
            self._changed.notify_all()
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while (due := self._wait()) is not None:
            for batch in _joined(due):
                if not self._closed:
                    self._post(batch)

    def _wait(self) -> list[_Batch] | None:
        """Wait until something is due, and take it; None: close."""
        with self._changed:
            while not self._closed:
                now = self._clock()
                due = [batch for batch in self._waiting if batch.due <= now]
                if due:
                    self._keep([batch for batch in self._waiting if batch.due > now])
                    return due
                self._changed.wait(_POLL if self._waiting else None)
        return None

    def _keep(self, batches: Sequence[_Batch]) -> None:
        self._waiting.clear()
        self._waiting.extend(batches)

    def _post(self, batch: _Batch) -> None:
        outcome = post_reports(self._urls[batch.message_type], batch.items)
        now = self._clock()
        posting = Posting(batch.message_type, len(batch.items), batch.failures + 1, outcome, now)
        with self._changed:
            self._log.append(posting)
        if outcome != ACCEPTED and batch.failures < len(self._waits):
            due = now + self._waits[batch.failures]
            self._add(replace(batch, due=due, failures=batch.failures + 1))


def _joined(due: Sequence[_Batch]) -> list[_Batch]:
    """Put new reports of one type together; what failed together is posted together again."""
    batches = [batch for batch in due if batch.failures]
    for message_type in MessageType:
        items = [
            item
            for batch in due
            if batch.message_type is message_type and not batch.failures
            for item in batch.items
        ]
        batches += [
            _Batch(message_type, tuple(items[start : start + MAX_BATCH]), due[0].due)
            for start in range(0, len(items), MAX_BATCH)
        ]
    return batches
