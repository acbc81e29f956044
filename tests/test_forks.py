"""A service created before a fork: what is created anew in the child, and what the parent keeps."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from client.test_faults import self_signed
from support import fakes, scripted_service
from support.events import RecordingEvents
from support.forked_children import in_forks
from support.redis_clusters import running_cluster
from support.redis_sentinels import running_sentinels
from support.redis_servers import Server, redis_binary, running

from otp_service import forks
from otp_service.domain.errors import ProviderUnavailable, StoreUnavailable
from otp_service.domain.limits import GlobalFailureLimits
from otp_service.observability.log_writer import BufferedLogWriter
from otp_service.sms.aliyun.api import AliyunApi
from otp_service.sms.aliyun.signed_request import AccessKey
from otp_service.sms.circuit_breaker import CircuitBreaker
from otp_service.sms.concurrency import Bulkhead
from otp_service.sms.http import HttpClient
from otp_service.sms.router import EVERY_TEMPLATE, Suspensions
from otp_service.store.client import RedisOptions, from_url
from otp_service.store.counters import RedisUsageCounters
from otp_service.store.embedded import FakeStore, start_embedded
from otp_service.store.redis_client import Outages
from otp_service.store.scripts import Call
from otp_service.store.verifications import RedisStore
from otp_service.web.api import request_id

LONG_TIMEOUTS = RedisOptions(connect_timeout=10, read_timeout=10)


class Counter:
    """Counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def call(self) -> None:
        self.calls += 1


# ── the hooks ──


def test_hooks_run_in_the_child_while_their_object_exists() -> None:
    child, gone = Counter(), Counter()
    forks.call_in_child(child.call)
    forks.call_in_child(gone.call)
    del gone

    assert in_forks(lambda _: [child.calls], 1) == [[1]]
    assert child.calls == 0


# ── numbers that must be unique ──


def test_no_two_processes_have_the_same_nonces_and_request_ids() -> None:
    with scripted_service.serving() as server:
        server.always = echoes
        client = HttpClient(max_connections=1, connect_seconds=5, read_seconds=5)
        key = AccessKey("testId", "testSecret")
        api = AliyunApi(keys=[key], version="1", endpoint=server.url, http=client, clock=fakes.FakeClock())

        def some(_: int) -> list[str]:
            signed = [api.call("Nothing", {}, seconds=5).body.decode() for _ in range(3)]
            return [parse_qs(each)["SignatureNonce"][0] for each in signed] + [
                request_id.begin() for _ in range(3)
            ]

        results = [*in_forks(some, 3), some(0)]
        client.close()

    assert len({text for texts in results for text in texts}) == 24


# ── locks held by another thread during a fork ──


def result_of_fork_while_locked(lock: Any, work: Callable[[int], Any]) -> Any:
    """Return what *work* returns in a child that was forked while another thread held *lock*."""
    locked, release = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            locked.set()
            release.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    locked.wait(20)
    try:
        return in_forks(work, 1)[0]
    finally:
        release.set()
        thread.join()


def test_no_lock_of_the_parent_blocks_a_child() -> None:
    bulkhead, breaker, pauses = Bulkhead(1), CircuitBreaker(time.monotonic), Suspensions(time.monotonic)
    outages = Outages(RecordingEvents())
    usage_counters = RedisUsageCounters(
        lambda _: [], limits=LIMITS, clock=fakes.FakeClock(), events=RecordingEvents()
    )
    client = HttpClient(max_connections=1)
    assert connection_error(client) == "ConnectionRefusedError"
    pool: Any = client._adapter._pool

    assert result_of_fork_while_locked(bulkhead._changed, lambda _: may_send(bulkhead, ExitStack())) is True
    assert result_of_fork_while_locked(breaker._lock, lambda _: breaker.allow_request()) is True
    assert result_of_fork_while_locked(pauses._lock, lambda _: pauses.is_suspended(EVERY_TEMPLATE)) is False
    assert result_of_fork_while_locked(outages._lock, lambda _: outages.failed("x", "y")) is None
    assert (
        result_of_fork_while_locked(usage_counters._lock, lambda _: usage_counters.record_failure()) is None
    )
    for lock in (pool.pool.mutex, client._adapter.poolmanager.pools.lock):
        assert (
            result_of_fork_while_locked(lock, lambda _: connection_error(client)) == "ConnectionRefusedError"
        )
    client.close()


def connection_error(client: HttpClient) -> str:
    """Return the error of a request to a port where nothing listens."""
    try:
        client.post("https://127.0.0.1:1/", {"Host": "x"}, b"", seconds=2)
    except Exception as error:  # noqa: BLE001 - which one is the result
        return str(error)
    return ""


