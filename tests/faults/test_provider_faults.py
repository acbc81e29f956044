"""Failures of the provider: which SMS arrive, and which cooldowns and budgets are used.

The service is the real one: two worker processes and a real Redis. A proxy is between it and the sandbox.
"""

from __future__ import annotations

import gzip
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from faults import provider_proxy
from faults.provider_proxy import Behavior, ProviderProxy
from sms.wire import response
from support.deployment import Answer, Deployment, at_once, new_phone, running_service, workers
from support.redis_servers import Server
from support.waiting import eventually

TTL = 300


def with_short_timeouts(text: str) -> str:
    """Use shorter time-outs."""
    return text.replace("[log]", "[sms]\nconnect_timeout = 0.5\nread_timeout = 0.7\n[log]")


@dataclass
class Bench:
    """A service and the proxy in front of its provider."""

    service: Deployment
    proxy: ProviderProxy

    def sms(self, phone: str) -> int:
        """Return the number of SMS that reached *phone*."""
        return len(self.service.inbox(phone))

    def request(self, phone: str, behavior: Behavior) -> Answer:
        self.proxy.behavior = behavior
        try:
            return self.service.request(phone)
        finally:
            self.proxy.behavior = provider_proxy.pass_through

    def budget(self) -> int:
        """Return the number of SMS that today's budget of the service has counted."""
        with self.service.redis.client() as client:
            stored = client.get("otp:budget:{sms}:service") or b"0 0"
        return int(stored.split()[1])

    def states(self, phone: str, verification_id: str) -> list[str]:
        body = {"phone": phone, "verification_id": verification_id}
        return [send["delivery"] for send in self.service.post("/otp/status", body).body["sends"]]


@contextmanager
def running_bench(
    redis: Server, directory: Path, change: Callable[[str], str] = with_short_timeouts
) -> Iterator[Bench]:
    with (
        ProviderProxy() as proxy,
        running_service(redis, directory, change=change, sandbox_url=proxy.url) as service,
    ):
        proxy.provider_port = service.sandbox.port
        yield Bench(service, proxy)


def with_one_worker(text: str) -> str:
    """Use one worker, so that an accepted SMS closes the only circuit breaker."""
    return with_short_timeouts(text).replace("workers = 2", "workers = 1")


