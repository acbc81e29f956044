"""Compares the start-up time with the time to import the libraries, and measures a worker's memory."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import figures
import processes
import targets
from support.deployment import running_service
from support.redis_servers import running

ROUNDS = 5
BAR = 1.5
LIBRARIES = (
    "flask, redis, hiredis, requests, itsdangerous, phonenumbers, pydantic, pydantic_settings, click, "
    "gunicorn, gevent, altcha, cryptography.hazmat.primitives.ciphers.aead"
)


def main() -> None:
    imports, starts = [], []
    with running(targets.redis_binary()) as redis, targets.provider() as provider_url:
        for _ in range(ROUNDS):
            imports.append(_seconds_of([sys.executable, "-c", f"import {LIBRARIES}"]))
            with tempfile.TemporaryDirectory() as directory:
                began = time.perf_counter()
                with running_service(
                    redis, Path(directory), change=targets.with_workers, sandbox_url=provider_url
                ) as service:
                    starts.append(time.perf_counter() - began)
                    rss = processes.rss_mib(service.process.pid)
    needed, taken = statistics.median(imports), statistics.median(starts)
    print(f"library imports: {needed:.2f} s   start to first response: {taken:.2f} s   RSS {rss:.0f} MiB")
    figures.bar("start / imports", taken / needed, BAR)
    figures.keep("startup", imports_s=round(needed, 2), start_s=round(taken, 2), rss_mib=round(rss))


def _seconds_of(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
