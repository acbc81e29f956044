"""The alarm for wrong codes: browsers must solve a challenge, backends need not; operators clear it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import redis
from attacks.target import ORIGIN, Answer, Target, browser, new_phone, running_target, with_browser
from click.testing import CliRunner, Result
from prometheus_client.parser import text_string_to_metric_families
from support.deployment import exchange
from support.redis_servers import free_port
from support.waiting import eventually

from otp_service.cli.main import main
from otp_service.store import keys
from otp_service.store.encoding import day

WRONG = 30


@pytest.fixture(scope="module")
def metrics_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def target_with_alarm(metrics_port: int) -> Iterator[Target]:
    """A service with the wrong-code alarm on, after many guesses."""

    def quick(text: str) -> str:
        tables = (
            f"[global_failures]\nmin_failures = {WRONG}\nsevere_min_failures = 1000\n"
            f"[metrics]\nport = {metrics_port}\n"
        )
        return with_browser(text).replace("[log]", f"{tables}[log]")

    with running_target(change=quick) as running:
        running.clients["browser"] = browser(running)
        for _ in range(WRONG // 5 + 1):
            phone = new_phone()
            verification_id = from_page(running, phone).body["verification_id"]
            right = running.code(phone)
            body = {"phone": phone, "verification_id": verification_id}
            for number in range(5):
                wrong = f"{(int(right) + number + 1) % 10**6:06d}"
                running.clients["browser"].call("/otp/verify", {**body, "code": wrong}, Origin=ORIGIN)
        assert eventually(lambda: warnings(running) == ["wrong_code_alarm"])
        yield running


def from_page(target: Target, phone: str) -> Answer:
    return target.clients["browser"].call("/otp/request", {"phone": phone, "purpose": "login"}, Origin=ORIGIN)


def from_backend(target: Target, **fields: object) -> Answer:
    return target.shop.call("/otp/request", {"phone": new_phone(), "purpose": "login", **fields})


def warnings(target: Target) -> list[str]:
    """Return the warnings that all workers show."""
    answers = [target.deployment.get("/readyz").body["warnings"] for _ in range(30)]
    return [name for name in ("wrong_code_alarm",) if all(name in answer for answer in answers)]


def is_clear_everywhere(target: Target) -> bool:
    """Return whether no worker shows the warning; a call may reach any of them."""
    answers = [target.deployment.get("/readyz").body["warnings"] for _ in range(30)]
    return not any("wrong_code_alarm" in warnings for warnings in answers)


def command(target: Target, *arguments: str, typed: str = "") -> Result:
    name, *options = arguments
    line = [name, "--config", str(target.deployment.log.with_name("config.toml")), *options]
    return CliRunner().invoke(main, line, input=typed)


def test_backends_are_not_affected_by_the_alarm(target_with_alarm: Target) -> None:
    assert (asked := from_page(target_with_alarm, new_phone())).body["code"] == "challenge_required"
    assert asked.status == 403
    assert from_backend(target_with_alarm).status == 201
    assert from_backend(target_with_alarm, accepts_challenge=False).status == 201
    assert from_backend(target_with_alarm, known_phone=True).status == 201
    assert from_backend(target_with_alarm, accepts_challenge=True).body["code"] == "challenge_required"


def metric(name: str, port: int) -> list[float]:
    """Return the values of all series of the metric *name*, as Prometheus reads them."""
    text = exchange("GET", f"http://127.0.0.1:{port}/metrics", None, {}).text
    families = text_string_to_metric_families(text)
    return [sample.value for family in families for sample in family.samples if sample.name == name]


def test_operators_see_the_alarm_in_the_log_metrics_readiness_and_doctor(
    target_with_alarm: Target, metrics_port: int
) -> None:
    shown = command(target_with_alarm, "alarm")
    facts = json.loads(command(target_with_alarm, "alarm", "--json").stdout)
    phone = command(target_with_alarm, "limits", typed=new_phone())
    address = command(target_with_alarm, "limits", "--address", "203.0.113.9", "--json")
    doctor = command(target_with_alarm, "doctor", "--json")

    assert shown.exit_code == 0
    assert "on: browsers solve a risk challenge" in shown.stdout
    assert facts["wrong"] >= WRONG
    assert {**facts, "wrong": 0, "approved": 0} == {
        "alarm_level": 1,
        "wrong": 0,
        "approved": 0,
        "thresholds": {"1": WRONG, "2": 1000},
        "cleared": False,
    }
    assert "level 1: browsers solve a risk challenge first (service_wrong_codes)" in phone.stdout
    assert json.loads(address.stdout)["alarm_level"] == 1
    (check,) = [one for one in json.loads(doctor.stdout)["checks"] if one["check"] == "alarm"]
    assert check["status"] == "warn"
    assert "otp-service alarm" in check["fix"]
    assert eventually(lambda: metric("otp_service_global_failure_level", metrics_port) == [1], 10)


def test_cleared_alarm_ends_in_all_workers_and_is_logged(target_with_alarm: Target) -> None:
    with target_with_alarm.redis.client() as client:
        before = client.get(today(target_with_alarm, client))
        refused = command(target_with_alarm, "alarm", "--clear", typed="n\n")
        kept = client.get(today(target_with_alarm, client))
        cleared = command(target_with_alarm, "alarm", "--clear", "--yes")

    assert (refused.exit_code, kept) == (1, before)
    assert (cleared.exit_code, cleared.stdout.splitlines()[-1]) == (0, "Cleared.")
    event = json.loads(cleared.stderr.splitlines()[-1])
    assert (event["event"], event["alarm_level"]) == ("alarm_cleared", 1)
    assert event["wrong"] >= WRONG
    assert eventually(lambda: is_clear_everywhere(target_with_alarm), 5)
    assert {from_page(target_with_alarm, new_phone()).status for _ in range(6)} == {201}
    assert command(target_with_alarm, "alarm").stdout.startswith("wrong-code alarm  off")


def today(target: Target, client: redis.Redis) -> str:
    seconds, _ = client.time()
    return keys.global_failures(day(seconds))
