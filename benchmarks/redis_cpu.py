"""Measures the store's CPU cost of a complete verification over HTTP: one request and its correct verify.

The yardstick is one EVALSHA that writes two values, called by a minimal endpoint under the same load in the
same run. The ratio of the two is comparable across machines. The cost of a verification includes everything
that the service's processes do meanwhile.

Two more figures are printed. In a tight loop the yardstick costs half as much or less, since all it needs is
in the processor's caches. The third is the cost of the same number of round trips with empty scripts.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import figures
import load
import targets
from floor import TWO_WRITES, two_writes
from preparation import Preparation
from redis import Redis
from support.deployment import running_service
from support.redis_servers import running

from otp_service import settings

ROUNDS = 5
COUNT = 1_000
CONNECTIONS = 4
ROUND_TRIPS = 4
"""Three for a request, one for a verify."""

Batch = tuple[str, Sequence[bytes]]
"""A URL and the calls to send to it."""


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as directory,
        running(targets.redis_binary()) as redis,
        redis.client() as client,
        targets.provider() as provider_url,
        targets.floor(redis.url) as (_, floor_url),
        running_service(
            redis, Path(directory), change=targets.with_workers, sandbox_url=provider_url
        ) as service,
    ):
        prepare = Preparation(service, settings.load(Path(directory) / "config.toml", {}))
        numbers = itertools.count()
        yardsticks, trips, loops, whole, inside = [], [], [], [], []
        for _ in range(ROUNDS):
            loops.append(_loop(client))
            for found, path in ((yardsticks, "two_writes"), (trips, "nothing")):
                scripts = [_post(f"{floor_url}/{path}", next(numbers)) for _ in range(COUNT)]
                found.append(_cost(client, (floor_url, scripts))[0])
            calls = [(service.url, make(COUNT)) for make in (prepare.request, prepare.verify)]
            cost, in_scripts = _cost(client, *calls)
            whole.append(cost)
            inside.append(in_scripts)
    yardstick, complete = statistics.median(yardsticks), statistics.median(whole)
    results = {
        "yardstick_us": round(yardstick),
        "in_a_loop_us": round(statistics.median(loops)),
        "verification_us": round(complete),
        "in_scripts_us": round(statistics.median(inside)),
        "empty_round_trips_us": round(statistics.median(trips) * ROUND_TRIPS),
    }
    print(
        f"one EVALSHA of two writes: {results['yardstick_us']} µs ({results['in_a_loop_us']} in a loop)",
        end="   ",
    )
    print(f"a complete verification: {results['verification_us']} µs ({results['in_scripts_us']} in scripts)")
    print(f"{ROUND_TRIPS} round trips with empty scripts: {results['empty_round_trips_us']} µs")
    print(f"complete verification / EVALSHA of two writes: {complete / yardstick:.1f}")
    figures.keep("redis_cpu", **results)


def _post(url: str, number: int) -> bytes:
    return load.post(url, {"number": number}, "")


def _loop(client: Redis) -> float:
    """Return the cost of the yardstick in a tight loop, in µs."""
    sha = client.script_load(TWO_WRITES)
    before = _cpu_seconds(client)
    for number in range(COUNT * 2):
        two_writes(client, sha, number)
    return (_cpu_seconds(client) - before) / (COUNT * 2) * 1e6


def _cost(client: Redis, *batches: Batch) -> tuple[float, float]:
    """Return the CPU time of one call of each batch, in µs, and the part of it spent inside scripts."""
    cpu_before, scripts_before = _cpu_seconds(client), _script_us(client)
    for url, calls in batches:
        load.check(url, load.run(url, calls, CONNECTIONS))
    cpu = (_cpu_seconds(client) - cpu_before) / COUNT * 1e6
    return cpu, (_script_us(client) - scripts_before) / COUNT


def _script_us(client: Redis) -> float:
    stats = client.info("commandstats")
    return sum(stats[name]["usec"] for name in ("cmdstat_evalsha", "cmdstat_eval") if name in stats)


def _cpu_seconds(client: Redis) -> float:
    time.sleep(0.7)  # until the service has written its counters, and the server has updated its CPU times
    used = client.info("cpu")
    return float(used["used_cpu_user"] + used["used_cpu_sys"])


if __name__ == "__main__":
    main()
