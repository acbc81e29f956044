"""The examples in `docs/risk-challenge.md` run: altcha's own solver, and another captcha."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sms.wire import Behave, WireServer, answers, hangs_up, response
from support import fakes
from support.deployment import config_text, make_secrets
from support.events import RecordingEvents
from support.recording_store import RecordingPages, RecordingStore
from support.redis_servers import Server, skip_or_fail
from test_app import KEY, settings
from werkzeug.test import TestResponse

from otp_service.app import EXTENSION, build
from otp_service.captcha import ProofOfWork
from otp_service.captcha.proof_of_work import COSTS
from otp_service.domain.crypto import Keyring
from otp_service.domain.risk import ChallengeSubject

ROOT = Path(__file__).parents[2]
SDKS = ROOT / "tests" / "sdks"
BLOCKS = dict[str, list[str]]()
for language, text in re.findall(
    r"^```(\w+)\n(.*?)^```$",
    (ROOT / "docs" / "risk-challenge.md").read_text("utf-8"),
    re.MULTILINE | re.DOTALL,
):
    BLOCKS.setdefault(language, []).append(text)

KEYRING = Keyring({"k1": b"root ".ljust(32, b"1")}, "k1", b"pseudonym key ".ljust(32, b"3"))
MINE = ChallengeSubject("web", "t" * 16)


# ── altcha's solver ──


def solve_with_example(challenge: Mapping[str, object]) -> str:
    """Run the docs' example on *challenge* and return its solution."""
    node = shutil.which("node")
    if node is None or not (SDKS / "node_modules" / "altcha-lib").is_dir():
        skip_or_fail("node or altcha-lib is missing (npm ci --prefix tests/sdks)")
    (example,) = BLOCKS["js"]
    given = f"const problem = {json.dumps({'challenge': challenge})};"
    result = subprocess.run(
        [str(node), "--input-type=module", "-e", f"{given}\n{example}\nconsole.log(solution);"],
        cwd=SDKS,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@pytest.mark.sdk
@pytest.mark.parametrize("level", [1, 2])
def test_altchas_own_solver_solves_a_challenge(level: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COSTS, level, 5_000)  # full ones take seconds on a slow machine
    work = ProofOfWork(KEYRING, fakes.FakeClock(), ttl=600)
    challenge = dict(work.issue(MINE, level))

    assert work.verify(solve_with_example(challenge), MINE, level) == challenge["challenge"]


# ── another captcha ──


def captcha(url: str) -> Any:
    """Return the captcha of the docs, with its provider at *url*."""
    names: dict[str, Any] = {"VERIFY_URL": url, "SECRET": "secret", "SITE_KEY": "site"}
    (example,) = (text for text in BLOCKS["python"] if "class" in text)
    exec(example, names)  # noqa: S102 - our own text
    return names["Captcha"]()


RIGHT, WRONG = (response(json.dumps({"success": success}).encode()) for success in (True, False))


@pytest.fixture
def store() -> RecordingStore:
    return RecordingStore(fakes.FakeClock(), risk_reasons=("address_sends_per_hour",))


def request(store: RecordingStore, challenges: Any, **more: str) -> TestResponse:
    """Request an SMS from an application with the provider *challenges*."""
    clock = fakes.FakeClock()
    built = build(
        settings(),
        store=store,
        counters=fakes.FakeCounters(),
        pages=RecordingPages(clock),
        clock=clock,
        events=RecordingEvents(),
        challenges=challenges,
    )
    with contextlib.closing(built):
        return built.app.test_client().post(
            "/otp/request",
            json={"phone": "13800138000", "purpose": "login", "client_ip": "203.0.113.7", **more},
            headers={"Authorization": f"Bearer {KEY}"},
        )


def test_challenge_comes_from_the_other_captcha(store: RecordingStore) -> None:
    answer = request(store, captcha("http://127.0.0.1:1"))

    assert (answer.status_code, answer.get_json()["code"]) == (403, "challenge_required")
    assert answer.get_json()["challenge"] == {"kind": "captcha", "site_key": "site"}


@pytest.mark.parametrize(
    ("behave", "passes"),
    [
        (answers(RIGHT), True),
        (answers(WRONG), False),
        (answers(response(b"[]")), False),
        (answers(response(b"no json")), False),
        (hangs_up, False),
    ],
    ids=["right", "wrong", "list", "garbage", "gone"],
)
def test_other_captcha_decides(behave: Behave, *, passes: bool) -> None:
    with WireServer(behave) as provider:
        plugged = captcha(provider.url)
        ids = {plugged.verify("solution", MINE, 1) for _ in range(2)}

        assert b"response=solution" in provider.requests[0]

    (challenge_id,) = ids
    assert (challenge_id is not None) == passes
    assert challenge_id is None or re.fullmatch(r"[A-Za-z0-9_-]{1,64}", challenge_id)


def test_solution_is_verified_by_the_other_captcha(store: RecordingStore) -> None:
    with WireServer(answers(WRONG)) as provider:
        answer = request(store, captcha(provider.url), risk_solution="an-answer")

        assert answer.get_json()["code"] == "challenge_required"
        assert all(b"response=an-answer" in shown for shown in provider.requests)
        assert len(provider.requests) == 2  # once for each level


def test_application_with_another_captcha_is_created_as_documented(
    redis_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (example,) = (text for text in BLOCKS["python"] if "create_app" in text)
    text = config_text(redis_server.url, "http://127.0.0.1:9", 8080, make_secrets())
    (tmp_path / "config.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"Captcha": captcha("http://127.0.0.1:1").__class__}
    exec(example, names)  # noqa: S102 - our own text

    with contextlib.closing(names["app"].extensions[EXTENSION]):
        assert names["app"].test_client().get("/healthz").status_code == 200