@pytest.fixture(scope="module")
def shared_bench(redis_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with running_bench(redis_server, tmp_path_factory.mktemp("bench"), with_one_worker) as opened:
        yield opened


@pytest.fixture
def bench(shared_bench: Bench) -> Bench:
    """The shared service after an accepted SMS, so that failures of the previous test do not count."""
    assert shared_bench.service.request(new_phone()).status == 201
    shared_bench.proxy.requests = 0
    return shared_bench


@pytest.fixture
def own_bench(redis_server: Server, tmp_path: Path) -> Iterator[Bench]:
    """A service for one test, which leaves it unable to send or needs both workers."""
    with running_bench(redis_server, tmp_path) as opened:
        yield opened


def may_request_at_once(bench: Bench, phone: str) -> bool:
    """Return whether *phone* has no cooldown, so that the next request sends."""
    return bench.service.request(phone).status == 201


# ── F19: nothing was sent ──


def test_f19_refused_connection_uses_no_quota(own_bench: Bench) -> None:
    phone, before = new_phone(), own_bench.budget()
    own_bench.proxy.refuse()

    answers = [own_bench.service.request(phone) for _ in range(2)]

    assert [(a.status, a.body["code"]) for a in answers] == [(503, "provider_unavailable")] * 2
    assert all(1 <= int(a.headers["retry-after"]) <= 5 for a in answers)
    assert (own_bench.sms(phone), own_bench.budget()) == (0, before)


def test_f19_unresolvable_name_uses_no_quota(redis_server: Server, tmp_path: Path) -> None:
    with running_service(
        redis_server, tmp_path, change=with_short_timeouts, sandbox_url="https://no-such-host.invalid"
    ) as service:
        phone = new_phone()
        answers = [service.request(phone) for _ in range(2)]

    assert [(a.status, a.body["code"]) for a in answers] == [(503, "provider_unavailable")] * 2


def test_f19_server_without_tls_uses_no_quota(redis_server: Server, tmp_path: Path) -> None:
    with ProviderProxy() as plain:
        url = plain.url.replace("http://", "https://")
        with running_service(redis_server, tmp_path, change=with_short_timeouts, sandbox_url=url) as service:
            phone = new_phone()
            answers = [service.request(phone) for _ in range(2)]

    assert [(a.status, a.body["code"]) for a in answers] == [(503, "provider_unavailable")] * 2


# ── F20–F22: the outcome is unknown ──

UNKNOWN: dict[str, tuple[Behavior, int]] = {
    "f20 swallowed": (provider_proxy.drop_request, 0),
    "f21 no answer after it acted": (provider_proxy.drop_answer, 1),
    "f22 reset within the answer": (provider_proxy.reset_during_answer, 1),
    "f22 half an answer": (provider_proxy.truncate_answer, 1),
    "f22 reset before it acted": (provider_proxy.reset_at_once, 0),
}


@pytest.mark.parametrize(("behavior", "sms"), UNKNOWN.values(), ids=UNKNOWN.keys())
def test_f20_f21_f22_unknown_outcome_is_kept_and_never_sent_again(
    bench: Bench, behavior: Behavior, sms: int
) -> None:
    phone, before = new_phone(), bench.budget()

    answer = bench.request(phone, behavior)
    again = bench.service.request(phone)

    assert (answer.status, answer.body["delivery"]) == (202, "unknown")
    assert (again.status, again.body["code"]) == (429, "cooldown_active")
    assert bench.sms(phone) == sms
    assert bench.proxy.requests == 1
    assert bench.budget() == before + 1
    verification_id = answer.body["verification_id"]
    if sms:
        assert bench.service.verify(phone, verification_id, bench.service.code(phone)).status == 200
    else:
        assert bench.states(phone, verification_id) == ["unknown"]


# ── F23: malformed answers ──

OK = b'{"Code":"OK","BizId":"1^0","RequestId":"F655A8D5-B967-440B-8683-DAD6FF8DE990"}'
BOMB = gzip.compress(b'{"Code":"OK","x":"' + b"0" * 10_000_000 + b'"}')
NO_ANSWERS = {
    "500": response(OK, 500),
    "502 page": response(b"<html><h1>Bad Gateway</h1></html>", 502),
    "503": response(b'{"Code":"ServiceUnavailable"}', 503),
    "504": response(b"", 504),
    "a page": response(b"<html>"),
    "empty": response(b""),
    "no code": response(b"{}"),
    "lower case": response(b'{"Code":"ok"}'),
    "a number": response(b'{"Code":1}'),
    "a list": response(b'["OK"]'),
    "redirect": response(OK, 301, "Location: http://127.0.0.1:9/"),
    "bomb": response(
        gzip.compress(b'{"Code":"OK","x":"' + b"0" * 10_000_000 + b'"}'), 200, "Content-Encoding: gzip"
    ),
}


@pytest.mark.parametrize("data", NO_ANSWERS.values(), ids=NO_ANSWERS.keys())
def test_f23_only_an_explicit_ok_counts_as_sent(bench: Bench, data: bytes) -> None:
    phone, before = new_phone(), bench.budget()

    answer = bench.request(phone, provider_proxy.forge_answer(data))

    assert (answer.status, answer.body["delivery"]) == (202, "unknown")
    assert bench.proxy.requests == 1
    assert (bench.sms(phone), bench.budget()) == (0, before + 1)
    assert "Gateway" not in answer.text


# ── F26, F27: the provider rejects ──


def refusal(code: str, message: str = "", status: int = 200) -> Behavior:
    body = json.dumps({"Code": code, "Message": message, "RequestId": "F655A8D5"}, ensure_ascii=False)
    return provider_proxy.forge_answer(response(body.encode(), status))


WINDOWS = {"分钟": 60, "小时": 3_600, "天": 86_400}


@pytest.mark.parametrize("window", WINDOWS)
def test_f26_flow_control_of_a_number_is_reported_with_its_window(bench: Bench, window: str) -> None:
    phone, before = new_phone(), bench.budget()
    behavior = refusal("isv.BUSINESS_LIMIT_CONTROL", f"触发{window}级流控Permits:1")

    answer = bench.request(phone, behavior)
    again = bench.service.request(phone)

    assert (answer.status, answer.body["code"]) == (429, "provider_rate_limited")
    assert 1 <= answer.body["retry_after"] <= WINDOWS[window]
    assert (again.status, again.body["code"]) == (429, "provider_rate_limited")
    assert again.body["retry_after"] <= answer.body["retry_after"]
    assert bench.proxy.requests == 1
    assert bench.budget() == before
    assert "流控" not in answer.text


OURS = ["isv.AMOUNT_NOT_ENOUGH", "isv.OUT_OF_SERVICE", "isv.DAY_LIMIT_CONTROL", "isv.SMS_SIGNATURE_ILLEGAL"]


@pytest.mark.parametrize("code", OURS)
def test_f26_f27_account_errors_suspend_the_route_and_use_no_quota(own_bench: Bench, code: str) -> None:
    phone, before = new_phone(), own_bench.budget()

    answer = own_bench.request(phone, refusal(code, "余额不足"))

    assert (answer.status, answer.body["code"]) == (502, "provider_misconfigured")
    assert own_bench.proxy.requests == 1
    assert (own_bench.sms(phone), own_bench.budget()) == (0, before)
    assert code not in answer.text
    assert "余额" not in answer.text
    assert eventually(lambda: f'"provider_code":"{code}"' in own_bench.service.log.read_text())
    assert eventually(lambda: '"event":"route_suspended"' in own_bench.service.log.read_text())


def test_f26_throttled_account_gets_a_retry_after_and_no_further_calls(bench: Bench) -> None:
    phone, before = new_phone(), bench.budget()

    answer = bench.request(phone, refusal("Throttling.User", status=400))

    assert (answer.status, answer.body["code"]) == (503, "provider_unavailable")
    assert 1 <= int(answer.headers["retry-after"]) <= 5
    assert bench.proxy.requests == 1
    assert bench.budget() == before
    assert may_request_at_once(bench, phone)
    assert bench.sms(phone) == 1


@pytest.mark.parametrize("code", ["isv.MOBILE_NUMBER_ILLEGAL", "isv.BLACK_KEY_CONTROL_LIMIT"])
def test_f27_number_without_sms_is_reported_and_keeps_its_cooldown(bench: Bench, code: str) -> None:
    phone, before = new_phone(), bench.budget()

    answer = bench.request(phone, refusal(code))
    again = bench.service.request(phone)

    assert (answer.status, answer.body["code"]) in {
        (422, "destination_rejected"),
        (502, "provider_misconfigured"),
    }
    if answer.status == 422:
        assert again.body["code"] == "cooldown_active"
    assert bench.budget() == before + (again.status == 201)
    assert bench.service.get("/readyz").status == 200


# ── F28, F29: the process dies ──


def kill_workers(service: Deployment) -> None:
    """Kill all workers, as the kernel does when memory runs out, and wait for new ones."""
    old = workers(service)
    assert len(old) == 2
    for pid in old:
        os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: len(set(workers(service)) - set(old)) == 2, 20)
    assert eventually(lambda: ready(service), 20)


