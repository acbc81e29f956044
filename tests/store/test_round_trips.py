"""Round trips of a call, counted where the bytes are sent."""

from __future__ import annotations

from typing import Any

import pytest
from support import fakes
from support.events import RecordingEvents
from support.redis_servers import Server

from otp_service.services.verification import VerificationService
from otp_service.store.client import TcpConnection, client_from_url
from otp_service.store.verifications import RedisStore

PHONE = "+8613900001234"


class Counter:
    """Counts the sends of the real connections."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent = 0
        send = TcpConnection.send_packed_command

        def counting(connection: TcpConnection, *arguments: Any, **options: Any) -> None:
            self.sent += 1
            send(connection, *arguments, **options)

        monkeypatch.setattr(TcpConnection, "send_packed_command", counting)

    def of(self, call: Any) -> int:
        before = self.sent
        call()
        return self.sent - before


def test_request_blocks_on_three_round_trips_and_verify_on_one(
    redis_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    round_trips_of = Counter(monkeypatch).of
    h = fakes.harness(store=RedisStore(client_from_url(redis_server.url), RecordingEvents()))
    service: VerificationService = h.service
    sent = service.request(fakes.SHOP, PHONE, purpose="login")  # loads the scripts
    vid = sent.verification_id
    service.status(fakes.SHOP, PHONE, vid)
    service.verify(fakes.SHOP, PHONE, vid, h.sender.last_code)

    phone = "+8613900004321"
    asked = []
    request = lambda: asked.append(service.request(fakes.SHOP, phone, purpose="login"))  # noqa: E731
    assert round_trips_of(request) == 3
    vid = asked[0].verification_id
    assert round_trips_of(lambda: service.status(fakes.SHOP, phone, vid)) == 1
    assert round_trips_of(lambda: service.verify(fakes.SHOP, phone, vid, h.sender.last_code)) == 1
