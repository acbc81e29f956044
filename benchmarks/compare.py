"""Compares the service with an older revision of it in one run: `compare.py REVISION [--rename NEW=OLD …]`.

A setting that has another name in the older revision needs `--rename NEW=OLD`.

Each revision is installed in its own virtual environment, as users install it, because development libraries
would cost time and memory. Each has its own Redis and provider. The two take turns, so that a noisy machine
slows both equally. The floor is that of `throughput.py`.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import figures
import load
import processes
import targets
from preparation import Preparation, a_phone, an_address
from support.deployment import Deployment, running_service
from support.redis_servers import Server, running
from throughput import CONNECTIONS, PER_ROUND, ROUNDS, Series

from otp_service import settings

ROOT = Path(__file__).parents[1]
STARTS = 5
SERVE = ["-P", "-m", "otp_service", "serve"]

Change = Callable[[str], str]
"""Returns a changed configuration."""


@dataclass
class Side:
    """One of the two services, with the Python, Redis and provider that it uses."""

    python: str
    redis: Server
    provider_url: str
    service: Deployment

    def requests(self, count: int) -> list[bytes]:
        """Return calls that request an SMS, each for a new phone."""
        return [
            load.post(
                f"{self.service.url}/otp/request",
                {"phone": a_phone(), "purpose": "login", "client_ip": an_address()},
                self.service.secrets.secret_key,
            )
            for _ in range(count)
        ]

    def verifies(self, asked: load.Result) -> list[bytes]:
        """Return calls that submit the codes of the verifications requested by *asked*."""
        with urlopen(f"{self.provider_url}/codes") as answer:  # noqa: S310 - loopback
            codes = json.load(answer)
        calls = []
        for request, answer in asked.answers:
            phone = json.loads(request.partition(b"\r\n\r\n")[2])["phone"]
            verification_id = json.loads(answer)["verification_id"]
            body = {"phone": phone, "verification_id": verification_id, "code": codes[phone[3:]]}
            calls.append(load.post(f"{self.service.url}/otp/verify", body, self.service.secrets.secret_key))
        return calls

    def store_cpu_seconds(self) -> float:
        with self.redis.client() as client:
            used = client.info("cpu")
        return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])

    def store_bytes(self) -> int:
        """Return the bytes of all keys of phones and verifications, without those of other counters."""
        with self.redis.client() as client, client.pipeline(transaction=False) as pipeline:
            for key in client.scan_iter("otp:{*", count=10_000):
                pipeline.memory_usage(key)
            return sum(pipeline.execute())


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare the service with an older revision of it.")
    parser.add_argument("revision", help="what to compare with, such as v1.0")
    parser.add_argument(
        "--rename",
        action="append",
        default=[],
        metavar="NEW=OLD",
        help="the name of a setting in that revision",
    )
    wanted = parser.parse_args()
    names = dict(each.split("=", 1) for each in wanted.rename)

    def with_old_names(text: str) -> str:
        return re.sub(r"^\w+(?= = )", lambda name: names.get(name[0], name[0]), text, flags=re.MULTILINE)

    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="otp-compare-")))
        pythons = {
            "old": installed(checked_out(wanted.revision, directory / "source"), directory / "old"),
            "new": installed(ROOT, directory / "new"),
        }
        changes: dict[str, Change] = {"old": with_old_names, "new": lambda text: text}
        starts = _starts(pythons, changes)
        sides = {
            name: stack.enter_context(side(name, python, directory, changes[name]))
            for name, python in pythons.items()
        }
        new = sides["new"]
        _, floor_url = stack.enter_context(targets.floor(new.redis.url))
        prepare = Preparation(new.service, settings.load(directory / "new" / "config.toml", {}))
        _report(sides, starts, *_measure(sides, lambda count: prepare.floor(floor_url, count), floor_url))


def checked_out(revision: str, directory: Path) -> Path:
    """Check *revision* out into *directory*, and return it."""
    run(["git", "clone", "--quiet", "--no-checkout", str(ROOT), str(directory)])
    run(["git", "-C", str(directory), "checkout", "--quiet", revision])
    return directory


def installed(source: Path, directory: Path) -> str:
    """Return the Python of a new environment in which *source* and its dependencies are installed."""
    environment = directory / "venv"
    run([sys.executable, "-m", "venv", str(environment)])
    python = str(environment / "bin" / "python")
    run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(source)])
    return python


def run(command: list[str]) -> None:
    subprocess.run(command, check=True)


@contextmanager
def side(name: str, python: str, directory: Path, change: Change) -> Iterator[Side]:
    """Run one service with its Redis and provider. *change* adapts the configuration."""
    place = directory / name
    place.mkdir(exist_ok=True)
    with (
        running(targets.redis_binary()) as redis,
        targets.provider(codes=True) as provider_url,
        running_service(
            redis,
            place,
            change=lambda text: change(targets.with_workers(text)),
            sandbox_url=provider_url,
            command=[python, *SERVE],
        ) as service,
    ):
        yield Side(python, redis, provider_url, service)


def _starts(pythons: dict[str, str], changes: dict[str, Change]) -> dict[str, list[float]]:
    """Return the seconds from each start to the first response."""
    taken: dict[str, list[float]] = {name: [] for name in pythons}
    for _ in range(STARTS):
        for name, python in pythons.items():
            with tempfile.TemporaryDirectory() as directory:
                began = time.perf_counter()
                with side(name, python, Path(directory), changes[name]):
                    taken[name].append(time.perf_counter() - began)
    return taken


def _measure(
    sides: dict[str, Side], floor_calls: Callable[[int], list[bytes]], floor_url: str
) -> tuple[dict[str, Series], dict[str, float], dict[str, float]]:
    """Measure floor, requests and verifies of both in turns; also return CPU (µs) and bytes of the stores."""
    series = {name: Series(name) for name in ("floor", *(f"{call} {n}" for n in sides for call in CALLS))}
    cpu = dict.fromkeys(sides, 0.0)
    memory = dict.fromkeys(sides, 0.0)
    for round_number in range(ROUNDS + 1):
        results = {"floor": load.run(floor_url, floor_calls(PER_ROUND), CONNECTIONS)}
        for name, one in sides.items():
            bytes_before, cpu_before = one.store_bytes(), one.store_cpu_seconds()
            asked = load.run(one.service.url, one.requests(PER_ROUND), CONNECTIONS)
            memory[name] = (one.store_bytes() - bytes_before) / PER_ROUND
            verified = load.run(one.service.url, one.verifies(asked), CONNECTIONS)
            cpu[name] += one.store_cpu_seconds() - cpu_before
            results |= {f"request {name}": asked, f"verify {name}": verified}
        for name, result in results.items():
            load.check(name, result)
            if round_number:  # the first round is a warm-up
                series[name].rounds.append(result)
                series[name].cpu_us.append(0)
    calls = PER_ROUND * (ROUNDS + 1)
    return series, {name: used / calls * 1e6 for name, used in cpu.items()}, memory


CALLS = ("request", "verify")


def _report(
    sides: dict[str, Side],
    starts: dict[str, list[float]],
    series: dict[str, Series],
    cpu: dict[str, float],
    memory: dict[str, float],
) -> None:
    results = {name: one.figures() for name, one in series.items()}
    print(f"{'':<14}{'req/s':>10}{'p50 ms':>10}{'p99 ms':>10}")
    for name, values in results.items():
        print(f"{name:<14}{values['rps']:>10}{values['p50_ms']:>10}{values['p99_ms']:>10}")
    rss = {name: processes.rss_mib(one.service.process.pid) for name, one in sides.items()}
    start = {name: statistics.median(taken) for name, taken in starts.items()}
    for call, bar in (("verify", 0.90), ("request", 0.85)):
        figures.bar(f"{call} / old", series[f"{call} new"].over(series[f"{call} old"]), bar, least=True)
    for call in ("verify", "request"):
        p99s = [results[f"{call} {name}"]["p99_ms"] for name in ("new", "old")]
        figures.bar(f"p99 of {call} / old", p99s[0] / p99s[1], 1.25)
    for call, bar in (("verify", 0.78), ("request", 0.26)):
        figures.bar(f"{call} / floor", series[f"{call} new"].over(series["floor"]), bar, least=True)
    figures.bar("store CPU of a verification / old", cpu["new"] / cpu["old"], 1.1)
    figures.bar("bytes of a live verification / old", memory["new"] / memory["old"], 1.1)
    figures.bar("start / old", start["new"] / start["old"], 1.2)
    figures.bar("RSS of a worker / old", rss["new"] / rss["old"], 1.2)


if __name__ == "__main__":
    main()