def ready(service: Deployment) -> bool:
    try:
        return service.get("/readyz").status == 200
    except OSError:
        return False


@contextmanager
def dying_request(bench: Bench, phone: str, behavior: Behavior) -> Iterator[None]:
    """Request a code, and kill the workers while the provider is held; the caller gets no answer."""

    def make_request() -> None:
        with suppress(OSError):
            request_with_key(bench, phone)

    bench.proxy.behavior = behavior
    request = threading.Thread(target=make_request)
    request.start()
    assert bench.proxy.request_held.wait(10)
    bench.proxy.behavior = provider_proxy.pass_through
    kill_workers(bench.service)
    yield
    request.join(10)


def request_with_key(bench: Bench, phone: str) -> Answer:
    """Request a code with an idempotency key, so that the call can be repeated if its answer is lost."""
    return bench.service.post(
        "/otp/request", {"phone": phone, "purpose": "login"}, Idempotency_Key=f"k{phone}"
    )


def request_again(bench: Bench, phone: str) -> str:
    """Return the verification that the lost call created, once its idempotency record is abandoned."""
    assert eventually(lambda: request_with_key(bench, phone).status == 202, 20)
    return str(request_with_key(bench, phone).body["verification_id"])


def with_long_timeouts(text: str) -> str:
    """Use time-outs that are long enough to hold the provider until the worker dies."""
    return text.replace("[log]", "[sms]\nread_timeout = 5.0\n[log]")


