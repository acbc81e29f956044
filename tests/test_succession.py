from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse

from sms.doubles import eventually

from otp_service.succession import Succession


class House:
    """An application that says its name; it can be told to keep its callers waiting."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Event()
        self.closed = threading.Event()

    def __call__(self, _: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        self.entered.set()
        assert self.open.wait(20)
        start_response("200 OK", [])
        return [self.name.encode()]

    def close(self) -> None:
        self.closed.set()


def ask(succession: Succession) -> bytes:
    return b"".join(succession({}, lambda *_: lambda _: None))


def test_calls_go_to_the_newest() -> None:
    first, second = House("first"), House("second")
    succession = Succession(first, first.close, 20)

    assert ask(succession) == b"first"
    succession.succeed(second, second.close)
    assert ask(succession) == b"second"
    assert first.closed.wait(20)
    assert not second.closed.is_set()


def test_a_call_ends_where_it_began_and_is_waited_for() -> None:
    first, second = House("first"), House("second")
    succession = Succession(first, first.close, 20)
    first.open.clear()
    answers: list[bytes] = []
    caller = threading.Thread(target=lambda: answers.append(ask(succession)))
    caller.start()
    assert first.entered.wait(20)

    succession.succeed(second, second.close)

    assert ask(succession) == b"second"
    assert not first.closed.wait(0.2)
    first.open.set()
    caller.join()
    assert answers == [b"first"]
    assert first.closed.wait(20)


def test_a_call_that_never_ends_is_not_waited_for_longer_than_patience() -> None:
    first, second = House("first"), House("second")
    succession = Succession(first, first.close, 0.05)
    first.open.clear()
    caller = threading.Thread(target=ask, args=(succession,))
    caller.start()
    assert first.entered.wait(20)

    succession.succeed(second, second.close)

    assert first.closed.wait(20)
    first.open.set()
    caller.join()


def test_close_ends_all_of_them_and_returns_when_that_is_done() -> None:
    houses = [House("first"), House("second")]
    succession = Succession(houses[0], houses[0].close, 20)
    succession.succeed(houses[1], houses[1].close)

    succession.close()

    assert all(house.closed.is_set() for house in houses)


def test_an_application_that_fails_is_no_call_that_goes_on() -> None:
    def broken(_: dict[str, Any], __: StartResponse) -> Iterable[bytes]:
        raise ValueError

    closed = threading.Event()
    succession = Succession(broken, closed.set, 60)
    try:
        ask(succession)
    except ValueError:
        succession.close()

    assert eventually(closed.is_set, 20)
