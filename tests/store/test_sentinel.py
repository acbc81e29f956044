"""Sentinels: which master they name, when they are asked, and what a failover costs."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Self

import hiredis
import pytest
import redis
from redis.exceptions import MaxConnectionsError
from redis.sentinel import MasterNotFoundError
from support.phone_in_store import RIGHT, make_phone
from support.redis_clusters import run_command
from support.redis_sentinels import NAME, running_sentinels
from support.redis_servers import closed_port, redis_binary
from support.store_backends import LONG_TIMEOUTS
from support.waiting import wait_until

from otp_service.domain.errors import StoreUnavailable
from otp_service.store.backend import Command, RedisBackend, ReplicationWait, SentinelNode
from otp_service.store.client import RedisOptions, from_url
from otp_service.store.diagnosis import diagnose

COMMAND: Command = ("SET", "otp:x", b"1")
ASK = [b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", NAME.encode()]
UNKNOWN = b"*-1\r\n"
SILENCE = b""


class FakeServer:
    """Records the commands it gets and sends the same *reply* to all; without a reply it hangs up."""

    def __init__(self, reply: bytes | None = b"+OK\r\n", wait_reply: bytes = b":1\r\n") -> None:
        self.reply = reply
        self.got: list[list[bytes]] = []
        self._wait_reply = wait_reply
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])

    def names(self, master: FakeServer) -> None:
        """Reply as a Sentinel that knows *master*."""
        port = str(master.port)
        self.reply = f"*2\r\n$9\r\n127.0.0.1\r\n${len(port)}\r\n{port}\r\n".encode()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        reader = hiredis.Reader(notEnoughData=...)
        with connection, suppress(OSError):
            while data := connection.recv(4096):
                reader.feed(data)
                while (command := reader.gets()) is not ...:
                    self.got.append(command)
                    if self.reply is None:
                        return
                    connection.sendall(self._wait_reply if command[0] == b"WAIT" else self.reply)


Start = Callable[..., FakeServer]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start fake servers that run until the test ends."""
    with ExitStack() as stack:
        yield lambda *arguments: stack.enter_context(FakeServer(*arguments))


def sentinel_of(start: Start, master: FakeServer) -> FakeServer:
    sentinel = start()
    sentinel.names(master)
    return sentinel


def watched_by(*sentinels: FakeServer | int, pool_size: int = 5, read_timeout: float = 5) -> RedisBackend:
    ports = [each if isinstance(each, int) else each.port for each in sentinels]
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    options = RedisOptions(pool_size=pool_size, connect_timeout=5, read_timeout=read_timeout)
    return from_url(f"redis+sentinel://{hosts}/{NAME}", options)


def sent_to(server: FakeServer) -> list[list[bytes]]:
    return [command for command in server.got if command[0] != b"WAIT"]


SET = [b"SET", b"otp:x", b"1"]


def test_sentinel_is_asked_once_without_a_failover(start: Start) -> None:
    master = start()
    sentinel = sentinel_of(start, master)
    backend = watched_by(sentinel)

    for _ in range(3):
        assert backend.execute([COMMAND]).replies == [True]

    assert sentinel.got == [ASK]
    assert master.got == [SET] * 3


@pytest.mark.parametrize(
    "reply", [None, UNKNOWN, b"-NOAUTH Authentication required.\r\n"], ids=["gone", "unknown", "no password"]
)
def test_sentinel_that_does_not_know_the_master_is_skipped(start: Start, reply: bytes | None) -> None:
    backend = watched_by(start(reply), sentinel_of(start, start()))

    assert backend.execute([COMMAND]).replies == [True]


def test_unknown_master_is_an_error(start: Start) -> None:
    with pytest.raises(MasterNotFoundError):
        watched_by(start(UNKNOWN), closed_port()).execute([COMMAND])