@pytest.mark.parametrize(
    ("behavior", "sms"),
    [(provider_proxy.drop_request, 0), (provider_proxy.drop_answer, 1)],
    ids=["f28 before the send", "f29 after the send"],
)
def test_f28_f29_killed_worker_leaves_all_counts_correct(
    redis_server: Server, tmp_path: Path, behavior: Behavior, sms: int
) -> None:
    with running_bench(redis_server, tmp_path, with_long_timeouts) as bench:
        phone, before, others = new_phone(), bench.budget(), open_verifications(bench)
        with dying_request(bench, phone, behavior):
            (new_hash,) = open_verifications(bench) - others
            again = bench.service.request(phone)

            assert (again.status, again.body["code"]) == (429, "cooldown_active")
            assert again.body["retry_after"] <= 60
            assert bench.sms(phone) == sms
            assert bench.budget() == before + 1
            opened = request_again(bench, phone)
            assert bench.service.verification_hash(opened) == new_hash
            if sms:
                assert bench.service.verify(phone, opened, bench.service.code(phone)).status == 200
            else:
                assert bench.states(phone, opened) == ["sending"]


def open_verifications(bench: Bench) -> set[str]:
    """Return the hashes of all pending verifications."""
    with bench.service.redis.client() as client:
        keys = [key.decode() for key in client.scan_iter("otp:{*}:*") if client.get(key)[1:2] == b"p"]
    return {key.rpartition(":")[2] for key in keys}


# ── the limit of sends in flight ──


def with_two_sends(text: str) -> str:
    """Use one worker that may have two sends in flight."""
    text = text.replace("workers = 2", "workers = 1")
    return text.replace("[log]", "[sms]\nread_timeout = 5.0\nmax_in_flight = 2\n[log]")


def test_send_beyond_the_limit_is_rejected_at_once_and_uses_no_quota(
    redis_server: Server, tmp_path: Path
) -> None:
    with running_bench(redis_server, tmp_path, with_two_sends) as bench:
        verification_id = bench.request(phone := new_phone(), provider_proxy.pass_through).body[
            "verification_id"
        ]
        code, before = bench.service.code(phone), bench.budget()
        bench.proxy.behavior = provider_proxy.drop_request
        threads = [threading.Thread(target=bench.service.request, args=(new_phone(),)) for _ in range(2)]
        for thread in threads:
            thread.start()
        assert eventually(lambda: bench.proxy.requests == 3)

        began = time.monotonic()
        excess = bench.service.request(late := new_phone())
        took = time.monotonic() - began
        verified = bench.service.verify(phone, verification_id, code)

        for thread in threads:
            thread.join()
        assert (excess.status, excess.body["code"]) == (503, "provider_unavailable")
        assert 1 <= int(excess.headers["retry-after"]) <= 5
        assert took < 4  # the sends in flight end after 5
        assert verified.status == 200
        assert bench.budget() == before + 2
        bench.proxy.behavior = provider_proxy.pass_through
        assert may_request_at_once(bench, late)


# ── F30: the same request many times ──


def test_f30_twenty_requests_without_a_key_are_one_sms(own_bench: Bench) -> None:
    phone = new_phone()

    answers = at_once([lambda: own_bench.service.request(phone) for _ in range(20)])

    assert Counter(answer.status for answer in answers) == {201: 1, 429: 19}
    assert own_bench.sms(phone) == 1


def test_f30_twenty_requests_under_one_key_are_one_sms_and_one_answer(own_bench: Bench) -> None:
    phone = new_phone()
    body = {"phone": phone, "purpose": "login"}

    def make_request() -> Answer:
        answer = own_bench.service.post("/otp/request", body, **{"Idempotency-Key": "double-click"})
        while answer.status == 409:
            time.sleep(0.05)
            answer = own_bench.service.post("/otp/request", body, **{"Idempotency-Key": "double-click"})
        return answer

    answers = at_once([make_request for _ in range(20)])

    assert {answer.status for answer in answers} == {201}
    assert len({answer.body["verification_id"] for answer in answers}) == 1
    assert sum("idempotency-replayed" in answer.headers for answer in answers) == 19
    assert own_bench.sms(phone) == 1
