from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from otp_service.observability.log_writer import BufferedLogWriter


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def file(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A full pipe that is not read."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.write(writer, b"-" * fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ))
    yield reader, writer
    os.close(reader)
    os.close(writer)


def take(reader: int) -> bytes:
    try:
        return os.read(reader, 1_000_000)
    except BlockingIOError:
        return b""


def soon(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.005)
    return False


def test_lines_arrive_in_order_and_in_few_writes() -> None:
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with mine, theirs:
        writer = BufferedLogWriter(mine.fileno())
        expected = b"".join(b"%d\n" % number for number in range(1000))
        for number in range(1000):
            writer.write(b"%d\n" % number)
        writer.close()
        mine.close()
        writes = list(iter(lambda: theirs.recv(1_000_000), b""))

    assert b"".join(writes) == expected
    assert len(writes) < 100


def test_line_added_during_a_write_is_written_too(path: Path, file: int) -> None:
    writer = BufferedLogWriter(file)

    def write() -> None:
        for _ in range(200):
            writer.write(b"x")
            time.sleep(0.0002)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert soon(lambda: path.stat().st_size == 800)


def test_drain_waits_for_what_was_written(path: Path, file: int) -> None:
    writer = BufferedLogWriter(file)
    writer.write(b"last words\n")
    writer.flush()

    writer.drain()

    assert path.read_bytes() == b"last words\n"


def test_full_disk_only_loses_lines_and_counts_them(path: Path) -> None:
    full, file = os.open("/dev/full", os.O_WRONLY), os.open(path, os.O_WRONLY | os.O_CREAT)
    dropped: list[int] = []
    writer = BufferedLogWriter(full, dropped.append)
    writer.write(b"lost\n")
    writer.write(b"lost too\n")
    writer.drain()
    os.dup2(file, full)  # there is room again

    writer.write(b"kept\n")
    writer.close()

    assert path.read_bytes() == b"kept\n"
    assert sum(dropped) == 2
    os.close(full)
    os.close(file)


def test_closed_pipe_only_loses_lines() -> None:
    reader, end = os.pipe()
    os.close(reader)
    dropped: list[int] = []
    writer = BufferedLogWriter(end, dropped.append)
    writer.write(b"lost\n")
    writer.close()

    assert dropped == [1]
    os.close(end)


def test_lines_for_an_unread_pipe_are_dropped_and_counted(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("otp_service.observability.log_writer.MAX_QUEUED", 3)
    reader, end = pipe
    dropped: list[int] = []
    writer = BufferedLogWriter(end, dropped.append)

    for _ in range(100):
        writer.write(b"line\n")
        time.sleep(0.001)
    assert dropped
    found = bytearray()
    assert soon(lambda: found.extend(take(reader)) or found.count(b"\n") + sum(dropped) == 100)
    writer.close()


def test_shutdown_does_not_wait_for_an_unread_pipe(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("otp_service.observability.log_writer.DRAIN_SECONDS", 0.05)
    reader, end = pipe
    writer = BufferedLogWriter(end)
    writer.write(b"line\n")

    writer.drain()
    writer.close()

    assert soon(lambda: take(reader).endswith(b"line\n"))


def test_close_writes_the_buffered_lines_and_ends_the_thread(path: Path, file: int) -> None:
    before = threads()
    lines = BufferedLogWriter(file)
    lines.write(b"last\n")
    (thread,) = threads() - before
    lines.close()

    assert path.read_bytes() == b"last\n"
    assert soon(lambda: thread not in threads())


def threads() -> set[Path]:
    """Return the ids of this process's threads; Python does not list all of them."""
    return set(Path("/proc/self/task").iterdir())


def test_forked_process_writes_its_own_lines(path: Path, file: int) -> None:
    writer = BufferedLogWriter(file)
    child = os.fork()
    if child == 0:
        writer.write(b"child\n")
        writer.drain()
        os._exit(0)
    os.waitpid(child, 0)
    writer.close()

    assert path.read_bytes() == b"child\n"


GEVENT = """
from gevent import monkey
monkey.patch_all()
import os, sys, time
from otp_service.observability.log_writer import BufferedLogWriter
"""


def under_gevent(script: str) -> bytes:
    result = subprocess.run(
        [sys.executable, "-c", GEVENT + script], capture_output=True, check=True, timeout=60
    )
    return result.stdout


def test_under_gevent_a_line_buffered_during_a_fork_is_written_once() -> None:
    script = """
writer = BufferedLogWriter()
writer.write(b"parent\\n")
time.sleep(0.005)
if os.fork() == 0:
    writer.write(b"child\\n")
    time.sleep(0.2)
    writer.drain()
    os._exit(0)
os.wait()
writer.drain()
"""

    assert sorted(under_gevent(script).splitlines()) == [b"child", b"parent"]


def test_under_gevent_an_unread_pipe_blocks_no_greenlet() -> None:
    script = """
reader, end = os.pipe()
writer = BufferedLogWriter(end)
writer.write(b"x" * 300_000)
time.sleep(0.1)
os.write(1, b"went on")
os._exit(0)
"""

    assert under_gevent(script) == b"went on"


def test_under_gevent_forks_and_lookups_go_on_while_lines_are_written() -> None:
    """gevent's thread pool hangs in both processes after a fork during one of its tasks."""
    script = """
import signal, socket
writer = BufferedLogWriter(os.open("/dev/full", os.O_WRONLY))

def work(times):
    signal.alarm(20)  # ends a process that hangs
    for _ in range(times):
        writer.write(b"line\\n")
        time.sleep(0.003)
        socket.getaddrinfo("localhost", 80)

children = []
for _ in range(20):
    children.append(os.fork())
    if not children[-1]:
        work(20)
        os._exit(0)
    work(5)
os.write(1, b"%d" % sum(os.waitpid(child, 0)[1] for child in children))
os._exit(0)
"""

    assert under_gevent(script) == b"0"
