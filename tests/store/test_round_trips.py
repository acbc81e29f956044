"""What a call costs: round trips to the server, counted where the bytes leave."""

from __future__ import annotations

from typing import Any

import fakes
import redis
from servers import Server

from otp_service.service import Service
from otp_service.store.store import RedisStore

PHONE = "+8613900001234"


class CountingConnection(redis.Connection):
    """Counts every time that something is sent."""

    sent = 0

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002
        CountingConnection.sent += 1
        super().send_packed_command(command, check_health)


def round_trips_of(call: Any) -> int:
    before = CountingConnection.sent
    call()
    return CountingConnection.sent - before


def test_request_blocks_on_three_round_trips_and_verify_on_one(redis_server: Server) -> None:
    h = fakes.house()
    pool = redis.ConnectionPool(connection_class=CountingConnection, port=redis_server.port)
    service: Service = h.service
    service._store = RedisStore(redis.Redis(connection_pool=pool), h.events)
    sent = service.request(fakes.SHOP, PHONE, purpose="login")  # loads the scripts
    vid = sent.verification.verification_id
    service.status(fakes.SHOP, PHONE, vid)
    service.verify(fakes.SHOP, PHONE, vid, h.sender.last_code)

    phone = "+8613900004321"
    assert round_trips_of(lambda: service.request(fakes.SHOP, phone, purpose="login")) == 3
    vid = h.sender.sent[-1].out_id.split(".")[1]
    assert round_trips_of(lambda: service.status(fakes.SHOP, phone, vid)) == 1
    assert round_trips_of(lambda: service.verify(fakes.SHOP, phone, vid, h.sender.last_code)) == 1
    pool.disconnect()