# ── sends ──


def may_send(bulkhead: Bulkhead, permits: ExitStack) -> bool:
    """Return whether there was a permit, which *held* keeps."""
    try:
        permits.enter_context(bulkhead.permit())
    except ProviderUnavailable:
        return False
    return True


def test_sends_of_the_parent_do_not_count_in_a_child() -> None:
    bulkhead, held = Bulkhead(1), ExitStack()

    def may_send_once_more(_: int) -> list[object]:
        return [bulkhead.in_flight, may_send(bulkhead, held), may_send(bulkhead, held), bulkhead.close(0)]

    assert may_send(bulkhead, held)
    assert in_forks(may_send_once_more) == [[0, True, False, False]] * 2
    assert (bulkhead.in_flight, may_send(bulkhead, held)) == (1, False)


def echoes(handler: scripted_service.Handler) -> None:
    """Answer with the posted body."""
    scripted_service.says(200, handler.call.body)(handler)


@pytest.mark.parametrize("over_tls", [False, True], ids=["plain", "tls"])
def test_http_client_used_before_the_fork_mixes_up_no_answers(
    *, over_tls: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Providers and webhooks use it."""
    certificate, key = self_signed(tmp_path) if over_tls else (None, None)
    if certificate:
        monkeypatch.setattr("requests.certs.where", lambda: str(certificate))
    with scripted_service.serving(certificate, key) as server:
        server.always = echoes
        client = HttpClient(max_connections=4, connect_seconds=5, read_seconds=5)

        def posted(who: int) -> list[str]:
            texts = [f"{who}-{number}" for number in range(20)]
            headers = {"Host": f"127.0.0.1:{server.port}"}
            bodies = [
                client.post(f"{server.url}/", headers, t.encode(), seconds=5).body.decode() for t in texts
            ]
            return [] if bodies == texts else bodies

        assert posted(0) == []
        assert in_forks(posted, 3) == [[]] * 3
        assert posted(9) == []
        client.close()

    peers = {bytes.partition(call.body, b"-")[0]: call.peer for call in server.calls}
    assert peers[b"0"] == peers[b"9"]  # the parent's connection stayed open
    assert len(set(peers.values())) == 4


# ── Redis ──


def test_store_used_before_the_fork_mixes_up_no_replies(redis_server: Server) -> None:
    assert mixed_up(redis_server.url, LONG_TIMEOUTS) == []


def test_store_over_tls_used_before_the_fork_mixes_up_no_replies(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    with running(redis_binary()) as free:
        port = free.port
    tls = ["--tls-port", str(port), "--tls-cert-file", str(certificate), "--tls-key-file", str(key)]
    with running(redis_binary(), *tls, "--tls-ca-cert-file", str(certificate), "--tls-auth-clients", "no"):
        options = replace(LONG_TIMEOUTS, ca_file=certificate)
        assert mixed_up(f"rediss://127.0.0.1:{port}", options) == []


def test_store_behind_sentinels_used_before_the_fork_mixes_up_no_replies() -> None:
    with running_sentinels(redis_binary(), replicas=0, sentinels=1) as setup:
        assert mixed_up(setup.url(), LONG_TIMEOUTS) == []


def test_store_in_a_cluster_used_before_the_fork_mixes_up_no_replies() -> None:
    """The texts are distributed over both servers, as keys are."""
    with running_cluster(redis_binary(), 2) as cluster:
        assert mixed_up(cluster.url(), LONG_TIMEOUTS) == []


def mixed_up(url: str, options: RedisOptions) -> list[Any]:
    """Return the wrong replies that three children and then their parent got."""
    servers = from_url(url, options)

    def echoed(who: int) -> list[str]:
        texts = [f"{who}-{number}" for number in range(100)]
        replies = [servers.execute([("ECHO", text)]).replies[0].decode() for text in texts]
        return [] if replies == texts else replies

    (before,) = servers.execute([("CLIENT", "ID")]).replies
    wrong = [*echoed(0), *in_forks(echoed, 3), *echoed(9)]
    (after,) = servers.execute([("CLIENT", "ID")]).replies
    servers.close()
    return [replies for replies in wrong if replies] + ([] if before == after else [before, after])


def test_child_that_closes_its_store_keeps_the_parents_connection_open(redis_server: Server) -> None:
    servers = from_url(redis_server.url, LONG_TIMEOUTS)
    (before,) = servers.execute([("CLIENT", "ID")]).replies
    in_forks(lambda _: servers.close())
    (after,) = servers.execute([("CLIENT", "ID")]).replies
    servers.close()

    assert before == after


# ── usage counters ──

LIMITS = GlobalFailureLimits(
    min_failures=4, max_failure_ratio=0.01, severe_min_failures=8, severe_max_failure_ratio=0.04
)


def test_each_process_writes_only_its_own_counts() -> None:
    read, write = os.pipe()

    def run_scripts(calls: Sequence[Call]) -> list[list[Any]]:
        for call in calls:
            if call.arguments[0]:
                os.write(write, f"{os.getpid()} {call.arguments[0]}\n".encode())
        return [[0, 0, 0] for _ in calls]

    usage_counters = RedisUsageCounters(
        run_scripts, limits=LIMITS, clock=fakes.FakeClock(), events=RecordingEvents()
    )
    usage_counters.start()

    def noting(child: int) -> int:
        for _ in range(child):
            usage_counters.record_failure()
        time.sleep(1.5)  # the counters are written automatically
        return os.getpid()

    with usage_counters._lock:  # no write may happen in between
        usage_counters._buffer.wrong += 7
        pids = in_forks(noting)
    usage_counters.close()
    os.close(write)
    with os.fdopen(read) as stream:
        written = sorted(stream.read().splitlines())

    assert written == sorted([f"{os.getpid()} 7", f"{pids[0]} 1", f"{pids[1]} 2"])


def test_closed_counters_do_not_start_again_in_a_child() -> None:
    def all_usage_counters(_: int) -> int:
        return len([thread for thread in threading.enumerate() if thread.name == "usage-counters"])

    before = in_forks(all_usage_counters, 1)  # counters of other tests may exist in this process
    usage_counters = RedisUsageCounters(
        lambda _: [[0, 0, 0]], limits=LIMITS, clock=fakes.FakeClock(), events=RecordingEvents()
    )
    usage_counters.start()
    running = in_forks(all_usage_counters, 1)
    usage_counters.close()

    assert running == [before[0] + 1]
    assert in_forks(all_usage_counters, 1) == before


# ── the log ──


def test_lines_buffered_during_a_fork_are_written_once(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    lines = BufferedLogWriter(file)
    for number in range(3):
        lines.write(b"parent %d\n" % number)
        in_forks(lambda child, n=number: [lines.write(b"child %d %d\n" % (n, child)), lines.drain()], 1)  # type: ignore[misc]
    lines.close()
    os.close(file)

    expected = [f"parent {n}" for n in range(3)] + [f"child {n} 1" for n in range(3)]
    assert sorted(path.read_text().splitlines()) == sorted(expected)


def test_blocked_log_delays_no_fork_and_repeats_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otp_service.observability.log_writer.DRAIN_SECONDS", 0.05)
    reader, end = os.pipe()
    lines = BufferedLogWriter(end)
    lines.write(b"x" * 300_000 + b"\n")  # more than a pipe can buffer
    time.sleep(0.2)

    assert in_forks(lambda _: lines.drain(), 1) == [None]
    taken = b""
    while not taken.endswith(b"\n"):
        taken += os.read(reader, 65_536)
    assert len(taken) == 300_001
    lines.close()
    os.close(reader)
    os.close(end)


# ── the embedded store ──


def test_child_that_ends_does_not_stop_the_embedded_store() -> None:
    embedded = start_embedded()
    with embedded.client() as client:
        in_forks(lambda _: embedded.close())
        assert client.ping()
    embedded.close()


def test_fakeredis_refuses_to_serve_a_child() -> None:
    """It is in the memory of one process, so each child would have its own counts."""
    store = FakeStore()
    parent_store = RedisStore(store.client(), RecordingEvents(), shebang=False)

    def call_store(_: int) -> str:
        try:
            parent_store.redis.run_scripts([Call("global_failures", ["otp:x"], [0, 0])])
        except StoreUnavailable:
            return "unavailable"
        return "served"

    assert in_forks(call_store, 1) == ["unavailable"]
    assert store.client().ping()


def test_failing_hook_does_not_prevent_others() -> None:
    """Python ignores exceptions of hooks, so objects registered later would keep the state of the parent."""
    script = """
import os
from otp_service import forks

class Hook:
    def __init__(self, name): self.name = name
    def fail(self): raise RuntimeError("can't start new thread")
    def report(self): os.write(1, self.name.encode())

first, second = Hook("first"), Hook("second")
forks.call_in_child(first.fail)
forks.call_in_child(second.report)
pid = os.fork()
if pid == 0:
    os._exit(0)
os.waitpid(pid, 0)
"""
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30
    )

    assert result.stdout == "second"
    assert "can't start new thread" in result.stderr
