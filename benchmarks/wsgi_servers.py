"""Granian or gunicorn: the same application behind both, in one run, with a quick and with a slow provider.

Needs `pip install gunicorn`, which is no dependency of the project. Prints two tables: throughput with a
provider that answers at once, and what happens to `/otp/verify` while sends of one second are in flight.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import load
import servers
import targets
from deployment import Secrets, config_text, make_secrets
from preparation import Preparation

from otp_service import settings

THREADS = 64
SLOW_SENDS = 48
PER_ROUND = 600
CONNECTIONS = 8
FACTORY = "otp_service.app:from_environment"


@dataclass
class Target:
    """What `Preparation` asks of a deployment."""

    url: str
    secrets: Secrets
    redis: servers.Server


def main() -> None:
    with ExitStack() as stack:
        redis = stack.enter_context(servers.running(targets.redis_binary()))
        for title, seconds in (("provider at once", 0.0), ("provider takes a second", 1.0)):
            provider_url = stack.enter_context(targets.provider(seconds))
            print(title)
            for name in ("granian", "gunicorn"):
                _measure(stack, name, redis, provider_url, slow=seconds > 0)


def _measure(stack: ExitStack, name: str, redis: servers.Server, provider_url: str, *, slow: bool) -> None:
    made, port = make_secrets(), servers.free_port()
    config = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "config.toml"
    config.write_text(config_text(redis.url, provider_url, port, made).replace('"debug"', '"info"'))
    url = f"http://127.0.0.1:{port}"
    with targets.running(_command(name, port), f"{url}/healthz", OTP_SERVICE_CONFIG=str(config)):
        prepare = Preparation(Target(url, made, redis), settings.load(config, {}))
        if slow:
            _slow(name, url, prepare)
        else:
            _quick(name, url, prepare)


def _quick(name: str, url: str, prepare: Preparation) -> None:
    load.run(url, prepare.request(PER_ROUND)[:100], CONNECTIONS)
    verify = load.run(url, prepare.verify(PER_ROUND), CONNECTIONS)
    request = load.run(url, prepare.request(PER_ROUND), CONNECTIONS)
    print(f"  {name:<10} verify {verify.rps:5.0f}/s   request {request.rps:5.0f}/s")


def _slow(name: str, url: str, prepare: Preparation) -> None:
    load.run(url, prepare.verify(100), 4)
    alone = load.run(url, prepare.verify(PER_ROUND), 4)
    sends = prepare.request(SLOW_SENDS * 4)
    results: list[load.Result] = []
    sending = threading.Thread(target=lambda: results.append(load.run(url, sends, SLOW_SENDS)))
    codes = prepare.verify(PER_ROUND)
    sending.start()
    beside = load.run(url, codes, 4)
    sending.join()
    print(
        f"  {name:<10} {SLOW_SENDS} sends in flight: {results[0].statuses}, {results[0].rps:.0f}/s   "
        f"verify p99 {alone.percentile(0.99):.1f} ms alone, {beside.percentile(0.99):.1f} ms beside them"
    )


def _command(name: str, port: int) -> list[str]:
    if name == "granian":
        command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--factory", "--no-ws"]
        command += ["--http", "1", "--runtime-mode", "st", "--no-access-log"]
        command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        return [*command, "--blocking-threads", str(THREADS), FACTORY]
    command = [sys.executable, "-m", "gunicorn", "-k", "gthread", "-w", "1", "--threads", str(THREADS)]
    return [*command, "-b", f"127.0.0.1:{port}", "--log-level", "error", f"{FACTORY}()"]


if __name__ == "__main__":
    os.environ.setdefault("PYTHONPATH", str(Path(__file__).parents[1]))
    main()
