"""What a call costs the store when a thousand verifications live, and when a million do.

The server's own CPU per call is compared, since the rest does not know how many there are. Sizes are measured
as the store fills, three times each; the figure is the median.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

import figures
import targets
from deployment import config_text, make_secrets
from preparation import Direct, a_phone, an_address
from redis import Redis
from servers import running

from otp_service import settings
from otp_service.limits import PhoneLimits
from otp_service.store import arguments
from otp_service.store.scripts import script

SIZES = (1_000, 10_000, 100_000, 1_000_000)
CALLS = 2_000
ROUNDS = 5
BATCH = 1_000
BAR = 1.10


def main() -> None:
    with tempfile.TemporaryDirectory() as directory, running(targets.redis_binary()) as server:
        path = Path(directory) / "config.toml"
        path.write_text(config_text(server.url, "http://127.0.0.1", 8080, make_secrets()))
        direct, client = Direct(settings.load(path, {}), server.url), server.client()
        _cpu_us(client, direct)  # warms up
        costs = {}
        filled = 0
        for size in SIZES:
            _fill(client, size - filled)
            filled = size
            costs[size] = statistics.median(_cpu_us(client, direct) for _ in range(ROUNDS))
            print(f"{size:>10} live verifications: {costs[size]:.1f} µs of the store per request and verify")
        client.close()
    growth = costs[SIZES[-1]] / costs[SIZES[0]]
    figures.bar("cost at 10^6 / cost at 10^3", growth, BAR)
    figures.keep("growth", store_us={str(size): round(cost, 1) for size, cost in costs.items()})


def _fill(client: Redis, count: int) -> None:
    """Open *count* verifications that live for as long as it all takes, by the script that always does."""
    made = script("open")
    client.script_load(made.source)
    limits, requester = arguments.limits(PhoneLimits()), b"\0" * 12
    for start in range(0, count, BATCH):
        pipeline = client.pipeline(transaction=False)
        for _ in range(min(BATCH, count - start)):
            tag, vid = os.urandom(9).hex()[:16], os.urandom(16).hex()[:22]
            row = f"otp:{{{tag}}}"
            rest = [vid, "shop", "login", "d", "2026a", os.urandom(16), os.urandom(16), 600_000, 5, 4]
            pipeline.evalsha(made.sha, 2, row, f"{row}:{vid}", limits, requester, *rest)
        for reply in pipeline.execute():
            if reply[0] != b"ok":
                raise SystemExit(f"the store was not filled: {reply}")


def _cpu_us(client: Redis, direct: Direct) -> float:
    """Return the store's CPU time, in µs, of one request and its verify."""
    before = _cpu_seconds(client)
    for _ in range(CALLS):
        phone = a_phone()
        verification_id, code = direct.request(phone, an_address())
        direct.verify(phone, verification_id, code)
    return (_cpu_seconds(client) - before) / CALLS * 1e6


def _cpu_seconds(client: Redis) -> float:
    time.sleep(0.2)  # the server's own account is a little behind
    used = client.info("cpu")
    return float(used["used_cpu_user"] + used["used_cpu_sys"])


if __name__ == "__main__":
    main()
