from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from otp_service.sandbox import SandboxConfig, StsKey

TOKEN = "a+b/c=="
TEMPORARY = {"AccessKeyId": "STS.one", "secret": "s"}


@pytest.fixture
def config(config: SandboxConfig, clock: Any) -> SandboxConfig:
    ends = clock() + timedelta(hours=1)
    return replace(config, sts_keys={"STS.one": StsKey("s", TOKEN, ends), "STS.two": StsKey("s", "two")})


def test_temporary_key_with_its_token_is_accepted(caller: Any) -> None:
    assert caller.v1(**TEMPORARY, SecurityToken=TOKEN).json()["Code"] == "OK"


@pytest.mark.parametrize(
    ("code", "status", "changes"),
    [
        ("MissingSecurityToken", 400, TEMPORARY),
        ("MissingSecurityToken", 400, {**TEMPORARY, "SecurityToken": ""}),
        ("InvalidSecurityToken.Malformed", 403, {**TEMPORARY, "SecurityToken": "x"}),
        ("InvalidSecurityToken.MismatchWithAccessKey", 403, {**TEMPORARY, "SecurityToken": "two"}),
        ("InvalidSecurityToken.MismatchWithAccessKey", 403, {"SecurityToken": TOKEN}),
        ("InvalidSecurityToken.Malformed", 403, {"SecurityToken": "x"}),
        ("SignatureDoesNotMatch", 400, {**TEMPORARY, "SecurityToken": TOKEN, "secret": "x"}),
    ],
)
def test_invalid_token_is_refused(caller: Any, code: str, status: int, changes: dict[str, str]) -> None:
    answer = caller.v1(**changes)

    assert (answer.json()["Code"], answer.status_code) == (code, status)
    assert caller.inbox() == []


def test_token_expires(caller: Any, clock: Any) -> None:
    clock.advance(hours=1)

    answer = caller.v1(**TEMPORARY, SecurityToken=TOKEN)
    assert (answer.json()["Code"], answer.status_code) == ("InvalidSecurityToken.Expired", 403)


def test_token_without_an_expiry_never_expires(caller: Any, clock: Any) -> None:
    clock.advance(days=1000)

    assert caller.v1(AccessKeyId="STS.two", secret="s", SecurityToken="two").json()["Code"] == "OK"


def test_secrets_are_not_printed(config: SandboxConfig) -> None:
    assert TOKEN not in repr(config) + repr(config.sts_keys)
