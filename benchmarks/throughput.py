"""Compares throughput, latency and CPU of the service with those of its floor, in one run.

The floor is a minimal Flask endpoint that runs the same script on the same Redis server. Floor, verify and
request take turns, so that a noisy machine slows all of them equally. The results are the ratios. The
provider responds at once.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import figures
import load
import processes
import targets
from preparation import Preparation
from support.deployment import running_service
from support.redis_servers import running

from otp_service import settings

ROUNDS = 7
PER_ROUND = 600
CONNECTIONS = 8

VERIFY_BAR, REQUEST_BAR = 0.78, 0.26


@dataclass
class Series:
    """The results of one endpoint in all rounds."""

    name: str
    rounds: list[load.Result] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)

    @property
    def rps(self) -> float:
        return statistics.median(result.rps for result in self.rounds)

    def figures(self) -> dict[str, float]:
        return {
            "rps": round(self.rps),
            "p50_ms": round(self._latency(0.5), 2),
            "p99_ms": round(self._latency(0.99), 2),
            "cpu_us": round(statistics.median(self.cpu_us)),
        }

    def over(self, floor: Series) -> float:
        """Return the median of the rounds' throughput ratios: lasting noise affects both sides of a ratio."""
        return statistics.median(
            mine.rps / theirs.rps for mine, theirs in zip(self.rounds, floor.rounds, strict=True)
        )

    def _latency(self, share: float) -> float:
        return statistics.median(result.percentile(share) for result in self.rounds)


def main() -> None:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        redis = stack.enter_context(running(targets.redis_binary()))
        provider_url = stack.enter_context(targets.provider())
        floor_pid, floor_url = stack.enter_context(targets.floor(redis.url))
        service = stack.enter_context(
            running_service(redis, directory, change=targets.with_workers, sandbox_url=provider_url)
        )
        prepare = Preparation(service, settings.load(directory / "config.toml", {}))
        series = measure(
            {
                "floor": (floor_url, floor_pid, lambda count: prepare.floor(floor_url, count)),
                "verify": (service.url, service.process.pid, prepare.verify),
                "request": (service.url, service.process.pid, prepare.request),
            }
        )
    report(series)


def measure(sources: dict[str, tuple[str, int, Callable[[int], list[bytes]]]]) -> dict[str, Series]:
    """Measure all *sources* (URL, process, calls) in turns."""
    series = {name: Series(name) for name in sources}
    for round_number in range(ROUNDS + 1):
        for name, (url, pid, make) in sources.items():
            requests = make(PER_ROUND)
            before = processes.cpu_seconds(pid)
            result = load.run(url, requests, CONNECTIONS)
            used = processes.cpu_seconds(pid) - before
            load.check(name, result)
            if round_number:  # the first round is a warm-up
                series[name].rounds.append(result)
                series[name].cpu_us.append(used / len(requests) * 1e6)
    return series


def report(series: dict[str, Series]) -> None:
    print(f"{'':<10}{'req/s':>10}{'p50 ms':>10}{'p99 ms':>10}{'CPU µs':>10}")
    results = {name: one.figures() for name, one in series.items()}
    for name, values in results.items():
        print(f"{name:<10}" + "".join(f"{value:>10}" for value in values.values()))
    verify, request = (series[name].over(series["floor"]) for name in ("verify", "request"))
    figures.bar("verify / floor", verify, VERIFY_BAR, least=True)
    figures.bar("request / floor", request, REQUEST_BAR, least=True)
    figures.keep(
        "throughput", **results, verify_over_floor=round(verify, 3), request_over_floor=round(request, 3)
    )


if __name__ == "__main__":
    main()
