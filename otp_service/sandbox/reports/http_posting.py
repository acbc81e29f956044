"""Posts reports to the account's URLs in the background, in batches, with Alibaba Cloud's retries.

A receiver has 700 ms to respond with HTTP 200 and a JSON object whose `code` is a number:
https://help.aliyun.com/document_detail/101867.html

One thread, started with the first report, works through a bounded queue. Reports are posted at least once:
a receiver that accepts them too late receives them again.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from socket import SHUT_RDWR
from urllib.parse import urlsplit

from otp_service.sandbox.config import Clock
from otp_service.sms.aliyun.protocol.mns import MessageType

#: A report or a reply, as it is serialized to JSON.
ReportItem = dict[str, object]

#: Alibaba Cloud's delays after the first, second and third failure. After the fourth it gives up.
RETRY_DELAYS = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=10))

#: The maximum number of reports in one request.
MAX_BATCH = 100

#: How long a response may take, in seconds.
TIMEOUT = 0.7

#: The outcome of a request whose receiver accepted the reports.
ACCEPTED = "accepted"

#: How often the thread checks for due reports, in seconds. Tests may move the clock at any time.
_POLL = 0.02

_HTTP_OK = 200
_MAX_RESPONSE = 65_536
_JSON = "application/json;charset=utf-8"


@dataclass(frozen=True)
class PostAttempt:
    """A request that was made: how many reports it contained, which attempt it was, and the outcome."""

    message_type: MessageType
    reports: int
    attempt: int
    outcome: str
    posted_at: datetime


@dataclass(frozen=True)
class _Batch:
    message_type: MessageType
    items: tuple[ReportItem, ...]
    due: datetime
    failures: int = 0


class ReportPoster:
    """Posts each report to the URL of its type. Call `close` when done."""

    def __init__(
        self,
        urls: Mapping[MessageType, str],
        clock: Clock,
        time_factor: float,
        max_pending: int = 10_000,
        log_size: int = 1000,
    ) -> None:
        """Prepare to post to *urls*; *time_factor* multiplies the retry delays."""
        self._urls = urls
        self._clock = clock
        self._retry_delays = [delay * time_factor for delay in RETRY_DELAYS]
        self._changed = threading.Condition()
        self._pending: deque[_Batch] = deque(maxlen=max_pending)
        self._log: deque[PostAttempt] = deque(maxlen=log_size)
        self._thread: threading.Thread | None = None
        self._closed = False

    def add(self, message_type: MessageType, item: ReportItem, due: datetime) -> None:
        """Post an item when it is due, if there is a URL for its type."""
        if message_type in self._urls:
            self._enqueue(_Batch(message_type, (item,), due))

    def attempts(self) -> list[PostAttempt]:
        """Return the requests that were made, newest first."""
        with self._changed:
            return list(reversed(self._log))

    def check_urls(self) -> dict[MessageType, str]:
        """Request every URL once, as the console does, and return the outcomes."""
        return {message_type: check_url(url) for message_type, url in self._urls.items()}

    def close(self) -> None:
        """Stop. Reports that are still pending are not posted."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(2 * TIMEOUT)

    def _enqueue(self, batch: _Batch) -> None:
        with self._changed:
            self._pending.append(batch)
            self._changed.notify_all()
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while (due := self._wait_for_due()) is not None:
            for batch in _merge(due):
                if not self._closed:
                    self._post(batch)

    def _wait_for_due(self) -> list[_Batch] | None:
        """Wait until batches are due, and remove and return them. Return None after `close`."""
        with self._changed:
            while not self._closed:
                now = self._clock()
                due = [batch for batch in self._pending if batch.due <= now]
                if due:
                    later = [batch for batch in self._pending if batch.due > now]
                    self._pending.clear()
                    self._pending.extend(later)
                    return due
                self._changed.wait(_POLL if self._pending else None)
        return None

    def _post(self, batch: _Batch) -> None:
        outcome = post_reports(self._urls[batch.message_type], batch.items)
        now = self._clock()
        attempt = PostAttempt(batch.message_type, len(batch.items), batch.failures + 1, outcome, now)
        with self._changed:
            self._log.append(attempt)
        if outcome != ACCEPTED and batch.failures < len(self._retry_delays):
            due = now + self._retry_delays[batch.failures]
            self._enqueue(replace(batch, due=due, failures=batch.failures + 1))


def _merge(due: Sequence[_Batch]) -> list[_Batch]:
    """Merge new reports of the same type into batches. A batch that failed is posted again unchanged."""
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


def post_reports(url: str, items: Sequence[ReportItem]) -> str:
    """Post *items* as one JSON array, once. Return the outcome: `ACCEPTED`, or what was wrong."""
    return _request("POST", url, json.dumps(items, ensure_ascii=False).encode())


def check_url(url: str) -> str:
    """Send a GET request to a URL, as the console does before it saves it. Return the outcome."""
    return _request("GET", url, None)


def _request(method: str, url: str, body: bytes | None) -> str:
    started = time.monotonic()
    try:
        with closing(_connection(url)) as connection:
            outcome = _evaluate(*_exchange(connection, method, url, body))
    except (OSError, HTTPException, ValueError, RecursionError) as error:
        outcome = f"failed: {type(error).__name__}"
    return "too slow" if time.monotonic() - started > TIMEOUT else outcome


def _connection(url: str) -> HTTPConnection:
    parts = urlsplit(url)
    connection_class = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    return connection_class(parts.hostname or "", parts.port, timeout=TIMEOUT)


def _exchange(connection: HTTPConnection, method: str, url: str, body: bytes | None) -> tuple[int, bytes]:
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"Content-Type": _JSON} if body is not None else {}
    timer = threading.Timer(TIMEOUT, _abort, [connection])
    timer.daemon = True
    timer.start()
    try:
        connection.request(method, target, body, headers)
        response: HTTPResponse = connection.getresponse()
        return response.status, response.read(_MAX_RESPONSE)
    finally:
        timer.cancel()


def _abort(connection: HTTPConnection) -> None:
    """End an exchange at its deadline; the socket's timeout applies to each read separately."""
    with suppress(OSError, AttributeError):  # It may have ended already, or have no socket yet.
        connection.sock.shutdown(SHUT_RDWR)


def _evaluate(status: int, body: bytes) -> str:
    if status != _HTTP_OK:
        return f"HTTP {status}"
    answer = json.loads(body)
    code = answer.get("code") if isinstance(answer, dict) else None
    is_number = isinstance(code, int | float) and not isinstance(code, bool)
    return ACCEPTED if is_number else "code is not a number"
