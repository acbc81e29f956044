"""Hanging sends and a full disk affect only those sends and those log lines."""

from __future__ import annotations

import fcntl
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles

from faults import provider_proxy
from faults.harness import DEADLINE, Harness, is_refused_for_now, running_on
from faults.provider_proxy import ProviderProxy
from faults.redis_process import running_redis
from faults.relay import Relay
from support.deployment import Answer, new_phone
from support.redis_servers import redis_binary

SENDS = 200
"""Far more than a worker can compute at once."""

MANY = SENDS / 4


@contextmanager
def harness_behind(proxy: ProviderProxy) -> Iterator[Harness]:
    """Run a harness whose service reaches the provider through *proxy*."""
    with running_redis(redis_binary()) as redis_process, Relay(redis_process.port) as relay:
        url = f"redis://127.0.0.1:{relay.port}/0"
        with running_on(redis_process, relay, url, sandbox_url=proxy.url) as harness:
            proxy.provider_port = harness.service.sandbox.port
            yield harness


def test_f31_hanging_sends_do_not_delay_verifications() -> None:
    with ProviderProxy() as proxy, harness_behind(proxy) as harness:
        phones = [new_phone() for _ in range(40)]
        verification_ids = {phone: harness.open(phone) for phone in phones}
        codes = {phone: harness.code(phone) for phone in phones}
        proxy.behavior = provider_proxy.drop_request
        answers: list[Answer] = []
        threads = [
            threading.Thread(target=lambda: answers.append(harness.shop.request(new_phone())))
            for _ in range(SENDS)
        ]
        for thread in threads:
            thread.start()
        assert proxy.request_held.wait(10)
        time.sleep(0.5)

        began = len(harness.history.calls)
        approved = []
        for phone in phones:
            if sum(thread.is_alive() for thread in threads) < MANY:
                break  # a slow machine verifies fewer codes while sends hang
            approved.append(harness.shop.verify(phone, verification_ids[phone], codes[phone]))
        for thread in threads:
            thread.join()

        took = [c.ended - c.began for c in harness.history.calls[began:] if c.name == "verify"]
        assert len(approved) >= 5, "no send hung while codes were verified"
        assert {answer.status for answer in approved} == {200}
        assert quantiles(took, n=20)[-1] < 1.0
        assert {answer.status for answer in answers} == {202, 503}
        refused = [answer for answer in answers if answer.status == 503]
        assert all(is_refused_for_now(answer, "provider_unavailable") for answer in refused)
        assert max(c.ended - c.began for c in harness.history.calls) < DEADLINE
        proxy.behavior = provider_proxy.pass_through
        proxy.release.set()
        harness.end()


def test_f32_full_disk_loses_only_log_lines() -> None:
    with (
        running_redis(redis_binary()) as redis_process,
        Relay(redis_process.port) as relay,
        running_on(
            redis_process, relay, f"redis://127.0.0.1:{relay.port}/0", log=Path("/dev/full")
        ) as harness,
    ):
        for _ in range(5):
            harness.wait_until_healthy()
        assert {call.status for call in harness.history.calls} == {200, 201}
        harness.end()


def test_f32_log_pipe_without_a_reader_loses_only_log_lines() -> None:
    with running_redis(redis_binary()) as redis_process, Relay(redis_process.port) as relay:
        pipe = redis_process.directory / "log"
        os.mkfifo(pipe)
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
        url = f"redis://127.0.0.1:{relay.port}/0"
        with running_on(redis_process, relay, url, log=pipe) as harness:
            for _ in range(10):
                harness.wait_until_healthy()
            assert {call.status for call in harness.history.calls} == {200, 201}
            assert is_full(pipe)

            harness.service.process.send_signal(signal.SIGTERM)
            assert harness.service.process.wait(20) == 0
        os.close(reader)


def is_full(pipe: Path) -> bool:
    writer = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    try:
        os.write(writer, b"x" * 4096)
    except BlockingIOError:
        return True
    finally:
        os.close(writer)
    return False
