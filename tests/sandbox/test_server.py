from __future__ import annotations

import errno
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from otp_service.sandbox import SandboxConfig, SandboxServer, run_sandbox, start_sandbox
from otp_service.sandbox.api.blueprint import drop_connection

CONFIG = SandboxConfig.default({"testId": "testSecret"})


def test_server_has_the_urls_of_its_port(server: SandboxServer) -> None:
    assert server.url == f"http://127.0.0.1:{server.port}"
    assert server.inbox_url == f"{server.url}/inbox"


def test_server_on_all_addresses_has_a_loopback_url() -> None:
    with start_sandbox(CONFIG, host="0.0.0.0") as server:
        assert server.url.startswith("http://127.0.0.1:")


def test_closed_server_no_longer_listens() -> None:
    server = start_sandbox(CONFIG)
    server.close()

    with pytest.raises(requests.ConnectionError):
        requests.get(server.url, timeout=1)


def test_port_in_use_is_an_error(server: SandboxServer, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(OSError, match=rf"in use.*{server.port}") as caught:
        start_sandbox(CONFIG, port=server.port)

    assert caught.value.errno == errno.EADDRINUSE
    assert capfd.readouterr() == ("", "")


def test_server_listens_on_ipv6() -> None:
    with start_sandbox(CONFIG, host="::1") as server:
        assert server.url == f"http://[::1]:{server.port}"
        assert requests.get(server.inbox_url, timeout=5).ok


def test_server_writes_no_log(caller: Any, capfd: pytest.CaptureFixture[str]) -> None:
    caller.v3()
    caller.v3(PhoneNumbers="13800006005")
    caller.raw("GET", "/inbox?phone=13800138000")
    for number in ("13800005001", "13800005003"):
        with pytest.raises(requests.ConnectionError):
            caller.v3(PhoneNumbers=number)

    assert capfd.readouterr() == ("", "")


def test_unknown_connection_object_ends_the_response() -> None:
    for reset in (False, True):
        with pytest.raises(ConnectionAbortedError):
            next(drop_connection(None, reset=reset))


@pytest.fixture
def keyboard_interrupts() -> Iterator[None]:
    """Make Ctrl-C raise KeyboardInterrupt even if the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_run_sandbox_ends_with_ctrl_c(keyboard_interrupts: None) -> None:
    urls = []

    def interrupt(server: SandboxServer) -> None:
        urls.append(server.url)
        main = threading.main_thread().ident
        threading.Timer(0.1, signal.pthread_kill, (main, signal.SIGINT)).start()

    run_sandbox(CONFIG, on_started=interrupt)

    with pytest.raises(requests.ConnectionError):
        requests.get(urls[0], timeout=1)


def test_config_does_not_print_secrets() -> None:
    assert "testSecret" not in repr(CONFIG)
