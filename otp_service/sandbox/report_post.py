"""Posts reports to somebody's URL as Aliyun does, once; touches the network.

The answer has to come within 700 ms, on HTTP 200, as a JSON object whose `code` is a number:
https://help.aliyun.com/document_detail/101867.html
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from socket import SHUT_RDWR
from urllib.parse import urlsplit

from otp_service.sandbox.report_items import Item

#: How long an answer may take.
LIMIT_SECONDS = 0.7

#: What a call came to when the receiver has the reports.
ACCEPTED = "accepted"

_HTTP_OK = 200
_MAX_ANSWER = 65_536
_JSON = "application/json;charset=utf-8"


def post_reports(url: str, items: Sequence[Item]) -> str:
    """Post *items* as one JSON array; tells what it came to: `ACCEPTED`, or what was wrong."""
    return _call("POST", url, json.dumps(items, ensure_ascii=False).encode())


def check_url(url: str) -> str:
    """Get a URL, as the console does before it takes it; tells what it came to."""
    return _call("GET", url, None)


def _call(method: str, url: str, body: bytes | None) -> str:
    started = time.monotonic()
    try:
        with closing(_connection(url)) as connection:
            verdict = _verdict(*_exchange(connection, method, url, body))
    except (OSError, HTTPException, ValueError, RecursionError) as error:
        verdict = f"failed: {type(error).__name__}"
    return "too slow" if time.monotonic() - started > LIMIT_SECONDS else verdict


def _connection(url: str) -> HTTPConnection:
    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    return kind(parts.hostname or "", parts.port, timeout=LIMIT_SECONDS)


def _exchange(connection: HTTPConnection, method: str, url: str, body: bytes | None) -> tuple[int, bytes]:
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"Content-Type": _JSON} if body is not None else {}
    watch = threading.Timer(LIMIT_SECONDS, _cut, [connection])
    watch.daemon = True
    watch.start()
    try:
        connection.request(method, target, body, headers)
        response: HTTPResponse = connection.getresponse()
        return response.status, response.read(_MAX_ANSWER)
    finally:
        watch.cancel()


def _cut(connection: HTTPConnection) -> None:
    """End an exchange that drips on: a time-out of the socket is for each piece only."""
    with suppress(OSError, AttributeError):  # It may be over, or have no socket yet.
        connection.sock.shutdown(SHUT_RDWR)


def _verdict(status: int, body: bytes) -> str:
    if status != _HTTP_OK:
        return f"HTTP {status}"
    answer = json.loads(body)
    code = answer.get("code") if isinstance(answer, dict) else None
    numeric = isinstance(code, int | float) and not isinstance(code, bool)
    return ACCEPTED if numeric else "code is not a number"
