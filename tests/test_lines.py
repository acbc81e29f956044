from __future__ import annotations

import io
import os
import threading
import time

import pytest

from otp_service.lines import LineWriter


class Stream(io.BytesIO):
    """Counts its writes, or fails them."""

    failing = False
    writes = 0

    def write(self, line: object, /) -> int:
        if self.failing:
            raise OSError("no space left on device")
        self.writes += 1
        return super().write(line)  # type: ignore[arg-type]


def soon(stream: Stream, expected: bytes) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and stream.getvalue() != expected:
        time.sleep(0.005)
    return stream.getvalue() == expected


def test_lines_arrive_in_order_and_in_few_writes() -> None:
    stream = Stream()
    writer = LineWriter(stream)
    expected = b"".join(b"%d\n" % number for number in range(1000))

    for number in range(1000):
        writer.write(b"%d\n" % number)

    assert soon(stream, expected)
    assert stream.writes < 100


def test_a_line_that_comes_while_others_are_written_is_not_left_behind() -> None:
    stream = Stream()
    writer = LineWriter(stream)
    written = [0] * 4

    def write(thread: int) -> None:
        for _ in range(200):
            writer.write(b"x")
            written[thread] += 1
            time.sleep(0.0002)

    threads = [threading.Thread(target=write, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert soon(stream, b"x" * sum(written))


def test_drain_writes_now() -> None:
    stream = Stream()
    writer = LineWriter(stream)
    writer.write(b"last words\n")
    writer.flush()

    writer.drain()

    assert stream.getvalue() == b"last words\n"


def test_full_disk_costs_only_the_lines_which_are_counted() -> None:
    stream = Stream()
    stream.failing = True
    dropped: list[None] = []
    writer = LineWriter(stream, lambda: dropped.append(None))
    with writer._writing:  # none is taken before both are there
        writer.write(b"lost\n")
        writer.write(b"lost too\n")
    writer.drain()
    stream.failing = False

    writer.write(b"kept\n")

    assert soon(stream, b"kept\n")
    assert len(dropped) == 2


def test_lines_that_nobody_took_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otp_service.lines.MAX_WAITING", 3)
    dropped: list[None] = []
    writer = LineWriter(Stream(), lambda: dropped.append(None))
    with writer._writing:  # nothing is taken meanwhile
        for _ in range(5):
            writer.write(b"line\n")

    assert len(dropped) == 2


def test_forked_process_writes_its_own_lines(tmp_path: object) -> None:
    path = f"{tmp_path}/lines"
    with open(path, "ab", buffering=0) as stream:  # noqa: PTH123 - unbuffered
        writer = LineWriter(stream)  # type: ignore[arg-type]
        child = os.fork()
        if child == 0:
            writer.write(b"child\n")
            time.sleep(0.3)
            os._exit(0)
        os.waitpid(child, 0)
    with open(path, "rb") as stream:  # noqa: PTH123 - as above
        assert stream.read() == b"child\n"


def test_closing_writes_what_waits_and_ends_the_thread() -> None:
    stream = io.BytesIO()
    lines = LineWriter(stream)
    lines.write(b"last\n")
    lines.close()
    deadline = time.monotonic() + 20
    while lines._thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)

    assert stream.getvalue() == b"last\n"
    assert not lines._thread.is_alive()
