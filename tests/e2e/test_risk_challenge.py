"""A risk challenge: required, solved by the caller, and valid for one SMS."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.deployment import Answer, Deployment, new_phone, running_service
from support.proof_of_work import solve
from support.redis_servers import redis_binary, running

SMALL = """
[ip_limits]
sends_per_hour = 2
phones_per_day = 2
verified_allowance_ratio = 0.0
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    directory = tmp_path_factory.mktemp("service")
    with (
        running(redis_binary()) as redis,
        running_service(redis, directory, change=lambda text: text + SMALL) as deployment,
    ):
        yield deployment


def ask(service: Deployment, phone: str, address: str, **more: object) -> Answer:
    return service.request(phone, client_ip=address, **more)


def exhaust(service: Deployment, address: str) -> None:
    for _ in range(2):
        assert ask(service, new_phone(), address).status == 201


def test_suspicious_address_gets_an_sms_after_solving_a_challenge(service: Deployment) -> None:
    address, phone = "203.0.113.1", new_phone()
    exhaust(service, address)

    asked = ask(service, phone, address)
    solution = solve(asked.body["challenge"])
    solved = ask(service, phone, address, risk_solution=solution)

    assert (asked.status, asked.body["code"]) == (403, "challenge_required")
    assert solved.status == 201
    assert len(service.inbox(phone)) == 1


def test_solution_is_valid_for_one_sms_to_one_phone(service: Deployment) -> None:
    address, phone, other = "203.0.113.2", new_phone(), new_phone()
    exhaust(service, address)
    solution = solve(ask(service, phone, address).body["challenge"])

    elsewhere = ask(service, other, address, risk_solution=solution)
    first = ask(service, phone, address, risk_solution=solution)
    verification_id = first.body["verification_id"]
    service.post("/otp/cancel", {"phone": phone, "verification_id": verification_id})
    with service.redis.client() as client:
        client.delete(*[key for key in client.scan_iter("otp:{*}") if b":" not in key[4:]])
    again = ask(service, phone, address, risk_solution=solution)

    assert (elsewhere.body["code"], first.status) == ("challenge_required", 201)
    assert again.body["code"] == "challenge_required"
    assert len(service.inbox(phone)) == 1
    assert service.inbox(other) == []


def test_other_addresses_need_no_challenge(service: Deployment) -> None:
    exhaust(service, "203.0.113.3")

    assert ask(service, new_phone(), "203.0.113.4").status == 201
    assert ask(service, new_phone(), "2001:db8::1").status == 201


def test_all_addresses_of_a_64_count_as_one(service: Deployment) -> None:
    for host in ("1", "2"):
        assert ask(service, new_phone(), f"2001:db8:0:7::{host}").status == 201

    assert ask(service, new_phone(), "2001:db8:0:7:ffff::3").body["code"] == "challenge_required"
    assert ask(service, new_phone(), "::ffff:203.0.113.9").status == 201


def test_challenge_stores_no_number_and_no_address(service: Deployment) -> None:
    address, phone = "203.0.113.5", new_phone()
    exhaust(service, address)
    ask(service, phone, address)

    log = service.log.read_text()
    assert phone[3:] not in log
    assert address not in log
    with service.redis.client() as client:
        stored = b"".join(key + (client.get(key) or b"") for key in client.scan_iter())
    assert phone[3:].encode() not in stored
    assert address.encode() not in stored
