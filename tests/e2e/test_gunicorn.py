"""The service under gunicorn's own command behaves as under `otp-service serve`."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
from pathlib import Path
from urllib.request import urlopen

from client.test_faults import self_signed
from e2e.test_reload import configure, events, refuse, reload, workers
from support.deployment import GUNICORN, Deployment, new_phone, running_service
from support.redis_servers import Server, free_port
from support.waiting import eventually

from otp_service import __version__


def verify_a_phone(service: Deployment) -> None:
    phone = new_phone()
    response = service.request(phone)
    assert response.status == 201, response.body
    assert service.verify(phone, response.body["verification_id"], service.code(phone)).status == 200


def test_gunicorn_serves_counts_reloads_and_stops(redis_server: Server, tmp_path: Path) -> None:
    page = free_port()

    def change(text: str) -> str:
        return f"{text}\n[metrics]\nport = {page}\n"

    with running_service(redis_server, tmp_path, change=change, command=GUNICORN) as service:
        assert eventually(lambda: len(workers(service)) == 2, 20)
        first = workers(service)
        verify_a_phone(service)

        configure(service, ("sms_per_day = 90000", "sms_per_day = -1"))
        assert refuse(service)
        assert workers(service) == first
        verify_a_phone(service)

        configure(service, ("sms_per_day = -1", "sms_per_day = 80000"))
        reload(service)
        assert not workers(service) & first
        verify_a_phone(service)

        def approvals() -> float:
            with urlopen(f"http://127.0.0.1:{page}/metrics") as answer:
                lines = [
                    line
                    for line in answer.read().decode().splitlines()
                    if "verifications_approved_total{" in line
                ]
            return sum(float(line.split()[-1]) for line in lines)

        assert eventually(lambda: approvals() == 3, 10)

        os.kill(service.process.pid, signal.SIGTERM)
        assert service.process.wait(20) == 0
    (started,) = events(service, "started")
    assert started["version"] == __version__
    assert (started["workers"], started["worker_connections"]) == (2, 64)
    assert len(events(service, "stopped")) == 1


def test_command_line_flags_override_the_configuration(redis_server: Server, tmp_path: Path) -> None:
    with running_service(redis_server, tmp_path, command=GUNICORN):
        pass
    config = tmp_path / "config.toml"
    port = free_port()
    log = tmp_path / "other.log"
    certificate, key = self_signed(tmp_path)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*GUNICORN, "--bind", f"127.0.0.1:{port}", "--certfile", certificate, "--keyfile", key],
            env={**os.environ, "OTP_SERVICE_CONFIG": str(config)},
            stdout=output,
        )
    try:
        assert eventually(lambda: f'"port":{port}' in log.read_text().replace(" ", ""), 20)
        trusted = ssl.create_default_context(cafile=certificate)
        with urlopen(f"https://127.0.0.1:{port}/healthz", timeout=20, context=trusted) as response:
            assert response.status == 200
    finally:
        process.terminate()
        process.wait(20)


def test_invalid_configuration_ends_it_with_one_message(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[server]\nport = 70000\n")

    ended = subprocess.run(
        GUNICORN,
        env={**os.environ, "OTP_SERVICE_CONFIG": str(config)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 2
    assert "server.port" in ended.stderr
    assert "Traceback" not in ended.stderr
