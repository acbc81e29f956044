"""A Redis server that a test can freeze, kill and start again on the same port and directory."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import redis
from support.redis_servers import Server, free_port, wait_until_ready


class RedisProcess:
    """A Redis server that keeps its port and directory when its process is killed and restarted."""

    def __init__(self, binary: str, options: tuple[str, ...], environment: Mapping[str, str]) -> None:
        self._options = options
        self._environment = {**os.environ, **environment}
        self._binary = binary
        self.port = free_port()
        self.directory = Path(tempfile.mkdtemp(prefix="otp-fault-"))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def server(self) -> Server:
        """The running server. While it is down, only its port and directory can be used."""
        return Server(self.port, self._process, self.directory)  # type: ignore[arg-type]

    def client(self) -> redis.Redis:
        """Return a client that is connected directly, without a relay."""
        return self.server.client(socket_timeout=10)

    def start(self, *more: str, wait: bool = True) -> None:
        command = [
            self._binary,
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--dir",
            str(self.directory),
        ]
        command += ["--save", "", "--daemonize", "no", *self._options, *more]
        self._process = subprocess.Popen(
            command, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        if wait:
            wait_until_ready(self.server)

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill it, as a power failure does, except that the kernel still writes its buffers."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _signal(self, number: int) -> None:
        if self._process:
            os.kill(self._process.pid, number)


@contextmanager
def running_redis(
    binary: str, *options: str, environment: Mapping[str, str] | None = None
) -> Iterator[RedisProcess]:
    """Run a server until the block ends; it may be killed and restarted meanwhile."""
    redis_process = RedisProcess(binary, options, environment or {})
    try:
        redis_process.start()
        yield redis_process
    finally:
        redis_process.close()
