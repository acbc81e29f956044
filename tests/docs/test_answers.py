"""The JSON answers in docs/api.md have exactly the members of real answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from support import fakes
from support.chromium import Dev, running_dev
from support.deployment import Answer, new_phone, post
from support.doc_blocks import ROOT

from otp_service.captcha import ProofOfWork
from otp_service.domain.crypto import Keyring
from otp_service.domain.risk import ChallengeSubject
from otp_service.sms.aliyun.reports import describe_failure

RETURN_URL = "http://localhost:8000/verified"
SHOWN: dict[str, Any] = {
    heading: json.loads(text)
    for heading, text in re.findall(
        r"^## ([^\n]+)\n(?:(?!^## ).)*?^```json\n(.*?)^```$",
        (ROOT / "docs" / "api.md").read_text("utf-8"),
        re.MULTILINE | re.DOTALL,
    )
}
COMPARED = {
    *(f"POST /otp/{call}" for call in ("request", "verify", "redeem", "status", "pages")),
    "Problems",
    "Risk challenge",
}


def members(value: Any) -> Any:
    """Return *value* without its texts and numbers: only the names of its members, recursively."""
    if isinstance(value, dict):
        return {name: members(inner) for name, inner in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [members(value[0])]
    return None


@pytest.fixture(scope="module")
def dev() -> Iterator[Dev]:
    with running_dev() as dev:
        yield dev


def call(dev: Dev, path: str, **body: str) -> Answer:
    return post(f"{dev.service_url}/otp/{path}", body, Authorization=f"Bearer {dev.secret_key}")


def test_every_answer_in_the_docs_is_compared_here() -> None:
    assert set(SHOWN) == COMPARED


def test_answers_up_to_a_redeemed_proof_match_the_docs(dev: Dev) -> None:
    phone = new_phone()
    opened = call(dev, "request", phone=phone, purpose="login").body
    mine = {"phone": phone, "verification_id": opened["verification_id"]}
    code = dev.code(phone)
    wrong = call(dev, "verify", code="000000" if code != "000000" else "000001", **mine).body
    approved = call(dev, "verify", code=code, **mine).body
    redeemed = call(dev, "redeem", proof=approved["proof"], purpose="login").body

    assert members(opened) == members(SHOWN["POST /otp/request"])
    assert members(wrong) == members(SHOWN["Problems"])
    assert members(approved) == members(SHOWN["POST /otp/verify"])
    assert members(redeemed) == members(SHOWN["POST /otp/redeem"])


def test_status_matches_the_docs(dev: Dev) -> None:
    """Except for the reason of an undelivered SMS, whose texts are in the table of Aliyun's codes."""
    phone = new_phone()
    opened = call(dev, "request", phone=phone, purpose="login").body
    status = call(dev, "status", phone=phone, verification_id=opened["verification_id"]).body
    (sent,) = SHOWN["POST /otp/status"]["sends"]
    reason, sent["reason"] = sent["reason"], None
    found = describe_failure(reason["code"])

    assert members(status) == members(opened | SHOWN["POST /otp/status"])
    assert (reason["en"], reason["zh"]) == (found.english, found.chinese)


def test_hosted_page_matches_the_docs(dev: Dev) -> None:
    page = call(dev, "pages", purpose="login", return_url=RETURN_URL).body

    assert members(page) == members(SHOWN["POST /otp/pages"])


def test_challenge_matches_the_docs() -> None:
    keyring = Keyring({"k1": b"root ".ljust(32, b"1")}, "k1", b"pseudonym key ".ljust(32, b"3"))
    issued = ProofOfWork(keyring, fakes.FakeClock(), ttl=600).issue(ChallengeSubject("web", "t" * 16), 1)

    assert members(dict(issued)) == members(SHOWN["Risk challenge"]["challenge"])
