"""What hanging sends and a full disk cost: those sends and those lines, and nothing else."""

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

from faults import proxy as treatments
from faults.ground import DEADLINE, Ground, is_refused_for_now, standing_on
from faults.keeper import kept
from faults.proxy import Proxy
from faults.relay import Relay
from support.deployment import Answer, new_phone
from support.redis_servers import redis_binary

SENDS = 200
"""Far more than a worker can compute at once."""

MANY = SENDS / 4


@contextmanager
def behind(proxy: Proxy) -> Iterator[Ground]:
    """A ground whose provider stands behind *proxy*."""
    with kept(redis_binary()) as keeper, Relay(keeper.port) as relay:
        url = f"redis://127.0.0.1:{relay.port}/0"
        with standing_on(keeper, relay, url, sandbox_url=proxy.url) as ground:
            proxy.target = ground.service.sandbox.port
            yield ground


def test_f31_sends_that_hang_keep_nobody_from_verifying() -> None:
    with Proxy() as proxy, behind(proxy) as ground:
        people = [new_phone() for _ in range(40)]
        opened = {phone: ground.open(phone) for phone in people}
        codes = {phone: ground.code(phone) for phone in people}
        proxy.treat = treatments.swallowed
        asked: list[Answer] = []
        asking = [
            threading.Thread(target=lambda: asked.append(ground.shop.request(new_phone())))
            for _ in range(SENDS)
        ]
        for thread in asking:
            thread.start()
        assert proxy.held.wait(10)
        time.sleep(0.5)

        began = len(ground.history.calls)
        approved = []
        for phone in people:
            if sum(thread.is_alive() for thread in asking) < MANY:
                break  # a slow machine verifies fewer codes while sends hang
            approved.append(ground.shop.verify(phone, opened[phone], codes[phone]))
        for thread in asking:
            thread.join()

        took = [c.ended - c.began for c in ground.history.calls[began:] if c.name == "verify"]
        assert len(approved) >= 5, "nothing hung any more while codes were verified"
        assert {answer.status for answer in approved} == {200}
        assert quantiles(took, n=20)[-1] < 1.0
        assert {answer.status for answer in asked} == {202, 503}
        refused = [answer for answer in asked if answer.status == 503]
        assert all(is_refused_for_now(answer, "provider_unavailable") for answer in refused)
        assert max(c.ended - c.began for c in ground.history.calls) < DEADLINE
        proxy.treat = treatments.honestly
        proxy.let_go.set()
        ground.end()


def test_f32_full_disk_under_the_log_costs_the_lines_only() -> None:
    with (
        kept(redis_binary()) as keeper,
        Relay(keeper.port) as relay,
        standing_on(keeper, relay, f"redis://127.0.0.1:{relay.port}/0", log=Path("/dev/full")) as ground,
    ):
        for _ in range(5):
            ground.is_well()
        assert {call.status for call in ground.history.calls} == {200, 201}
        ground.end()


def test_f32_log_that_nobody_reads_costs_the_lines_only() -> None:
    with kept(redis_binary()) as keeper, Relay(keeper.port) as relay:
        pipe = keeper.directory / "log"
        os.mkfifo(pipe)
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
        url = f"redis://127.0.0.1:{relay.port}/0"
        with standing_on(keeper, relay, url, log=pipe) as ground:
            for _ in range(10):
                ground.is_well()
            assert {call.status for call in ground.history.calls} == {200, 201}
            assert is_full(pipe)

            ground.service.process.send_signal(signal.SIGTERM)
            assert ground.service.process.wait(20) == 0
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
