from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
import redis
from servers import Server, closed_port, redis_binary, running

from otp_service.store.connect import BadRedisUrl, connect
from otp_service.store.wire import Wire


@contextmanager
def listener(answers: list[bytes]) -> Iterator[tuple[int, list[bytes]]]:
    """A server that writes down what it gets and answers each thing it reads with the next of *answers*."""
    got: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = door.accept()
            except OSError:
                return
            with connection:
                while data := connection.recv(4096):
                    got.append(data)
                    if not answers:
                        break
                    connection.sendall(answers.pop(0))

    with socket.create_server(("127.0.0.1", 0)) as door:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield door.getsockname()[1], got
        finally:
            door.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_connecting_costs_no_round_trip() -> None:
    with listener([b"+PONG\r\n"]) as (port, got):
        with connect(f"redis://127.0.0.1:{port}/0") as client:
            assert client.ping()

        assert got == [b"*1\r\n$4\r\nPING\r\n"]


def test_a_lost_answer_is_never_asked_for_again() -> None:
    with listener([]) as (port, got):
        with connect(f"redis://127.0.0.1:{port}/0") as client, pytest.raises(redis.ConnectionError):
            client.incr("counter")

        assert len(got) == 1


def test_a_silent_server_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        url = f"redis://127.0.0.1:{door.getsockname()[1]}/0"
        began = time.monotonic()
        with connect(url, read_timeout=0.2) as client, pytest.raises(redis.ConnectionError):
            client.ping()

        assert 0.15 < time.monotonic() - began < 2


def test_reply_that_drips_is_given_up_in_time() -> None:
    def drip() -> None:
        connection, _ = door.accept()
        with connection, suppress(OSError):
            connection.recv(4096)
            for byte in b"$60\r\n" + b"x" * 60:
                connection.sendall(bytes([byte]))
                time.sleep(0.05)

    with socket.create_server(("127.0.0.1", 0)) as door:
        thread = threading.Thread(target=drip)
        thread.start()
        began = time.monotonic()
        url = f"redis://127.0.0.1:{door.getsockname()[1]}"
        with connect(url, read_timeout=0.2) as client, pytest.raises(redis.TimeoutError):
            Wire(client).trip([("GET", "anything")])

        assert 0.15 < time.monotonic() - began < 2
        thread.join()


def test_nobody_there_is_told_at_once() -> None:
    with connect(f"redis://127.0.0.1:{closed_port()}/0") as client, pytest.raises(redis.ConnectionError):
        client.ping()


def test_more_callers_than_connections_are_refused_at_once(redis_server: Server) -> None:
    with connect(redis_server.url, pool_size=1) as client:
        taken = client.connection_pool.get_connection()
        with pytest.raises(redis.ConnectionError):
            client.ping()
        client.connection_pool.release(taken)

        assert client.ping()


def test_failed_connecting_costs_no_place_in_the_pool() -> None:
    with connect(f"redis://127.0.0.1:{closed_port()}/0", pool_size=2) as client:
        for _ in range(5):
            with pytest.raises(redis.ConnectionError, match="refused"):
                client.ping()


@pytest.mark.parametrize("idle", [0.0, 1.1], ids=["used just now", "idle"])
def test_connection_that_the_server_ended_is_replaced(redis_server: Server, idle: float) -> None:
    with connect(redis_server.url) as client, redis_server.client() as operator:
        number = client.client_id()
        operator.client_kill_filter(_id=number)
        time.sleep(idle)
        if not idle:
            with pytest.raises(redis.ConnectionError):
                client.ping()

        assert client.ping()
        assert client.client_id() != number


def test_answers_are_bytes(redis_server: Server) -> None:
    with connect(redis_server.url) as client:
        client.set("test_connect", b"\xff", ex=10)

        assert client.get("test_connect") == b"\xff"


@pytest.mark.parametrize("url", ["rediss://127.0.0.1:1/0", "unix:///nowhere/store?db=1"])
def test_other_urls_are_taken(url: str) -> None:
    with connect(url) as client, pytest.raises(redis.ConnectionError):
        client.ping()


@pytest.mark.parametrize(
    "url",
    [
        "redis://:s3cretPART/more@127.0.0.1:6379/0",
        "redis://127.0.0.1:99999/0",
        "redis://127.0.0.1:port/0",
        "redis://[/0",
        "redis://127.0.0.1:6379/0?max_connections=1",
        "redis://127.0.0.1:6379/0?protocol=3",
    ],
    ids=["password with a slash", "port too high", "port of letters", "half a bracket", "option", "protocol"],
)
def test_url_that_names_no_redis_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(BadRedisUrl) as refused:
        connect(url)

    assert str(refused.value) == "is not an address of a Redis"
    assert refused.value.__cause__ is None


def test_idle_connections_can_be_left_and_are_made_anew(redis_server: Server) -> None:
    with connect(redis_server.url, pool_size=1) as client:
        number = client.client_id()
        client.connection_pool.disconnect()

        assert client.client_id() != number


def test_server_that_ended_its_connections_costs_one_call_and_not_one_for_each(
    redis_server: Server,
) -> None:
    with connect(redis_server.url) as client, redis_server.client() as operator:
        wire = Wire(client)
        for flight in [wire.begin([("CLIENT", "ID")], None) for _ in range(5)]:
            (number,) = flight.end().replies
            operator.client_kill_filter(_id=number)
        with pytest.raises(redis.ConnectionError):
            wire.trip([("PING",)])

        assert [wire.trip([("PING",)]).replies for _ in range(5)] == [[b"PONG"]] * 5


def test_master_that_became_a_replica_is_left(redis_server: Server) -> None:
    with running(redis_binary()) as server, connect(server.url) as client, server.client() as operator:
        wire = Wire(client)
        before = [flight.end().replies for flight in [wire.begin([("CLIENT", "ID")], None) for _ in range(3)]]
        operator.replicaof("127.0.0.1", redis_server.port)
        (refused,) = wire.trip([("SET", "test_connect", b"1", "EX", 10)]).replies
        operator.replicaof("NO", "ONE")
        after = [flight.end().replies for flight in [wire.begin([("CLIENT", "ID")], None) for _ in range(3)]]

        assert isinstance(refused, redis.ReadOnlyError)
        assert not set(map(str, before)) & set(map(str, after))
