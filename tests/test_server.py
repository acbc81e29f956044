from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import Any
from urllib.request import urlopen
from wsgiref.types import StartResponse

import pytest

from otp_service.server import LocalServer, on_a_free_port


def hello(_: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def test_a_local_server_serves_until_it_is_closed(capfd: pytest.CaptureFixture[str]) -> None:
    with LocalServer(hello, 0) as server, urlopen(server.url) as answer:  # noqa: S310 - http, as made above
        assert answer.read() == b"hello"

    with pytest.raises(OSError, match="refused"):
        urlopen(server.url)  # noqa: S310 - as above
    assert capfd.readouterr() == ("", "")


def test_a_free_port_is_taken_as_wanted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]

    assert on_a_free_port(lambda port: port, port) == port


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_instead_of_a_taken_port_any_free_one_is_taken(host: str) -> None:
    with socket.create_server((host, 0)) as taken:
        assert on_a_free_port(lambda port: port, taken.getsockname()[1]) == 0


def test_somebody_faster_is_no_reason_to_give_up(capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]

    def start(free: int) -> LocalServer:
        if free:
            with socket.create_server(("127.0.0.1", free)):
                return LocalServer(hello, free)
        return LocalServer(hello, free)

    with on_a_free_port(start, port) as server:
        assert not server.url.endswith(f":{port}")
    assert capfd.readouterr() == ("", "")
