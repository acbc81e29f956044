"""Compares the store's cost of a call with a thousand live verifications and with a million.

It compares the CPU time of the Redis server, since nothing else depends on the number of verifications. Two
servers take turns in each round: one keeps its thousand verifications, the other is filled step by step. So a
noisy machine does not look like growth. The result is the median of the rounds' ratios. A server is measured
once it is idle: for some seconds after doubling a hash table, Redis moves entries in the background, which is
a cost of filling it and not of a call.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import figures
import targets
from preparation import Direct, a_phone, an_address
from redis import Redis
from support.deployment import config_text, make_secrets
from support.redis_servers import running

from otp_service import settings
from otp_service.domain.limits import PhoneLimits
from otp_service.store import encoding
from otp_service.store.scripts import script

SIZES = (1_000, 10_000, 100_000, 1_000_000)
CALLS = 1_000
ROUNDS = 9
BATCH = 1_000
KEYS = 4 * CALLS * (ROUNDS + 1)
"""The maximum number of keys that a measurement adds."""

BAR = 1.10

REST = 0.01
"""The CPU share below which a server counts as idle. Its housekeeping takes half of that."""

PATIENCE = 180
"""How many seconds to wait until a server is idle."""


@dataclass
class Filled:
    """A server with *size* live verifications, and a service that uses it."""

    client: Redis
    direct: Direct
    size: int = 0

    def fill(self, size: int) -> None:
        """Create verifications until there are *size*, and wait until the server is idle."""
        _open(self.client, size - self.size)
        self.size = size
        if size > KEYS:
            self._pass_the_next_doubling()
        deadline = time.monotonic() + PATIENCE
        while self._idle_share() > REST:
            if time.monotonic() > deadline:
                raise SystemExit(f"a store of {size} verifications does not become idle")

    def _pass_the_next_doubling(self) -> None:
        """Create more if the measurement would otherwise fill a hash table, so that Redis doubles it."""
        keys = self.client.dbsize()
        room = (1 << keys.bit_length()) - keys
        if room < KEYS:
            _open(self.client, room)

    def cpu_us(self) -> float:
        """Return the server's CPU time, in µs, of one request and its verify."""
        before = _cpu_seconds(self.client)
        for _ in range(CALLS):
            phone, address = a_phone(), an_address()
            verification_id, code = self.direct.request(phone, address)
            self.direct.verify(phone, verification_id, code, address)
        return (_cpu_seconds(self.client) - before) / CALLS * 1e6

    def _idle_share(self) -> float:
        began, before = time.monotonic(), _cpu_seconds(self.client)
        time.sleep(1.8)
        return (_cpu_seconds(self.client) - before) / (time.monotonic() - began)


def main() -> None:
    with _server() as few, _server() as many:
        few.fill(SIZES[0])
        costs, growth = {}, {}
        for size in SIZES:
            many.fill(size)
            costs[size], growth[size] = _measure(few, many)
            print(
                f"{size:>10} live verifications: {costs[size]:.1f} µs of store CPU per request and verify, "
                f"{growth[size]:.2f} times that of {SIZES[0]}"
            )
    figures.bar("cost at 10^6 / cost at 10^3", growth[SIZES[-1]], BAR)
    figures.keep(
        "growth",
        store_us={str(size): round(cost, 1) for size, cost in costs.items()},
        growth={str(size): round(ratio, 3) for size, ratio in growth.items()},
    )


def _measure(few: Filled, many: Filled) -> tuple[float, float]:
    """Return the cost of a call on *many*, and its ratio to the cost on *few*."""
    few.cpu_us(), many.cpu_us()  # warm-up
    rounds = [(few.cpu_us(), many.cpu_us()) for _ in range(ROUNDS)]
    return statistics.median(mine for _, mine in rounds), statistics.median(b / a for a, b in rounds)


@contextmanager
def _server() -> Iterator[Filled]:
    with tempfile.TemporaryDirectory() as directory, running(targets.redis_binary()) as server:
        path = Path(directory) / "config.toml"
        path.write_text(config_text(server.url, "http://127.0.0.1", 8080, make_secrets()))
        with server.client() as client:
            yield Filled(client, Direct(settings.load(path, {}), server.url))


def _open(client: Redis, count: int) -> None:
    """Create *count* verifications with the service's own script; they outlive the benchmark."""
    made = script("create")
    client.script_load(made.source)
    limits, requester = encoding.limits(PhoneLimits()), b"\0" * 12
    for start in range(0, count, BATCH):
        pipeline = client.pipeline(transaction=False)
        for _ in range(min(BATCH, count - start)):
            phone_hash, vid = os.urandom(9).hex()[:16], os.urandom(16).hex()[:22]
            phone_key = f"otp:{{{phone_hash}}}"
            rest = [vid, "shop", "login", "d", "2026a", os.urandom(16), os.urandom(16), 600_000, 5, 4]
            pipeline.evalsha(made.sha, 2, phone_key, f"{phone_key}:{vid}", limits, requester, *rest)
        for reply in pipeline.execute():
            if reply[0] != b"ok":
                raise SystemExit(f"the store was not filled: {reply}")


def _cpu_seconds(client: Redis) -> float:
    time.sleep(0.2)  # the server updates its CPU times with a delay
    used = client.info("cpu")
    return float(used["used_cpu_user"] + used["used_cpu_sys"])


if __name__ == "__main__":
    main()
