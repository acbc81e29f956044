"""Bodies that do not come, with a granian of our own making: only what it hands an application matters."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterable, Iterator
from typing import IO, Any
from wsgiref.types import StartResponse

import pytest

from otp_service import slow_bodies
from otp_service.slow_bodies import GRACE, SECONDS, SlowBodies

THREADS = 8
ROOM = 2
"""A quarter of them may wait."""


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Line:
    """A connection of granian's: what is read waits until the line is cut."""

    def __init__(self) -> None:
        self.waited_for = threading.Event()
        self.dropped = threading.Event()
        self.last_word = 0, [("", "")], [b""]

    def response_iter(self, status: int, headers: list[tuple[str, str]], body: Iterable[bytes]) -> None:
        self.last_word = status, headers, list(body)
        self.dropped.set()

    def read(self, _: int) -> bytes:
        self.waited_for.set()
        assert self.dropped.wait(20)
        return b"{"


def reader(environ: dict[str, Any], _: StartResponse) -> Iterable[bytes]:
    return [environ["wsgi.input"].read(100)]


def _runner(proto: object, app: Any, stream: object) -> Iterable[bytes]:
    """Call the application as granian does: by a function of this name, with such a local name."""
    answer: Iterable[bytes] = served_by(app, stream)
    del proto
    return answer


def served_by(app: Any, stream: object) -> Iterable[bytes]:
    """Stand for `Flask.__call__`, which is in between."""
    answer: Iterable[bytes] = app({"wsgi.input": stream}, lambda *_: None)
    return answer


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def app(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> SlowBodies:
    monkeypatch.setattr(slow_bodies, "TICK", 0.01)
    return SlowBodies(reader, THREADS, clock)


@pytest.fixture
def lines(app: SlowBodies) -> Iterator[list[Line]]:
    """Calls that wait for their bodies, the first the longest."""
    made = [Line() for _ in range(ROOM + 2)]
    threads = [threading.Thread(target=_runner, args=(line, app, line)) for line in made]
    for thread, line in zip(threads, made, strict=True):
        thread.start()
        assert line.waited_for.wait(20)
    yield made
    for thread, line in zip(threads, made, strict=True):
        line.dropped.set()
        thread.join()


def dropped(lines: list[Line]) -> list[bool]:
    return [line.dropped.is_set() for line in lines]


def test_nobody_is_cut_off_at_once(lines: list[Line]) -> None:
    assert not lines[0].dropped.wait(0.1)
    assert dropped(lines) == [False] * 4


def test_too_many_are_cut_off_soon_the_longest_waiting_first(lines: list[Line], clock: Clock) -> None:
    clock.now = GRACE + 0.01

    assert lines[0].dropped.wait(20)
    assert lines[1].dropped.wait(20)
    assert not lines[2].dropped.wait(0.1)
    assert dropped(lines) == [True, True, False, False]


def test_all_are_cut_off_in_the_end(lines: list[Line], clock: Clock) -> None:
    clock.now = SECONDS + 0.01

    assert all(line.dropped.wait(20) for line in lines)


def test_the_last_word_is_less_than_it_announces(lines: list[Line], clock: Clock) -> None:
    """On an answer that is whole granian would go on waiting for the body."""
    clock.now = SECONDS + 0.01

    assert lines[0].dropped.wait(20)
    assert lines[0].last_word == (408, [("Content-Length", "1")], [])


def test_a_body_that_has_come_is_no_longer_watched(app: SlowBodies, clock: Clock) -> None:
    line = Line()

    assert _runner(line, app, io.BytesIO(b"{}")) == [b"{}"]
    clock.now = SECONDS + 0.01
    assert not line.dropped.wait(0.1)


def test_another_server_reads_as_ever(app: SlowBodies) -> None:
    stream: IO[bytes] = io.BytesIO(b"{}")

    assert served_by(app, stream) == [b"{}"]
