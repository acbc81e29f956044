"""Compares the throughput of verify with one and with two worker processes, in turns in one run."""

from __future__ import annotations

import statistics
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import figures
import load
import targets
from preparation import Preparation
from support.deployment import running_service
from support.redis_servers import running

from otp_service import settings

ROUNDS = 5
PER_ROUND = 1_000
CONNECTIONS = 16


def main() -> None:
    with ExitStack() as stack:
        redis = stack.enter_context(running(targets.redis_binary()))
        provider_url = stack.enter_context(targets.provider())
        services = {}
        for workers in (1, 2):
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            change = partial(targets.with_workers, workers=workers)
            service = running_service(redis, directory, change=change, sandbox_url=provider_url)
            running_one = stack.enter_context(service)
            loaded = settings.load(directory / "config.toml", {})
            services[workers] = running_one.url, Preparation(running_one, loaded)
        rps: dict[int, list[float]] = {workers: [] for workers in services}
        for _ in range(ROUNDS + 1):
            for workers, (url, prepare) in services.items():
                result = load.run(url, prepare.verify(PER_ROUND), CONNECTIONS)
                load.check(f"{workers} workers", result)
                rps[workers].append(result.rps)
    one, two = (statistics.median(rps[workers][1:]) for workers in (1, 2))
    print(f"verify, one worker: {one:.0f}/s   two: {two:.0f}/s   {two / one:.2f} times")
    figures.keep("workers", one_rps=round(one), two_rps=round(two), gain=round(two / one, 2))


if __name__ == "__main__":
    main()
