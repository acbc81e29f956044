"""Measures the memory of a verification in the store: while it is live, and what remains later.

Live memory is the server's own figure for all keys. What remains after some time are the keys with a longer
TTL, so no clock has to be moved. The counters of IP addresses are measured separately, because many
verifications share one. Up to three addresses that verified a phone are stored with the phone.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import figures
import targets
from preparation import Direct, a_phone, an_address
from redis import Redis
from support.deployment import config_text, make_secrets
from support.redis_servers import running

from otp_service import settings

VERIFICATIONS = 20_000
BARS = {"redis-server": 500, "valkey-server": 360}
LATER = {"an hour": 3_600, "a day": 86_400, "90 days": 90 * 86_400}
SLACK_MS = 60_000
"""Allows for the time that the measurement takes."""


def main() -> None:
    loaded = _loaded()
    for binary in targets.store_binaries():
        name = Path(binary).name
        with running(binary) as server, server.client() as client:
            direct = Direct(loaded, server.url)
            _fill(direct, 100, addressed=True)  # memory of scripts and tables belongs to no verification
            alive = _growth(client, direct, addressed=False)
            with_address = _growth(client, direct, addressed=True)
            approved = {count: _left(client, direct, addresses=count, right=True) for count in (1, 2, 3)}
            abandoned = _left(client, direct, addresses=1, right=False)
        figures.bar(f"{name}: bytes per live verification", alive, BARS.get(name, 500))
        print(f"{name}: {with_address - alive:.0f} bytes more for a new IP address")
        titles = {1: "approved", 2: "approved from two addresses", 3: "approved from three addresses"}
        for title, left in (*((titles[n], left) for n, left in approved.items()), ("abandoned", abandoned)):
            sizes = ", ".join(f"{size:.0f} after {time}" for time, size in left.items())
            print(f"{name}: bytes that remain of a phone whose verification was {title}: {sizes}")
        figures.keep(
            f"memory on {name}",
            alive=round(alive),
            address=round(with_address - alive),
            approved=approved[1],
            abandoned=abandoned,
        )


def _loaded() -> settings.Settings:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "config.toml"
        path.write_text(config_text("redis://127.0.0.1", "http://127.0.0.1", 8080, make_secrets()))
        return settings.load(path, {})


def _fill(direct: Direct, count: int, *, addressed: bool) -> None:
    for _ in range(count):
        direct.request(a_phone(), an_address() if addressed else None)


def _growth(client: Redis, direct: Direct, *, addressed: bool) -> float:
    before = client.info("memory")["used_memory"]
    _fill(direct, VERIFICATIONS, addressed=addressed)
    return float(client.info("memory")["used_memory"] - before) / VERIFICATIONS


def _left(client: Redis, direct: Direct, *, addresses: int, right: bool) -> dict[str, float]:
    """Return the bytes that remain of a phone after each time, if *addresses* addresses requested codes."""
    before = set(client.scan_iter(count=10_000))
    count = 200
    for _ in range(count):
        phone = a_phone()
        for _ in range(addresses):
            address = an_address()
            verification_id, code = direct.request(phone, address)
            if right:
                direct.verify(phone, verification_id, code, address)
    made = [key for key in client.scan_iter(count=10_000) if key not in before and b":address:" not in key]
    sizes = [(client.pttl(key), client.memory_usage(key)) for key in made]
    return {
        time: round(sum(size for left, size in sizes if left > seconds * 1000 + SLACK_MS) / count)
        for time, seconds in LATER.items()
    }


if __name__ == "__main__":
    main()
