"""Measures whether a slow provider affects `/otp/verify` while three hundred sends are in flight.

It measures the latency of verify alone, and while as many requests as `sms.max_in_flight` allows wait for the
provider. The provider takes three seconds, because a small machine needs one to start three hundred calls.
"""

from __future__ import annotations

import statistics
import tempfile
import threading
from functools import partial
from pathlib import Path

import figures
import load
import processes
import targets
from preparation import Preparation
from support.deployment import running_service
from support.redis_servers import running

from otp_service import settings

SENDS = 300
SECONDS = 3.0
THREADS = SENDS + 40
ROUNDS = 5
VERIFIES = 200
CONNECTIONS = 2
BAR = 2.0
RSS_BAR = 110


def main() -> None:
    change = partial(_with_room, threads=THREADS)
    with (
        tempfile.TemporaryDirectory() as directory,
        running(targets.redis_binary()) as redis,
        targets.provider(SECONDS) as provider_url,
        running_service(redis, Path(directory), change=change, sandbox_url=provider_url) as service,
    ):
        prepare = Preparation(service, settings.load(Path(directory) / "config.toml", {}))
        _verify(service.url, prepare)
        alone, loaded, sends = [], [], []
        for _ in range(ROUNDS):
            alone.append(_verify(service.url, prepare).percentile(0.99))
            waiting = _Sends(service.url, prepare.request(SENDS))
            waiting.start()
            waiting.all_in_flight.wait()
            loaded.append(_verify(service.url, prepare).percentile(0.99))
            waiting.join()
            load.check("request", waiting.result)
            sends.append(waiting.result.percentile(0.5))
        rss = processes.rss_mib(service.process.pid)
    before, under = statistics.median(alone), statistics.median(loaded)
    print(f"{SENDS} sends of {SECONDS:g} s: median {statistics.median(sends):.0f} ms, all accepted")
    print(f"verify p99: {before:.1f} ms alone, {under:.1f} ms during sends")
    figures.bar("verify p99 during sends / alone", under / before, BAR)
    figures.bar("RSS of the worker, MiB", rss, RSS_BAR)
    figures.keep(
        "slow_provider", verify_p99_ms=[round(before, 2), round(under, 2)], rss_mib=round(rss), sends=SENDS
    )


def _with_room(text: str, threads: int) -> str:
    roomy = targets.with_workers(text, threads=threads)
    return roomy.replace("[redis]", f"[sms]\nmax_in_flight = {SENDS}\n[redis]", 1)


def _verify(url: str, prepare: Preparation) -> load.Result:
    result = load.run(url, prepare.verify(VERIFIES), CONNECTIONS)
    load.check("verify", result)
    return result


class _Sends(threading.Thread):
    """Sends all *calls* at the same time."""

    def __init__(self, url: str, calls: list[bytes]) -> None:
        super().__init__()
        self._url, self._calls = url, calls
        self.all_in_flight = threading.Event()
        self.result: load.Result

    def run(self) -> None:
        threading.Timer(SECONDS / 2, self.all_in_flight.set).start()
        self.result = load.run(self._url, self._calls, len(self._calls))


if __name__ == "__main__":
    main()
