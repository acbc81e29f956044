"""Starts what the benchmarks measure: the service, its floor, a provider and the Redis servers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "tests")]

from support import redis_servers  # noqa: E402 - the path had to be set first

THREADS = 32
"""`server.worker_connections` of the measured service."""


def redis_binary() -> str:
    """Return the Redis server to measure with: the installed one if there is one."""
    return store_binaries()[0]


def store_binaries() -> list[str]:
    """Return all available Redis servers."""
    found = shutil.which("redis-server")
    return [*([found] if found else []), redis_servers.valkey_binary()]


def with_workers(text: str, workers: int = 1, threads: int = THREADS) -> str:
    """Return the configuration *text* with so many workers and the log level of production."""
    quiet = text.replace('level = "debug"', 'level = "info"')
    return quiet.replace("workers = 2", f"workers = {workers}").replace(
        "worker_connections = 64", f"worker_connections = {threads}"
    )


@contextmanager
def provider(seconds: float = 0, *, codes: bool = False) -> Iterator[str]:
    """Run a provider whose responses take *seconds*. With *codes*, `/codes` returns the codes sent."""
    port = redis_servers.free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, str(HERE / "provider.py"), str(port), str(seconds)]
    with running([*command, "codes"] if codes else command, url):
        yield url


@contextmanager
def floor(redis_url: str) -> Iterator[tuple[int, str]]:
    """Run the floor with the same server and kind of worker as `otp-service serve`."""
    port = redis_servers.free_port()
    command = [sys.executable, "-m", "gunicorn", "--no-control-socket", "--worker-class", "gevent"]
    command += ["--bind", f"127.0.0.1:{port}", "--workers", "1", "--keep-alive", "75"]
    command += ["--chdir", str(HERE), "floor:create_app()"]
    url = f"http://127.0.0.1:{port}"
    with running(command, f"{url}/", FLOOR_REDIS_URL=redis_url) as pid:
        yield pid, url


@contextmanager
def running(command: list[str], url: str, **environment: str) -> Iterator[int]:
    """Run *command* until the block ends. It has started once *url* responds."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, **environment})
    try:
        _wait_for(url)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def _wait_for(url: str) -> None:
    for _ in range(600):
        try:
            urlopen(url).close()  # noqa: S310 - loopback
        except URLError as error:
            if hasattr(error, "code"):
                return
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"{url} does not respond")
