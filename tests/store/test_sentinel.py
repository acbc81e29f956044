"""What is peculiar to Sentinels: whom they name, when they are asked, and what a change of master costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest
import redis
from backends import PATIENT
from clusters import eventually, tell
from redis.exceptions import MaxConnectionsError, ReadOnlyError, ResponseError
from sentinels import NAME, running_sentinels
from servers import redis_binary
from stories import RIGHT, make_phone

from otp_service.errors import StoreUnavailable
from otp_service.store.sentinel import NoMaster, SentinelServers
from otp_service.store.terms import Wait
from otp_service.store.topology import reach
from otp_service.store.url import Endpoint
from otp_service.store.wire import Command, Told, Wire

ONE, TWO = ("one", 1), ("two", 2)
COMMAND: Command = ("SET", "otp:x", b"1")


class FakeWire:
    """A server that writes down what it is told and replies the same to everything, or fails."""

    def __init__(self, reply: object, *, lasts: bool = True) -> None:
        self.reply = reply
        self.lasts = lasts
        self.told: list[Command] = []

    def trip(self, commands: Sequence[Command], wait: Wait | None = None) -> Told:
        self.told += commands
        if isinstance(self.reply, redis.ConnectionError):
            raise self.reply
        return Told([self.reply] * len(commands), self.lasts)


def sentinel_naming(endpoint: Endpoint) -> FakeWire:
    host, port = endpoint
    return FakeWire([host.encode(), str(port).encode()])


def servers_of(sentinels: list[FakeWire], masters: dict[Endpoint, FakeWire]) -> SentinelServers:
    return SentinelServers(
        NAME, cast("list[Wire]", sentinels), lambda endpoint: cast("Wire", masters[endpoint])
    )


def test_sentinel_is_asked_once_as_long_as_nothing_happens() -> None:
    sentinel, master = sentinel_naming(ONE), FakeWire(b"OK")
    servers = servers_of([sentinel], {ONE: master})

    for _ in range(3):
        servers.trip([COMMAND])

    assert sentinel.told == [("SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME)]
    assert master.told == [COMMAND] * 3


@pytest.mark.parametrize(
    "dead", [FakeWire(redis.ConnectionError("gone")), FakeWire(None), FakeWire(ResponseError("NOAUTH"))]
)
def test_sentinel_that_does_not_know_is_passed_over(dead: FakeWire) -> None:
    master = FakeWire(b"OK")
    servers = servers_of([dead, sentinel_naming(ONE)], {ONE: master})

    assert servers.trip([COMMAND]).replies == [b"OK"]


def test_nobody_knows_a_master() -> None:
    with pytest.raises(NoMaster):
        servers_of([FakeWire(None), FakeWire(redis.ConnectionError("gone"))], {}).trip([COMMAND])


@pytest.mark.parametrize(
    "sign",
    [
        FakeWire(ReadOnlyError("You can't write against a read only replica.")),
        FakeWire(ResponseError("NOREPLICAS Not enough good replicas to write.")),
        FakeWire(b"OK", lasts=False),
    ],
    ids=["demoted", "cut off from its replicas", "not followed by its replicas"],
)
def test_sign_of_a_change_lets_another_sentinel_be_asked_before_the_next_call(sign: FakeWire) -> None:
    stale, current, master = sentinel_naming(ONE), sentinel_naming(TWO), FakeWire(b"OK")
    servers = servers_of([stale, current], {ONE: sign, TWO: master})

    servers.trip([COMMAND])
    servers.trip([COMMAND])

    assert sign.told == [COMMAND]
    assert master.told == [COMMAND]
    assert len(stale.told) == len(current.told) == 1


def test_call_that_fails_is_not_sent_to_the_next_master() -> None:
    gone, master = FakeWire(redis.ConnectionError("gone")), FakeWire(b"OK")
    servers = servers_of([sentinel_naming(ONE), sentinel_naming(TWO)], {ONE: gone, TWO: master})

    with pytest.raises(redis.ConnectionError):
        servers.trip([COMMAND])
    assert master.told == []
    servers.trip([COMMAND])
    assert master.told == [COMMAND]


@pytest.mark.parametrize("reply", [FakeWire(MaxConnectionsError("all lent")), FakeWire(ResponseError("OOM"))])
def test_other_errors_speak_for_no_change(reply: FakeWire) -> None:
    sentinel = sentinel_naming(ONE)
    servers = servers_of([sentinel], {ONE: reply})
    for _ in range(2):
        try:
            servers.trip([COMMAND])
        except MaxConnectionsError:
            continue

    assert len(sentinel.told) == 1


def test_master_that_is_replaced_on_purpose_costs_one_call() -> None:
    with running_sentinels(redis_binary(), replicas=1, sentinels=1) as watched:
        old, new, sentinel = watched.master, watched.replicas[0], watched.sentinels[0]
        with new.client() as client:
            phone = make_phone(client, servers=reach(watched.url(), PATIENT))
            opened = phone.open()
            eventually(lambda: len(phone.stored()) == 2)
            tell(new, "REPLICAOF", "NO", "ONE")
            tell(old, "REPLICAOF", "127.0.0.1", new.port)
            tell(sentinel, "SENTINEL", "REMOVE", NAME)
            tell(sentinel, "SENTINEL", "MONITOR", NAME, "127.0.0.1", new.port, 1)

            with pytest.raises(StoreUnavailable):
                phone.submit(opened, RIGHT)
            assert phone.submit(opened, RIGHT) == "login"