@pytest.mark.parametrize(
    ("reply", "wait_reply"),
    [
        (b"-READONLY You can't write against a read only replica.\r\n", b":1\r\n"),
        (b"-NOREPLICAS Not enough good replicas to write.\r\n", b":1\r\n"),
        (b"+OK\r\n", b":0\r\n"),
    ],
    ids=["demoted", "cut off from its replicas", "not followed by its replicas"],
)
def test_sign_of_a_failover_asks_another_sentinel_before_the_next_call(
    start: Start, reply: bytes, wait_reply: bytes
) -> None:
    former, master = start(reply, wait_reply), start()
    stale, current = sentinel_of(start, former), sentinel_of(start, master)
    backend = watched_by(stale, current)

    with suppress(redis.ConnectionError):
        backend.execute([COMMAND], ReplicationWait(1, 1))
    result = backend.execute([COMMAND], ReplicationWait(1, 1))

    assert result.replies == [True]
    assert result.replicated
    assert sent_to(former) == sent_to(master) == [SET]
    assert stale.got == [ASK]


def test_failed_call_is_not_sent_to_the_next_master(start: Start) -> None:
    gone, master = start(None), start()
    backend = watched_by(sentinel_of(start, gone), sentinel_of(start, master))

    with pytest.raises(redis.ConnectionError):
        backend.execute([COMMAND])
    assert master.got == []
    backend.execute([COMMAND])
    assert gone.got == master.got == [SET]


def test_silent_master_fails_one_call_whatever_the_pool_size(start: Start) -> None:
    silent, master = start(), start()
    sentinel = sentinel_of(start, silent)
    backend = watched_by(sentinel, read_timeout=0.3)
    assert isinstance(backend, SentinelNode)
    pool = backend.client.connection_pool
    for connection in [pool.get_connection() for _ in range(3)]:
        pool.release(connection)
    silent.reply = SILENCE
    sentinel.names(master)

    with pytest.raises(redis.TimeoutError):
        backend.execute([COMMAND])

    assert [backend.execute([COMMAND]).replies for _ in range(3)] == [[True]] * 3
    assert silent.got == [SET]


def test_rejected_command_is_no_sign_of_a_failover(start: Start) -> None:
    sentinel = sentinel_of(start, start(b"-OOM command not allowed.\r\n"))
    backend = watched_by(sentinel)
    for _ in range(2):
        assert isinstance(backend.execute([COMMAND]).replies[0], redis.ResponseError)

    assert sentinel.got == [ASK]


def test_exhausted_pool_is_no_sign_of_a_failover(start: Start) -> None:
    sentinel = sentinel_of(start, start())
    backend = watched_by(sentinel, pool_size=1)
    assert isinstance(backend, SentinelNode)
    connection = backend.client.connection_pool.get_connection()
    with pytest.raises(MaxConnectionsError):
        backend.execute([COMMAND])
    backend.client.connection_pool.release(connection)

    assert backend.execute([COMMAND]).replies == [True]
    assert sentinel.got == [ASK]


def test_demoted_master_is_reported_as_the_cause(start: Start) -> None:
    demoted = start(b"-READONLY You can't write against a read only replica.\r\n")

    problem = diagnose(watched_by(sentinel_of(start, demoted)), 0)

    assert problem is not None
    assert "(READONLY)" in problem.seen


def test_planned_failover_fails_one_call() -> None:
    with running_sentinels(redis_binary(), replicas=1, sentinels=1) as setup:
        old, new, sentinel = setup.master, setup.replicas[0], setup.sentinels[0]
        with new.client() as client:
            phone = make_phone(client, servers=from_url(setup.url(), LONG_TIMEOUTS))
            verification = phone.open()
            wait_until(lambda: len(phone.stored_keys()) == 2)
            run_command(new, "REPLICAOF", "NO", "ONE")
            run_command(old, "REPLICAOF", "127.0.0.1", new.port)
            run_command(sentinel, "SENTINEL", "REMOVE", NAME)
            run_command(sentinel, "SENTINEL", "MONITOR", NAME, "127.0.0.1", new.port, 1)

            with pytest.raises(StoreUnavailable):
                phone.submit(verification, RIGHT)
            assert phone.submit(verification, RIGHT) == "login"
