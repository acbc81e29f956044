"""What the service costs beside its floor, in one run: throughput, latency, CPU, memory, start.

The floor is a bare Flask endpoint that runs the same script, on the same server, with the same threads.
Floor, verify and request take turns, so that a noisy machine slows all of them alike; the ratios are what
counts. Prints a table and writes `benchmarks/latest.json`.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

import fakes  # noqa: E402 - the path had to be set first
import load  # noqa: E402
import processes  # noqa: E402
import servers  # noqa: E402
from deployment import (  # noqa: E402
    Deployment,
    running_service,
)

from otp_service import codes, settings  # noqa: E402
from otp_service.clock import SystemClock  # noqa: E402
from otp_service.service import Service  # noqa: E402
from otp_service.store import keys  # noqa: E402
from otp_service.store.connect import connect  # noqa: E402
from otp_service.store.store import RedisStore  # noqa: E402
from otp_service.web.audit import CallNotes  # noqa: E402

ROUNDS = 7
PER_ROUND = 600
CONNECTIONS = 8
THREADS = 32
VERIFICATIONS = 20_000


@dataclass
class Series:
    """One endpoint over all rounds."""

    name: str
    rounds: list[load.Result] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)

    @property
    def rps(self) -> float:
        return statistics.median(result.rps for result in self.rounds)

    def latency(self, share: float) -> float:
        return statistics.median(result.percentile(share) for result in self.rounds)

    def row(self) -> str:
        cpu, p50, p99 = statistics.median(self.cpu_us), self.latency(0.5), self.latency(0.99)
        return f"{self.name:<10}{self.rps:>10.0f}{p50:>10.2f}{p99:>10.2f}{cpu:>10.0f}"


def main() -> None:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        redis_server = stack.enter_context(servers.running(redis_binary()))
        provider_url = stack.enter_context(provider())
        floor_pid, floor_url = stack.enter_context(_floor(redis_server.url))
        started = time.perf_counter()
        service = stack.enter_context(
            running_service(redis_server, directory, change=_one_worker, sandbox_url=provider_url)
        )
        start_seconds = time.perf_counter() - started
        loaded = settings.load(directory / "config.toml", {})
        series = _measure(service, floor_pid, floor_url, loaded)
        rss = processes.rss_mib(service.process.pid)
    memory = {Path(binary).name: _bytes_per_verification(binary, loaded) for binary in _store_binaries()}
    _report(series, start_seconds, rss, memory)


def _measure(
    service: Deployment, floor_pid: int, floor_url: str, loaded: settings.Settings
) -> dict[str, Series]:
    prepare = Preparation(service, loaded)
    sources: dict[str, tuple[str, int, Callable[[], list[bytes]]]] = {
        "floor": (floor_url, floor_pid, lambda: prepare.floor_requests(floor_url)),
        "verify": (service.url, service.process.pid, prepare.verify_requests),
        "request": (service.url, service.process.pid, prepare.request_requests),
    }
    series = {name: Series(name) for name in sources}
    for round_number in range(ROUNDS + 1):
        for name, (url, pid, make) in sources.items():
            requests = make()
            before = processes.cpu_seconds(pid)
            result = load.run(url, requests, CONNECTIONS)
            used = processes.cpu_seconds(pid) - before
            _check(name, result)
            if round_number:  # the first one warms up
                series[name].rounds.append(result)
                series[name].cpu_us.append(used / len(requests) * 1e6)
    return series


def _check(name: str, result: load.Result) -> None:
    if set(result.statuses) - {200, 201}:
        raise SystemExit(f"{name}: {result.statuses}")


class _Direct:
    """The service without HTTP and provider, on a store of its own choice; its codes can be read."""

    def __init__(self, loaded: settings.Settings, redis_url: str) -> None:
        self._client = loaded.all_clients()["shop"]
        self._keyring = loaded.keyring()
        self._sender = fakes.FakeSender()
        clock, events = SystemClock(), fakes.FakeEvents()
        self._service = Service(
            policy=loaded.policy(),
            keyring=self._keyring,
            signers=loaded.signers(clock.now),
            store=RedisStore(connect(redis_url), events),
            sender=self._sender,
            ledger=fakes.FakeLedger(),
            challenges=None,
            clock=clock,
            events=events,
            notes=CallNotes(),
        )

    def request(self, phone: str, client_ip: str) -> tuple[str, str]:
        """Return the id and the code of a new verification."""
        sent = self._service.request(self._client, phone, purpose="login", client_ip=client_ip)
        return sent.verification.verification_id, self._sender.sent.pop().code.reveal()

    def attempt(self, phone: str, verification_id: str, code: str) -> dict[str, object]:
        """Return keys and arguments of the script that checks *code*."""
        tag, kid = self._keyring.phone_tag(phone), self._keyring.active_kid
        binding = codes.Binding(verification_id, self._client.id, phone)
        digest = codes.digest(self._keyring.active.digest, binding, codes.Code(code))
        return {
            "keys": [keys.row(tag), keys.record(tag, verification_id)],
            "arguments": [verification_id, self._client.id, "dn", "", 0, kid],
            "digest": b64encode(digest).decode(),
        }


class Preparation:
    """Makes requests whose answer is a success: each of a phone of its own."""

    def __init__(self, service: Deployment, loaded: settings.Settings) -> None:
        self._url = service.url
        self._key = service.secrets.secret_key
        self._direct = _Direct(loaded, service.redis.url)

    def floor_requests(self, url: str) -> list[bytes]:
        return [self._floor_request(url) for _ in range(PER_ROUND)]

    def _floor_request(self, url: str) -> bytes:
        """Ask for the attempt that the service would make, with everything worked out before."""
        phone = _phone()
        verification_id, code = self._direct.request(phone, _address())
        body: dict[str, object] = self._direct.attempt(phone, verification_id, code)
        return load.post(f"{url}/floor", body, self._key)

    def verify_requests(self) -> list[bytes]:
        return [self._verify_request() for _ in range(PER_ROUND)]

    def request_requests(self) -> list[bytes]:
        return [self._request_request() for _ in range(PER_ROUND)]

    def _request_request(self) -> bytes:
        body: dict[str, object] = {"phone": _phone(), "purpose": "login", "client_ip": _address()}
        return load.post(f"{self._url}/otp/request", body, self._key)

    def _verify_request(self) -> bytes:
        phone = _phone()
        verification_id, code = self._direct.request(phone, _address())
        body: dict[str, object] = {"phone": phone, "verification_id": verification_id, "code": code}
        return load.post(f"{self._url}/otp/verify", body, self._key)


_numbers = itertools.count()


def _phone() -> str:
    return f"+86139{next(_numbers):08d}"


def _address() -> str:
    """Return the address of somebody who has asked for nothing yet."""
    number = next(_numbers)
    return f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"


def _bytes_per_verification(binary: str, loaded: settings.Settings) -> float:
    """Memory of one live verification, all keys counted, on a server of its own."""
    with servers.running(binary) as server:
        direct, client = _Direct(loaded, server.url), server.client()
        direct.request(_phone(), "192.0.2.1")
        before = client.info("memory")["used_memory"]
        for number in range(VERIFICATIONS):
            direct.request(f"+86138{number:08d}", f"198.51.{number // 250}.{number % 250}")
        return float(client.info("memory")["used_memory"] - before) / VERIFICATIONS


def _report(series: dict[str, Series], start: float, rss: float, memory: dict[str, float]) -> None:
    floor, verify, request = series["floor"], series["verify"], series["request"]
    print(f"{'':<10}{'req/s':>10}{'p50 ms':>10}{'p99 ms':>10}{'CPU µs':>10}")
    for one in series.values():
        print(one.row())
    print(f"verify / floor    {verify.rps / floor.rps:.2f}   (at least 0.70)")
    print(f"request / floor   {request.rps / floor.rps:.2f}   (at least 0.20)")
    for name, size in memory.items():
        print(f"bytes per live verification, {name}: {size:.0f}")
    print(f"start to first answer: {start:.2f} s   RSS of the worker: {rss:.0f} MiB")
    latest = {
        "floor_rps": round(floor.rps),
        "verify_rps": round(verify.rps),
        "request_rps": round(request.rps),
        "verify_over_floor": round(verify.rps / floor.rps, 3),
        "request_over_floor": round(request.rps / floor.rps, 3),
        "bytes_per_verification": round(next(iter(memory.values()))),
        "bytes_per_verification_by_server": {name: round(size) for name, size in memory.items()},
        "start_seconds": round(start, 2),
        "rss_mib": round(rss),
    }
    (HERE / "latest.json").write_text(json.dumps(latest, indent=2) + "\n")


# ── what is measured against ──


def _one_worker(text: str) -> str:
    quiet = text.replace('level = "debug"', 'level = "info"')
    return quiet.replace("workers = 2", "workers = 1").replace("threads = 64", f"threads = {THREADS}")


def redis_binary() -> str:
    return _store_binaries()[0]


def _store_binaries() -> list[str]:
    found = shutil.which("redis-server")
    return [*([found] if found else []), servers.valkey_binary()]


@contextmanager
def provider(seconds: float = 0) -> Iterator[str]:
    """Run a provider whose answers take *seconds*."""
    port = servers.free_port()
    url = f"http://127.0.0.1:{port}"
    with running([sys.executable, str(HERE / "provider.py"), str(port), str(seconds)], url):
        yield url


@contextmanager
def _floor(redis_url: str) -> Iterator[tuple[int, str]]:
    """Run the floor as `otp-service serve` runs the service: the same server, the same threads."""
    port = servers.free_port()
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--factory", "--no-ws"]
    command += ["--http", "1", "--runtime-mode", "st"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--no-access-log"]
    command += ["--blocking-threads", str(THREADS), "--working-dir", str(HERE), "floor:create_app"]
    url = f"http://127.0.0.1:{port}"
    with running(command, f"{url}/", FLOOR_REDIS_URL=redis_url) as pid:
        yield pid, url


@contextmanager
def running(command: list[str], url: str, **environment: str) -> Iterator[int]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, **environment})
    try:
        _wait_for(url)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def _wait_for(url: str) -> None:
    for _ in range(600):
        try:
            urlopen(url).close()  # noqa: S310 - loopback
        except URLError as error:
            if hasattr(error, "code"):
                return
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"{url} does not answer")


if __name__ == "__main__":
    main()
