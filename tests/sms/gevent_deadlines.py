"""Deadlines that hold under gevent only: `test_http_under_gevent.py` runs these tests."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import gevent
import pytest
from gevent import monkey
from sms import wire
from sms.wire import OK, WireServer, response

from otp_service.sms.http import ConnectFailed, HttpClient, ResponseLost

SECONDS = 0.5


@pytest.fixture
def client() -> Iterator[HttpClient]:
    client = HttpClient(max_connections=8, connect_seconds=2, read_seconds=2)
    yield client
    client.close()


def post(client: HttpClient, url: str) -> bytes:
    return client.post(f"{url}/", {}, b"body", seconds=SECONDS).body


@contextmanager
def ends_in_time() -> Iterator[None]:
    """Assert that the block ends in time; without a deadline it would take ten seconds or more."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < 4


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_process_is_patched() -> None:
    assert monkey.is_module_patched("socket")


interrupted = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""Ignore the warning about a socket that is garbage-collected before it is closed."""

TRICKLING = {
    "head": wire.drips(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 500),
    "head of chunks": wire.drips(
        b"1;" + b"x" * 500, after=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    ),
    "body": wire.drips(b" " * 500, after=response(b"", length=500)),
    "endless hints": wire.drips(b"HTTP/1.1 100 Continue\r\n\r\n" * 20),
    "nothing": wire.stalls,
}


@pytest.mark.parametrize("name", TRICKLING)
def test_trickling_response_ends_at_the_deadline(client: HttpClient, name: str) -> None:
    with WireServer(TRICKLING[name]) as server:
        with ends_in_time(), pytest.raises(ResponseLost) as error:
            post(client, server.url)
        assert len(server.requests) == 1

    assert error.value.reason == "TimeoutError"


def test_abandoned_connection_is_not_reused(client: HttpClient) -> None:
    with WireServer(wire.in_turn(TRICKLING["body"], wire.answers(response(OK)))) as server:
        with pytest.raises(ResponseLost):
            post(client, server.url)
        assert post(client, server.url) == OK
        assert server.connections == 2


def test_silent_resolver_ends_at_the_deadline_with_nothing_sent(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """gevent resolves names in a native thread, which keeps waiting."""
    release = threading.Event()

    def waits(*_: object) -> list[object]:
        release.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", waits)
    with ends_in_time(), pytest.raises(ConnectFailed) as error:
        post(client, "http://provider.example")
    release.set()

    assert error.value.reason == "TimeoutError"
    assert error.value.__context__ is None


@interrupted
def test_many_silent_addresses_end_at_the_deadline(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire.resolve_to(monkeypatch, *["127.0.0.1"] * 10)
    with ExitStack() as stack:
        port = wire.full_queue(stack).getsockname()[1]
        with ends_in_time(), pytest.raises(ConnectFailed):
            post(client, f"http://provider.example:{port}")


@interrupted
def test_connecting_sockets_are_closed(client: HttpClient) -> None:
    with ExitStack() as stack:
        port = wire.full_queue(stack).getsockname()[1]
        before = open_files()
        for _ in range(5):
            with pytest.raises(ConnectFailed):
                client.post(f"http://127.0.0.1:{port}/", {}, b"", seconds=0.1)

        assert open_files() - before <= 1  # the last one is perhaps not yet collected


@interrupted
def test_trickling_tls_handshake_ends_at_the_deadline_with_nothing_sent(client: HttpClient) -> None:
    def drips(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            wire.drips(b"\x16\x03\x03\x40\x00" + bytes(1000))(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        dripping = gevent.spawn(drips, listener)
        with ends_in_time(), pytest.raises(ConnectFailed):
            post(client, f"https://127.0.0.1:{listener.getsockname()[1]}")
        dripping.join()


def test_request_takes_at_most_the_connect_and_read_timeouts() -> None:
    client = HttpClient(max_connections=1, connect_seconds=0.5, read_seconds=1)
    with WireServer(TRICKLING["head"]) as server, ends_in_time(), pytest.raises(ResponseLost):
        client.post(f"{server.url}/", {}, b"body", seconds=60)
    client.close()


def test_timeout_of_other_code_is_not_mistaken_for_our_deadline(client: HttpClient) -> None:
    with (
        WireServer(wire.stalls) as server,
        pytest.raises(gevent.Timeout) as ended,
        gevent.Timeout(SECONDS / 5) as other_timeout,
    ):
        post(client, server.url)

    assert ended.value is other_timeout
