from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterable
from typing import Any
from urllib.request import urlopen
from wsgiref.types import StartResponse

import pytest

from otp_service.cli.dev_server import DevServer, bind_with_fallback
from otp_service.cli.master import MAX_CONNECTIONS


def hello(_: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def test_a_local_server_serves_until_it_is_closed(capfd: pytest.CaptureFixture[str]) -> None:
    with DevServer(hello, 0) as server, urlopen(server.url) as answer:  # noqa: S310 - http, as made above
        assert answer.read() == b"hello"

    with pytest.raises(OSError, match="refused"):
        urlopen(server.url)  # noqa: S310 - as above
    assert capfd.readouterr() == ("", "")


def test_free_port_is_used() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]

    assert bind_with_fallback(lambda port: port, port) == port


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_any_free_port_replaces_an_occupied_one(host: str) -> None:
    with socket.create_server((host, 0)) as taken:
        assert bind_with_fallback(lambda port: port, taken.getsockname()[1]) == 0


def test_server_raises_the_limit_of_connections_to_the_systems() -> None:
    """Runs in its own process, because the raised limit would affect other tests."""
    script = (
        "import resource as r\n"
        "from otp_service.cli.master import raise_file_limit\n"
        "most = r.getrlimit(r.RLIMIT_NOFILE)[1]; r.setrlimit(r.RLIMIT_NOFILE, (256, most))\n"
        "print(raise_file_limit(), r.getrlimit(r.RLIMIT_NOFILE), most)"
    )

    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    limit, *raised, most = map(int, re.findall(r"-?\d+", result.stdout))
    assert raised == [most, most]
    assert limit == most or (most < 0 and limit > MAX_CONNECTIONS)


def test_start_is_repeated_if_another_process_takes_the_port(capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]

    def start(free: int) -> DevServer:
        if free:
            with socket.create_server(("127.0.0.1", free)):
                return DevServer(hello, free)
        return DevServer(hello, free)

    with bind_with_fallback(start, port) as server:
        assert not server.url.endswith(f":{port}")
    assert capfd.readouterr() == ("", "")
