"""send-test: one real SMS, whose receipt and report are shown, and whose code and number are not."""

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


def inbox(practice: DoctorRun) -> list[dict[str, Any]]:
    with urlopen(f"{practice.sandbox.inbox_url}.json") as answer:  # noqa: S310
        messages: list[dict[str, Any]] = json.load(answer)
    return messages


def test_one_sms_is_sent_and_its_receipt_shown(practice: DoctorRun) -> None:
    done = practice.run("send-test", input=f"{PHONE}\n")

    (message,) = inbox(practice)
    assert done.exit_code == 0, done.output
    assert "accepted after" in done.output
    assert message["biz_id"] in done.output
    assert "+86 138****8000 through main" in done.output
    assert message["code"] not in done.output


def test_report_is_waited_for(practice: DoctorRun) -> None:
    done = practice.run("send-test", "--wait", input=f"{PHONE}\n")

    assert done.exit_code == 0, done.output
    assert "report       delivered" in done.output


def test_report_of_a_failure_says_why(practice: DoctorRun) -> None:
    done = practice.run("send-test", "--wait", input=f"{UNDELIVERED}\n")

    assert done.exit_code == 2, done.output
    assert "undelivered: The number is switched off, suspended or not in use." in done.output


@pytest.mark.parametrize(
    "sandbox_config", [replace(SandboxConfig.default({"testId": "testSecret"}), delivery_seconds=900.0)]
)
def test_report_that_does_not_come_is_not_waited_for_for_ever(
    practice: DoctorRun, sandbox_config: SandboxConfig
) -> None:
    done = practice.run("send-test", "--wait", "--wait-seconds", "1", input=f"{PHONE}\n")

    assert done.exit_code == 1, done.output
    assert "report       none yet (accepted)" in done.output


def test_refusal_and_unknown_outcome_have_exit_codes_of_their_own(practice: DoctorRun) -> None:
    refused = practice.run("send-test", input=f"{REFUSED}\n")
    silent = practice.run("send-test", input=f"{SILENT}\n")

    assert (refused.exit_code, silent.exit_code) == (2, 1)
    assert "isv." in refused.output


def test_route_purpose_and_phone_are_checked_before_anything_is_sent(practice: DoctorRun) -> None:
    refused = [
        practice.run("send-test", "--route", "nowhere", input=f"{PHONE}\n"),
        practice.run("send-test", "--purpose", "nothing", input=f"{PHONE}\n"),
        practice.run("send-test", input="12345\n"),
        practice.run("send-test", input="+14155552671\n"),
    ]

    assert [done.exit_code for done in refused] == [2] * 4
    assert inbox(practice) == []


def test_route_that_is_not_there_is_told(practice: DoctorRun) -> None:
    assert (
        "is not a route of the configuration"
        in practice.run("send-test", "--route", "nowhere", input=f"{PHONE}\n").output
    )


def test_sandbox_of_a_developer_may_be_tried(practice: DoctorRun) -> None:
    """It costs nothing, and `serve` is what refuses it."""
    practice.change('provider = "aliyun-sms"', 'provider = "sandbox"')
    practice.change("sms_per_day = 100000\n", "")

    done = practice.run("send-test", "--wait", input=f"{PHONE}\n")

    assert done.exit_code == 0, done.output
    assert len(inbox(practice)) == 1


def test_what_never_left_this_machine_is_said_in_words(practice: DoctorRun) -> None:
    practice.sandbox.close()

    done = practice.run("send-test", input=f"{PHONE}\n")

    assert done.exit_code == 2, done.output
    assert "local.not_sent.ConnectionRefusedError: Nothing left this machine" in done.output


def test_unsound_configuration_sends_nothing(practice: DoctorRun) -> None:
    practice.change('sign_name = "云通信测试"', 'sign_name = ""')

    done = practice.run("send-test", input=f"{PHONE}\n")

    assert done.exit_code == 2
    assert "sign_name" in done.output
    assert inbox(practice) == []


def test_purpose_chooses_the_template(practice: DoctorRun) -> None:
    practice.run("send-test", "--purpose", "signup", input=f"{PHONE}\n")

    assert inbox(practice)[0]["template_code"] == "SMS_100000002"


def test_phone_comes_from_standard_input_never_from_an_argument(practice: DoctorRun) -> None:
    command = [sys.executable, "-m", "otp_service", "send-test", "--config", str(practice.path)]
    told: dict[str, Any] = {"input": f"{PHONE}\n", "capture_output": True, "text": True}
    done = subprocess.run(command, timeout=60, check=False, **told)

    assert done.returncode == 0, done.stderr
    assert len(inbox(practice)) == 1
    practice.texts.append(done.stdout + done.stderr)
    assert CliRunner().invoke(main, ["send-test", PHONE]).exit_code == 2
