"""What a complete verification costs the store in CPU: one request and its right verify, over HTTP.

The yardstick stands beside it, in the same run: one EVALSHA that writes two values, as cheap as a script can
be. The ratio holds on any machine. Everything that the service's processes do meanwhile is counted too.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import figures
import load
import targets
from deployment import running_service
from preparation import Preparation
from redis import Redis
from servers import running

from otp_service import settings

ROUNDS = 5
COUNT = 1_000
CONNECTIONS = 4
BAR = 195 / 59
"""µs of a complete verification by µs of the yardstick."""

YARDSTICK = """
redis.call('SET', KEYS[1], ARGV[1], 'PX', 60000)
redis.call('SET', KEYS[2], ARGV[2], 'PX', 60000)
return {'ok'}
"""


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as directory,
        running(targets.redis_binary()) as redis,
        redis.client() as client,
        targets.provider() as provider_url,
        running_service(
            redis, Path(directory), change=targets.with_workers, sandbox_url=provider_url
        ) as service,
    ):
        prepare = Preparation(service, settings.load(Path(directory) / "config.toml", {}))
        scripts, whole = [], []
        for _ in range(ROUNDS):
            scripts.append(_yardstick(client))
            requests, verifies = prepare.request(COUNT), prepare.verify(COUNT)
            before = _cpu_seconds(client)
            for name, calls in (("request", requests), ("verify", verifies)):
                load.check(name, load.run(service.url, calls, CONNECTIONS))
            whole.append((_cpu_seconds(client) - before) / COUNT * 1e6)
    yardstick, complete = statistics.median(scripts), statistics.median(whole)
    print(f"one EVALSHA of two writes: {yardstick:.0f} µs   a complete verification: {complete:.0f} µs")
    figures.bar("complete verification / EVALSHA of two writes", complete / yardstick, BAR)
    figures.keep("redis_cpu", yardstick_us=round(yardstick), verification_us=round(complete))


def _yardstick(client: Redis) -> float:
    sha = client.script_load(YARDSTICK)
    before = _cpu_seconds(client)
    for number in range(COUNT * 2):
        client.evalsha(sha, 2, f"y:{{{number}}}", f"y:{{{number}}}:2", b"x" * 60, b"y" * 80)
    return (_cpu_seconds(client) - before) / (COUNT * 2) * 1e6


def _cpu_seconds(client: Redis) -> float:
    time.sleep(0.7)  # what the service's ledger still has to tell, and the server's own account
    used = client.info("cpu")
    return float(used["used_cpu_user"] + used["used_cpu_sys"])


if __name__ == "__main__":
    main()
