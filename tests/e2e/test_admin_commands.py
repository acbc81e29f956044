"""Unlocking and erasing a phone with two workers, a real Redis and the operator's commands."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
from support.deployment import Deployment, new_phone, running_service
from support.phone_in_store import WRONG, Phone, make_phone
from support.redis_servers import Server
from support.waiting import eventually

from otp_service.domain.errors import WrongCode
from otp_service.domain.limits import HOUR
from otp_service.domain.risk import PhoneKey
from otp_service.settings import Settings, load
from otp_service.store import encoding as arguments
from otp_service_client import Forbidden, OtpClient

ADDRESS, OTHER_ADDRESS = "203.0.113.9", "203.0.113.10"


def support_may_unlock(text: str) -> str:
    return text.replace("sms_per_day = 90000\n", "sms_per_day = 90000\nmay_unlock = true\n")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("service")


@pytest.fixture(scope="module")
def service(redis_server: Server, directory: Path) -> Iterator[Deployment]:
    """Run without Aliyun's own flow control, which would still know an erased phone."""
    with running_service(
        redis_server,
        directory,
        change=support_may_unlock,
        sandbox_config=lambda config, _: replace(config, flow_limits=()),
    ) as deployment:
        yield deployment


@pytest.fixture(scope="module")
def settings(service: Deployment, directory: Path) -> Settings:
    return load(directory / "config.toml", {})


@pytest.fixture
def client(redis_server: Server) -> Iterator[redis.Redis]:
    with redis_server.client() as client:
        yield client


def command(directory: Path, *arguments: str, typed: str) -> str:
    name, *options = arguments
    line = [sys.executable, "-m", "otp_service", name, "--config", str(directory / "config.toml"), *options]
    return subprocess.run(line, input=typed, capture_output=True, text=True, timeout=60, check=True).stdout


def locked(client: redis.Redis, settings: Settings, number: str) -> Phone:
    """Use up a hundred attempts, so long ago that only the lock remains."""
    phone = make_phone(client)
    phone.phone_key = PhoneKey(settings.keyring().phone_hash(number), phone.phone_key.limits)
    quick = phone.with_limits(restrict_after_failures=100)
    quick.pass_time(-40 * 24 * HOUR)
    for _ in range(20):
        verification = quick.open()
        for _ in range(5):
            with pytest.raises(WrongCode):
                quick.submit(verification, WRONG)
        quick.pass_time(8 * HOUR)
    return phone


def by_call(service: Deployment, directory: Path, number: str) -> None:
    with OtpClient(service.url, service.secrets.secret_key) as otp:
        otp.unlock(number)


def by_command(service: Deployment, directory: Path, number: str) -> None:
    assert "was locked" in command(directory, "unlock", typed=number)


@pytest.mark.parametrize("unlock", [by_call, by_command])
def test_locked_phone_is_unlocked_and_verified_again(
    service: Deployment,
    directory: Path,
    settings: Settings,
    client: redis.Redis,
    unlock: Callable[[Deployment, Path, str], None],
) -> None:
    number = new_phone()
    locked(client, settings, number)
    refused = service.request(number)
    sms_before = len(service.inbox(number))

    unlock(service, directory, number)

    assert (refused.status, refused.body["limit"], sms_before) == (429, "phone_locked", 0)
    verification = service.request(number)
    assert (verification.status, verification.body["attempts_left"]) == (201, 5)
    approved = service.verify(number, verification.body["verification_id"], service.code(number))
    assert (approved.status, approved.body["phone"]) == (200, number)


def unlocks(service: Deployment, phone_hash: str) -> list[dict[str, object]]:
    lines = service.log.read_text().split("\n")[:-1]  # the last one may be incomplete
    events = [json.loads(line) for line in lines]
    return [
        event for event in events if event["event"] == "phone_unlocked" and event["phone_hash"] == phone_hash
    ]


def test_unlock_by_call_is_in_the_log(service: Deployment, settings: Settings) -> None:
    number = new_phone()
    assert service.post("/otp/unlock", {"phone": number}).status == 204

    phone_hash = settings.keyring().phone_hash(number)
    assert eventually(lambda: unlocks(service, phone_hash))
    (event,) = unlocks(service, phone_hash)
    assert event["client"] == "shop"
    assert event["request_id"]
    assert number[3:] not in service.log.read_text()


def test_client_without_the_permission_cannot_unlock(
    redis_server: Server, tmp_path: Path, client: redis.Redis
) -> None:
    number = new_phone()
    with running_service(redis_server, tmp_path) as plain:
        phone = locked(client, load(tmp_path / "config.toml", {}), number)
        before = {key: client.get(key) for key in phone.stored_keys()}
        with OtpClient(plain.url, plain.secrets.secret_key) as otp, pytest.raises(Forbidden):
            otp.unlock(number)

        assert plain.request(number).body["limit"] == "phone_locked"
        assert before == {key: client.get(key) for key in phone.stored_keys()}


def stored(client: redis.Redis, phone_hash: str) -> list[bytes]:
    return [key for key in client.scan_iter(count=1000) if phone_hash.encode() in key]


def address_logs(client: redis.Redis) -> list[bytes]:
    return [client.get(key) or b"" for key in client.scan_iter("otp:address:*", count=1000)]


def shown(answer: Any) -> dict[str, object]:
    """Return an answer without its times and ids."""
    mine = {"verification_id", "phone_masked", "expires_at", "resend_at"}
    return {name: value for name, value in answer.body.items() if name not in mine}


def test_erased_phone_leaves_no_key_and_is_then_unknown(
    service: Deployment, directory: Path, settings: Settings, client: redis.Redis
) -> None:
    number = new_phone()
    phone_hash = settings.keyring().phone_hash(number)
    short = arguments.short_phone_hash(phone_hash).encode()
    verification_id = service.request(number, client_ip=ADDRESS).body["verification_id"]
    approved = service.verify(number, verification_id, service.code(number))
    assert service.post("/otp/redeem", {"proof": approved.body["proof"], "purpose": "login"}).status == 200
    service.post("/otp/status", {"phone": number, "verification_id": verification_id})
    assert service.request(number, client_ip=OTHER_ADDRESS).status == 429  # but counted for the IP address
    assert len(stored(client, phone_hash)) >= 3
    assert any(short in log for log in address_logs(client))

    output = command(directory, "erase-phone", "--yes", typed=number)

    assert "is erased" in output
    assert stored(client, phone_hash) == []
    assert [log for log in address_logs(client) if short in log] == []
    again, stranger = service.request(number), service.request(new_phone())
    assert again.status == stranger.status == 201
    assert shown(again) == shown(stranger)
    assert service.verify(number, verification_id, "000000").body["code"] == "verification_not_found"
