"""send-test sends one SMS and shows its receipt and report, but not its code and number."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any
from urllib.request import urlopen

import pytest
from cli.doctor.conftest import PHONE, DoctorRun
from click.testing import CliRunner

from otp_service.cli.main import main
from otp_service.sandbox import SandboxConfig

UNDELIVERED, REFUSED, SILENT = "+8613800007001", "+8613800001001", "+8613800005002"


def inbox(doctor_run: DoctorRun) -> list[dict[str, Any]]:
    with urlopen(f"{doctor_run.sandbox.inbox_url}.json") as answer:  # noqa: S310
        messages: list[dict[str, Any]] = json.load(answer)
    return messages


def test_one_sms_is_sent_and_its_receipt_shown(doctor_run: DoctorRun) -> None:
    result = doctor_run.run("send-test", input=f"{PHONE}\n")

    (message,) = inbox(doctor_run)
    assert result.exit_code == 0, result.output
    assert "accepted after" in result.output
    assert message["biz_id"] in result.output
    assert "+86 138****8000 through main" in result.output
    assert message["code"] not in result.output


def test_report_is_waited_for(doctor_run: DoctorRun) -> None:
    result = doctor_run.run("send-test", "--wait", input=f"{PHONE}\n")

    assert result.exit_code == 0, result.output
    assert "report       delivered" in result.output


def test_report_of_a_failure_says_why(doctor_run: DoctorRun) -> None:
    result = doctor_run.run("send-test", "--wait", input=f"{UNDELIVERED}\n")

    assert result.exit_code == 2, result.output
    assert "undelivered: The number is switched off, suspended or not in use." in result.output


@pytest.mark.parametrize(
    "sandbox_config", [replace(SandboxConfig.default({"testId": "testSecret"}), delivery_seconds=900.0)]
)
def test_wait_for_the_report_has_a_limit(doctor_run: DoctorRun, sandbox_config: SandboxConfig) -> None:
    result = doctor_run.run("send-test", "--wait", "--wait-seconds", "1", input=f"{PHONE}\n")

    assert result.exit_code == 1, result.output
    assert "report       none yet (accepted)" in result.output


def test_rejection_and_unknown_outcome_have_their_own_exit_codes(doctor_run: DoctorRun) -> None:
    refused = doctor_run.run("send-test", input=f"{REFUSED}\n")
    silent = doctor_run.run("send-test", input=f"{SILENT}\n")

    assert (refused.exit_code, silent.exit_code) == (2, 1)
    assert "isv." in refused.output


def test_route_purpose_and_phone_are_checked_before_anything_is_sent(doctor_run: DoctorRun) -> None:
    refused = [
        doctor_run.run("send-test", "--route", "unknown", input=f"{PHONE}\n"),
        doctor_run.run("send-test", "--purpose", "nothing", input=f"{PHONE}\n"),
        doctor_run.run("send-test", input="12345\n"),
        doctor_run.run("send-test", input="+14155552671\n"),
    ]

    assert [done.exit_code for done in refused] == [2] * 4
    assert inbox(doctor_run) == []


def test_unknown_route_is_reported(doctor_run: DoctorRun) -> None:
    assert (
        "is not a route of the configuration"
        in doctor_run.run("send-test", "--route", "unknown", input=f"{PHONE}\n").output
    )


def test_sandbox_can_be_tested(doctor_run: DoctorRun) -> None:
    """It costs nothing; only `serve` rejects it."""
    doctor_run.change('provider = "aliyun-sms"', 'provider = "sandbox"')
    doctor_run.change("sms_per_day = 100000\n", "")

    result = doctor_run.run("send-test", "--wait", input=f"{PHONE}\n")

    assert result.exit_code == 0, result.output
    assert len(inbox(doctor_run)) == 1


def test_failed_connection_is_explained(doctor_run: DoctorRun) -> None:
    doctor_run.sandbox.close()

    result = doctor_run.run("send-test", input=f"{PHONE}\n")

    assert result.exit_code == 2, result.output
    assert "local.not_sent.ConnectionRefusedError: Nothing left this machine" in result.output


def test_invalid_configuration_sends_nothing(doctor_run: DoctorRun) -> None:
    doctor_run.change('sign_name = "云通信测试"', 'sign_name = ""')

    result = doctor_run.run("send-test", input=f"{PHONE}\n")

    assert result.exit_code == 2
    assert "sign_name" in result.output
    assert inbox(doctor_run) == []


def test_purpose_chooses_the_template(doctor_run: DoctorRun) -> None:
    doctor_run.run("send-test", "--purpose", "signup", input=f"{PHONE}\n")

    assert inbox(doctor_run)[0]["template_code"] == "SMS_100000002"


def test_phone_comes_from_standard_input_never_from_an_argument(doctor_run: DoctorRun) -> None:
    command = [sys.executable, "-m", "otp_service", "send-test", "--config", str(doctor_run.path)]
    options: dict[str, Any] = {"input": f"{PHONE}\n", "capture_output": True, "text": True}
    result = subprocess.run(command, timeout=60, check=False, **options)

    assert result.returncode == 0, result.stderr
    assert len(inbox(doctor_run)) == 1
    doctor_run.outputs.append(result.stdout + result.stderr)
    assert CliRunner().invoke(main, ["send-test", PHONE]).exit_code == 2
