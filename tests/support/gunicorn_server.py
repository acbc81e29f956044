"""Runs the service as a WSGI application under gunicorn with gunicorn's defaults."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from support.deployment import Secrets, config_text, exchange, make_secrets, stop
from support.redis_servers import Server, closed_port, free_port, skip_or_fail

SOURCE = """
import pathlib
from otp_service import create_app
from otp_service.settings import load

app = create_app(load(pathlib.Path({config!r}), {{}}))
"""


@contextmanager
def running_gunicorn(
    redis: Server, directory: Path, change: Callable[[str], str] = lambda text: text
) -> Iterator[tuple[str, Secrets, Path]]:
    """Run the service until the block ends; yield its URL, its secrets and its configuration file."""
    try:
        import gunicorn  # noqa: F401, PLC0415 - an extra for tests
    except ImportError:
        skip_or_fail("gunicorn is not installed")
    secrets, port = make_secrets(), free_port()
    config, log = directory / "config.toml", directory / "gunicorn.log"
    unreachable_provider = f"http://127.0.0.1:{closed_port()}"
    config.write_text(change(config_text(redis.url, unreachable_provider, port, secrets)), encoding="utf-8")
    (directory / "under_gunicorn.py").write_text(SOURCE.format(config=str(config)), encoding="utf-8")
    command = [sys.executable, "-m", "gunicorn", "--no-control-socket", "--bind", f"127.0.0.1:{port}"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--chdir", str(directory), "under_gunicorn:app"],
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{url}/healthz", process, log)
        yield url, secrets, config
    finally:
        stop(process)


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if exchange("GET", url, None, {}).status == 200:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"gunicorn did not start:\n{log.read_text()}")
