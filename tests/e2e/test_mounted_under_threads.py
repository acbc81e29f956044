"""The blueprint in somebody else's application, under servers with plain threads."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from faults.provider_proxy import ProviderProxy, drop_answer, pass_through
from support import redis_servers
from support.deployment import Answer, Deployment, new_phone, running_service

THREADS = 16

HOST = """
import os, pathlib, flask, redis
from otp_service import create_blueprint
from otp_service.settings import load

settings = load(pathlib.Path(os.environ["OTP_SERVICE_CONFIG"]), {})
port, client = settings.server.port, redis.Redis.from_url(settings.redis.url.get_secret_value())
app = flask.Flask("host")
app.register_blueprint(create_blueprint(settings, redis=client))
"""

SERVERS = {
    "gthread": f"""
os.execv(sys.executable, [
    sys.executable, "-m", "gunicorn", "--no-control-socket", "--worker-class", "gthread",
    "--threads", "{THREADS}", "--bind", f"127.0.0.1:{{host.port}}", "--chdir", sys.path[0], "host:app",
])
""",
    "waitress": f"""
import waitress
waitress.serve(host.app, host="127.0.0.1", port=host.port, threads={THREADS})
""",
}


@pytest.fixture(scope="module", params=SERVERS)
def mounted(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Deployment, ProviderProxy]]:
    """A host application under one server, with a Redis of its own and a proxy before the provider."""
    directory: Path = tmp_path_factory.mktemp(request.param)
    (directory / "host.py").write_text(HOST)
    script = f"import os, sys; sys.path.insert(0, {str(directory)!r}); import host{SERVERS[request.param]}"
    with ExitStack() as stack:
        redis = stack.enter_context(redis_servers.running(redis_servers.redis_binary()))
        proxy = stack.enter_context(ProviderProxy())
        service = stack.enter_context(
            running_service(
                redis,
                directory,
                change=lambda text: f"{text}\n[sms]\nread_timeout = 1.0\nconnect_timeout = 0.5\n",
                sandbox_url=proxy.url,
                page="/healthz",
                command=(sys.executable, "-c", script),
            )
        )
        proxy.provider_port = service.sandbox.port
        yield service, proxy


def verify(service: Deployment, phone: str) -> Answer:
    """Request a code, verify it and redeem the proof."""
    response = service.request(phone)
    assert response.status == 201, response.text
    approved = service.verify(phone, response.body["verification_id"], service.code(phone))
    assert approved.status == 200, approved.text
    return service.post("/otp/redeem", {"proof": approved.body["proof"], "purpose": "login"})


def test_calls_at_the_same_time_do_not_mix(mounted: tuple[Deployment, ProviderProxy]) -> None:
    service, _ = mounted
    phones = [new_phone() for _ in range(2 * THREADS)]
    with ThreadPoolExecutor(THREADS) as callers:
        redeemed = list(callers.map(lambda phone: verify(service, phone), phones))

    assert [response.body["phone"] for response in redeemed] == phones


def test_provider_that_does_not_answer_ends_the_send_in_time(
    mounted: tuple[Deployment, ProviderProxy],
) -> None:
    """Other calls are answered meanwhile, and nothing is sent a second time."""
    service, proxy = mounted
    waiting, other = new_phone(), new_phone()
    sent = service.request(other)
    proxy.behavior = drop_answer
    try:
        with ThreadPoolExecutor(1) as caller:
            began = time.monotonic()
            unanswered = caller.submit(service.request, waiting)
            assert proxy.request_held.wait(10)
            assert service.verify(other, sent.body["verification_id"], service.code(other)).status == 200
            assert not unanswered.done()
            response = unanswered.result()
            seconds = time.monotonic() - began
    finally:
        proxy.release.set()
        proxy.behavior = pass_through

    assert (response.status, response.body["delivery"]) == (202, "unknown")
    assert seconds < 5
    assert len(service.inbox(waiting)) == 1


def test_redis_that_does_not_answer_ends_the_call_in_time(mounted: tuple[Deployment, ProviderProxy]) -> None:
    service, _ = mounted
    os.kill(service.redis.process.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        response = service.request(new_phone())
        seconds = time.monotonic() - began
    finally:
        os.kill(service.redis.process.pid, signal.SIGCONT)

    assert (response.status, response.body["code"]) == (503, "store_unavailable")
    assert seconds < 5
    assert verify(service, new_phone()).status == 200
