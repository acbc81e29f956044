"""Measures the cost of metrics: a service with them and one without take turns in one run.

The result is the ratio of CPU time per call, on which other load of the machine has little effect.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import figures
import targets
from preparation import Preparation
from support.deployment import Deployment, running_service
from support.redis_servers import Server, free_port, running
from throughput import Series, measure

from otp_service import settings

MOST = 1.05


def main() -> None:
    with ExitStack() as stack:
        redis = stack.enter_context(running(targets.redis_binary()))
        provider_url = stack.enter_context(targets.provider())
        sources: dict[str, tuple[str, int, Callable[[int], list[bytes]]]] = {}
        for name, extra in (("with", f"[metrics]\nport = {free_port()}\n"), ("without", "")):
            service, prepare = stack.enter_context(_service(redis, provider_url, extra))
            for call, make in (("verify", prepare.verify), ("request", prepare.request)):
                sources[f"{call} {name}"] = service.url, service.process.pid, make
        series = measure(sources)
    _report(series)


@contextmanager
def _service(redis: Server, provider_url: str, extra: str) -> Iterator[tuple[Deployment, Preparation]]:
    def change(text: str) -> str:
        return f"{targets.with_workers(text)}\n{extra}"

    with (
        tempfile.TemporaryDirectory() as directory,
        running_service(redis, Path(directory), change=change, sandbox_url=provider_url) as service,
    ):
        yield service, Preparation(service, settings.load(Path(directory) / "config.toml", {}))


def _report(series: dict[str, Series]) -> None:
    ratios: dict[str, float] = {}
    for call in ("verify", "request"):
        pairs = zip(series[f"{call} with"].cpu_us, series[f"{call} without"].cpu_us, strict=True)
        ratios[call] = round(statistics.median(mine / bare for mine, bare in pairs), 3)
        figures.bar(f"CPU of {call}, with metrics / without", ratios[call], MOST, least=False)
    figures.keep("metrics", **ratios, **{name: one.figures() for name, one in series.items()})


if __name__ == "__main__":
    main()
