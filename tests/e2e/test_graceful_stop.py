"""SIGTERM while SMS are in flight: callers are answered, and the result of every send is recorded."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from faults.provider_proxy import Exchange, ProviderProxy
from sms.wire import response
from support import redis_servers
from support.deployment import Answer, Deployment, at_once, new_phone, running_service, workers_that_answer
from support.events import RecordingEvents
from support.redis_servers import Server
from support.waiting import eventually

from otp_service import settings
from otp_service.domain.risk import PhoneKey
from otp_service.domain.verification import DeliveryStatus
from otp_service.store.client import client_from_url
from otp_service.store.verifications import RedisStore

IN_FLIGHT = 50
REFUSAL = response(
    json.dumps({"Code": "isv.BUSINESS_LIMIT_CONTROL", "Message": "触发小时级流控Permits:5"}).encode()
)
BOUND = 20


@pytest.fixture
def redis_server() -> Iterator[Server]:
    """A new Redis for each test, so that all counts come from that test."""
    with redis_servers.running(redis_servers.redis_binary()) as server:
        yield server


def slow(exchange: Exchange) -> None:
    """Answer slowly: accept some SMS, reject some, and never answer others."""
    number = exchange.proxy.requests
    time.sleep(2.5)
    if number % 5 == 0:
        exchange.answer(REFUSAL)
    elif number % 7 == 0:
        exchange.reset()
    else:
        exchange.answer(exchange.forward())


@contextmanager
def behind_a_slow_provider(redis: Server, directory: Path) -> Iterator[tuple[Deployment, ProviderProxy]]:
    with ProviderProxy() as proxy, running_service(redis, directory, sandbox_url=proxy.url) as service:
        proxy.provider_port = service.sandbox.port
        proxy.behavior = slow
        assert eventually(lambda: len(workers_that_answer(service)) == 2, BOUND)  # all have started
        yield service, proxy


def recorded_results(
    directory: Path, redis: Server, phones: list[str], answers: list[Answer]
) -> Counter[DeliveryStatus]:
    """Return the result that Redis has recorded for every send."""
    loaded = settings.load(directory / "config.toml", {})
    store, keyring = RedisStore(client_from_url(redis.url), RecordingEvents()), loaded.keyring()
    recorded: Counter[DeliveryStatus] = Counter()
    for phone, answer in zip(phones, answers, strict=True):
        if answer.status in (201, 202):
            phone_key = PhoneKey(keyring.phone_hash(phone), loaded.phone_limits())
            found = store.read(phone_key, "shop", keyring.verification_hash(answer.body["verification_id"]))
            recorded.update(send.delivery for send in found.sends)
    return recorded


def test_f34_stop_records_the_result_of_every_send(redis_server: Server, tmp_path: Path) -> None:
    phones = [new_phone() for _ in range(IN_FLIGHT)]
    with (
        behind_a_slow_provider(redis_server, tmp_path) as (service, proxy),
        ThreadPoolExecutor(1) as executor,
    ):

        def request(phone: str) -> Callable[[], Answer]:
            return lambda: service.request(phone)

        requests = executor.submit(at_once, [request(phone) for phone in phones])
        assert eventually(lambda: proxy.requests == IN_FLIGHT, 30)
        began = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        answers = requests.result(BOUND)
        exit_code = service.process.wait(BOUND)
        took = time.monotonic() - began

    statuses = Counter(answer.status for answer in answers)
    recorded = recorded_results(tmp_path, redis_server, phones, answers)
    sent = [json.loads(line) for line in service.log.read_text().splitlines() if '"event":"sms_send"' in line]

    assert exit_code == 0
    assert took < BOUND
    assert sum(statuses.values()) == IN_FLIGHT
    assert set(statuses) == {201, 202, 429}
    assert recorded == {DeliveryStatus.ACCEPTED: statuses[201], DeliveryStatus.UNKNOWN: statuses[202]}
    assert Counter(event["outcome"] for event in sent) == {
        "accepted": statuses[201],
        "unknown": statuses[202],
        "throttled": statuses[429],
    }
    assert len(every_line_of(service)) == len(service.log.read_text().splitlines())
    with redis_server.client() as client:
        assert (
            int((client.get("otp:budget:{sms}:service") or b"0 0").split()[1])
            == statuses[201] + statuses[202]
        )


def every_line_of(service: Deployment) -> list[object]:
    """Return the complete log. Every line is JSON, so there is no traceback and no warning."""
    lines: list[object] = [json.loads(line) for line in service.log.read_text().splitlines()]
    assert '"event":"stopped"' in service.log.read_text()
    return lines


def test_stop_writes_the_last_counts_to_redis(redis_server: Server, tmp_path: Path) -> None:
    with running_service(redis_server, tmp_path) as service:
        verification_ids = {
            phone: service.request(phone).body["verification_id"] for phone in [new_phone() for _ in range(8)]
        }

        def wrong(phone: str, verification_id: str) -> Callable[[], Answer]:
            return lambda: service.verify(phone, verification_id, "000001")

        answers = at_once([wrong(*pair) for pair in verification_ids.items()])
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(BOUND) == 0

    with redis_server.client() as client:
        (key,) = client.keys("otp:wrong_codes:*")
        counted = int((client.get(key) or b"0").split()[0])
    assert [answer.status for answer in answers] == [422] * 8
    assert counted == 8


def test_stop_accepts_no_new_connections_while_it_finishes(redis_server: Server, tmp_path: Path) -> None:
    with (
        behind_a_slow_provider(redis_server, tmp_path) as (service, proxy),
        ThreadPoolExecutor(1) as executor,
    ):
        requests = executor.submit(service.request, new_phone())
        assert eventually(lambda: proxy.requests == 1, 30)
        service.process.send_signal(signal.SIGTERM)

        def is_refused() -> bool:
            try:
                service.get("/healthz")
            except OSError:
                return True
            return False

        assert eventually(is_refused, 5)
        assert requests.result(BOUND).status == 201


def test_connections_that_were_not_accepted_yet_are_served(redis_server: Server, tmp_path: Path) -> None:
    """The worker is busy, here stopped, while they arrive and while its time to close the listener comes."""
    change = lambda text: text.replace("workers = 2", "workers = 1")  # noqa: E731
    with running_service(redis_server, tmp_path, change=change) as service, ThreadPoolExecutor(20) as callers:
        (worker,) = workers_that_answer(service)
        os.kill(worker, signal.SIGSTOP)
        futures = [callers.submit(service.get, "/healthz") for _ in range(20)]
        time.sleep(0.5)
        service.process.send_signal(signal.SIGTERM)
        time.sleep(1.2)
        os.kill(worker, signal.SIGCONT)
        assert [future.result(BOUND).status for future in futures] == [200] * 20
        assert service.process.wait(BOUND) == 0


def test_a_stop_while_workers_start_reaches_each_of_them(redis_server: Server, tmp_path: Path) -> None:
    change = lambda text: text.replace("workers = 2", "workers = 6")  # noqa: E731
    with running_service(redis_server, tmp_path, change=change, page="/healthz") as service:
        began = time.monotonic()
        service.process.terminate()  # one worker answers; others start
        assert service.process.wait(BOUND) == 0
        assert (
            time.monotonic() - began < 9
        )  # a worker that lost the signal would be killed after `stop_timeout`, 10 s
