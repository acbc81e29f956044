from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
import redis
from support.redis_servers import Server, closed_port, redis_binary, running

from otp_service.store.backend import RedisNode
from otp_service.store.client import RedisOptions, client_from_url
from otp_service.store.url import BadRedisUrl


@contextmanager
def listener(answers: list[bytes]) -> Iterator[tuple[int, list[bytes]]]:
    """A server that records what it receives and replies to each read with the next of *answers*."""
    got: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                while data := connection.recv(4096):
                    got.append(data)
                    if not answers:
                        break
                    connection.sendall(answers.pop(0))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1], got
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_connecting_costs_no_round_trip() -> None:
    with listener([b"+PONG\r\n"]) as (port, got):
        with client_from_url(f"redis://127.0.0.1:{port}/0") as client:
            assert client.ping()

        assert got == [b"*1\r\n$4\r\nPING\r\n"]


def test_command_is_not_repeated_after_a_lost_reply() -> None:
    with listener([]) as (port, got):
        with client_from_url(f"redis://127.0.0.1:{port}/0") as client, pytest.raises(redis.ConnectionError):
            client.incr("counter")

        assert len(got) == 1


def test_silent_server_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
        began = time.monotonic()
        with (
            client_from_url(url, RedisOptions(read_timeout=0.2)) as client,
            pytest.raises(redis.TimeoutError),
        ):
            client.ping()

        assert 0.15 < time.monotonic() - began < 2


def test_reply_that_trickles_times_out() -> None:
    def drip() -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.recv(4096)
            for byte in b"$60\r\n" + b"x" * 60:
                connection.sendall(bytes([byte]))
                time.sleep(0.05)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip)
        thread.start()
        began = time.monotonic()
        url = f"redis://127.0.0.1:{listener.getsockname()[1]}"
        with (
            client_from_url(url, RedisOptions(read_timeout=0.2)) as client,
            pytest.raises(redis.TimeoutError),
        ):
            RedisNode(client).execute([("GET", "anything")])

        assert 0.15 < time.monotonic() - began < 2
        thread.join()


def test_refused_connection_fails_at_once() -> None:
    with (
        client_from_url(f"redis://127.0.0.1:{closed_port()}/0") as client,
        pytest.raises(redis.ConnectionError),
    ):
        client.ping()


def test_more_callers_than_connections_are_refused_at_once(redis_server: Server) -> None:
    with client_from_url(redis_server.url, RedisOptions(pool_size=1)) as client:
        in_use = client.connection_pool.get_connection()
        with pytest.raises(redis.ConnectionError):
            client.ping()
        client.connection_pool.release(in_use)

        assert client.ping()


def test_failed_connection_uses_no_place_in_the_pool() -> None:
    with client_from_url(f"redis://127.0.0.1:{closed_port()}/0", RedisOptions(pool_size=2)) as client:
        for _ in range(5):
            with pytest.raises(redis.ConnectionError, match="refused"):
                client.ping()


def test_connection_that_the_server_closed_is_replaced_before_use(redis_server: Server) -> None:
    with client_from_url(redis_server.url) as client, redis_server.client() as operator:
        closed = connection_ids(client, 5)
        for number in closed:
            operator.client_kill_filter(_id=number)

        assert not closed & connection_ids(client, 5)


def test_time_out_closes_its_own_connection_and_no_other(redis_server: Server) -> None:
    with client_from_url(redis_server.url, RedisOptions(read_timeout=0.2)) as client:
        before = connection_ids(client, 5)
        with pytest.raises(redis.RedisError):
            RedisNode(client).execute([("BLPOP", "test_client:never", 1)])

        assert len(before & connection_ids(client, 5)) == 4


def connection_ids(client: redis.Redis, count: int) -> set[int]:
    """Return the ids of *count* connections of the pool, all in use at the same time."""
    pool = client.connection_pool
    connections = [pool.get_connection() for _ in range(count)]
    ids = set()
    for connection in connections:
        connection.send_command("CLIENT", "ID")
        ids.add(int(connection.read_response()))
    for connection in connections:
        pool.release(connection)
    return ids


def test_replies_are_bytes(redis_server: Server) -> None:
    with client_from_url(redis_server.url) as client:
        client.set("test_client", b"\xff", ex=10)

        assert client.get("test_client") == b"\xff"


@pytest.mark.parametrize("url", ["rediss://127.0.0.1:1/0", "unix:///nowhere/store?db=1"])
def test_other_urls_are_accepted(url: str) -> None:
    with client_from_url(url) as client, pytest.raises(redis.ConnectionError):
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
    with pytest.raises(BadRedisUrl) as error:
        client_from_url(url)

    assert str(error.value).startswith("is not the URL of a Redis, like redis://")
    assert url not in str(error.value)
    assert error.value.__cause__ is None


def test_closed_client_connects_again(redis_server: Server) -> None:
    with client_from_url(redis_server.url, RedisOptions(pool_size=1)) as client:
        before = connection_ids(client, 1)
        RedisNode(client).close()

        assert not before & connection_ids(client, 1)


def test_connections_to_a_master_that_became_a_replica_are_closed(redis_server: Server) -> None:
    with (
        running(redis_binary()) as server,
        client_from_url(server.url) as client,
        server.client() as operator,
    ):
        before = connection_ids(client, 3)
        operator.replicaof("127.0.0.1", redis_server.port)
        (refused,) = RedisNode(client).execute([("SET", "test_client", b"1", "EX", 10)]).replies
        operator.replicaof("NO", "ONE")

        assert isinstance(refused, redis.ReadOnlyError)
        assert not before & connection_ids(client, 3)
