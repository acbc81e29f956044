from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sms.doubles import eventually

from otp_service.sms import resolver
from otp_service.sms.resolver import MAX_LOOKUPS, Resolver

ROWS = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in ("192.0.2.1", "192.0.2.2")]
FOUND = ["192.0.2.1", "192.0.2.2"]


class NameServer:
    """Answers once it is *up*; `asked` counts."""

    def __init__(self) -> None:
        self.up = threading.Event()
        self.asked = 0

    def __call__(self, *_: object) -> object:
        self.asked += 1
        self.up.wait(10)
        return ROWS


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    server = NameServer()
    monkeypatch.setattr(socket, "getaddrinfo", server)
    yield server
    server.up.set()
    assert eventually(lambda: not lookups())


def lookups() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "lookup"]


def gone(asking: Resolver) -> bool:
    """Ask as somebody who has no time; tell whether nothing came of it."""
    with pytest.raises(TimeoutError):
        asking.addresses(0.01)
    return True


def test_name_is_asked_for_and_every_address_told(names: NameServer) -> None:
    names.up.set()

    assert Resolver("provider.example").addresses(5) == FOUND


@pytest.mark.parametrize("host", ["192.0.2.7", "::1", "[::1]", "fe80::1%lo"])
def test_address_is_no_name(names: NameServer, host: str) -> None:
    assert Resolver(host).addresses(0) == [host.strip("[]")]
    assert names.asked == 0


def test_one_question_answers_all_who_wait(names: NameServer) -> None:
    asking = Resolver("provider.example")
    with ThreadPoolExecutor(20) as pool:
        waiting = [pool.submit(asking.addresses, 5) for _ in range(20)]
        time.sleep(0.05)
        names.up.set()

        assert [each.result() for each in waiting] == [FOUND] * 20
    assert names.asked == 1


def test_silent_name_service_is_left_in_time_and_asked_by_few_threads(
    names: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "SHARED_SECONDS", 0)
    asking = Resolver("provider.example")
    began = time.monotonic()

    assert all(gone(asking) for _ in range(20))
    assert time.monotonic() - began < 2
    assert names.asked == len(lookups()) == MAX_LOOKUPS


def test_name_is_asked_for_anew_once_a_look_up_is_old(
    names: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = Resolver("provider.example")
    gone(asking)
    gone(asking)
    assert names.asked == 1
    monkeypatch.setattr(resolver, "SHARED_SECONDS", 0)
    gone(asking)

    assert names.asked == 2


def test_name_service_that_is_back_is_heard(names: NameServer) -> None:
    asking = Resolver("provider.example")
    gone(asking)
    names.up.set()

    assert asking.addresses(5) == FOUND


def test_every_waiter_gets_an_error_of_its_own(names: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        names.up.wait(10)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fails)
    asking = Resolver("nowhere.invalid")
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(asking.addresses, 5) for _ in range(2)]
        time.sleep(0.02)
        names.up.set()
        first, second = (each.exception() for each in waiting)

    assert isinstance(first, socket.gaierror)
    assert first.errno == socket.EAI_NONAME
    assert first is not second


def test_look_up_outlives_nobody(names: NameServer) -> None:
    gone(Resolver("provider.example"))

    assert all(thread.daemon for thread in lookups())
