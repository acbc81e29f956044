"""Proof of work: a solution is valid for one client and phone, in time, at its level."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import altcha
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import fakes

from otp_service.captcha import ProofOfWork
from otp_service.captcha.proof_of_work import COSTS
from otp_service.domain.crypto import Keyring
from otp_service.domain.risk import ChallengeSubject

PSEUDONYM_KEY = b"pseudonym key ".ljust(32, b"3")
KEYRING = Keyring({"k1": b"root ".ljust(32, b"1")}, "k1", PSEUDONYM_KEY)
MINE = ChallengeSubject("web", "t" * 16)


@pytest.fixture
def clock() -> fakes.FakeClock:
    return fakes.FakeClock()


@pytest.fixture
def work(clock: fakes.FakeClock, monkeypatch: pytest.MonkeyPatch) -> ProofOfWork:
    monkeypatch.setitem(COSTS, 1, 500)  # keeps the tests fast
    monkeypatch.setitem(COSTS, 2, 900)
    return ProofOfWork(KEYRING, clock, ttl=600)


def number_of(challenge: Mapping[str, object]) -> int:
    """Find the number, as the protocol describes."""
    salt, wanted = str(challenge["salt"]), challenge["challenge"]
    for number in range(int(str(challenge["maxnumber"])) + 1):
        if hashlib.sha256(f"{salt}{number}".encode()).hexdigest() == wanted:
            return number
    raise AssertionError("no number solves it")


def solve(challenge: Mapping[str, object], /, **changes: object) -> str:
    payload = {**challenge, "number": number_of(challenge), **changes}
    return base64.b64encode(json.dumps(payload).encode()).decode()


# ── accepted ──


def test_solution_is_accepted_and_returns_the_challenge_id(work: ProofOfWork) -> None:
    challenge = work.issue(MINE, 1)

    solved = work.verify(solve(challenge), MINE, 1)

    assert solved == challenge["challenge"]
    assert solved is not None
    assert len(solved) <= 64
    assert work.verify(solve(challenge), MINE, 1) == solved


def test_challenges_are_unique(work: ProofOfWork) -> None:
    assert len({str(work.issue(MINE, 1)["challenge"]) for _ in range(20)}) == 20


def test_challenge_has_the_format_of_altcha(work: ProofOfWork) -> None:
    challenge = work.issue(MINE, 1)

    assert set(challenge) == {"algorithm", "challenge", "maxnumber", "salt", "signature"}
    found = altcha.solve_challenge_v1(
        str(challenge["challenge"]), str(challenge["salt"]), "SHA-256", int(str(challenge["maxnumber"]))
    )
    assert found is not None
    assert work.verify(solve(challenge, number=found.number), MINE, 1)


def test_solution_of_a_higher_level_is_accepted_for_a_lower_one(work: ProofOfWork) -> None:
    easy, hard = work.issue(MINE, 1), work.issue(MINE, 2)

    assert work.verify(solve(hard), MINE, 1)
    assert work.verify(solve(hard), MINE, 2)
    assert work.verify(solve(easy), MINE, 2) is None


def test_each_level_costs_more_than_the_previous_one() -> None:
    assert COSTS[2] >= 4 * COSTS[1]
    assert COSTS[1] >= 10_000


def test_average_cost_is_half_of_the_numbers(work: ProofOfWork) -> None:
    """The cost of an attacker: 64 challenges of 900 numbers take about 28,800 hashes, within five sigma."""
    hashes = sum(number_of(work.issue(MINE, 2)) + 1 for _ in range(64))

    assert abs(hashes - 64 * 450) < 5 * 900 * (64 / 12) ** 0.5


def test_additional_fields_of_the_widget_are_ignored(work: ProofOfWork) -> None:
    challenge = work.issue(MINE, 1)

    assert work.verify(solve(challenge, took=312.4, test=True), MINE, 1)


def test_challenge_of_an_older_root_is_accepted(work: ProofOfWork, clock: fakes.FakeClock) -> None:
    solution = solve(work.issue(MINE, 1))
    old, new = b"root ".ljust(32, b"1"), b"new root ".ljust(32, b"2")
    rotated = ProofOfWork(Keyring({"k1": old, "k2": new}, "k2", PSEUDONYM_KEY), clock, ttl=600)
    removed = ProofOfWork(Keyring({"k2": new}, "k2", PSEUDONYM_KEY), clock, ttl=600)

    assert rotated.verify(solution, MINE, 1)
    assert removed.verify(solution, MINE, 1) is None


# ── rejected ──


@pytest.mark.parametrize("other", [replace(MINE, client="app"), replace(MINE, phone_hash="u" * 16)])
def test_solution_for_another_client_or_phone_is_rejected(work: ProofOfWork, other: ChallengeSubject) -> None:
    assert work.verify(solve(work.issue(MINE, 1)), other, 1) is None


def test_expiry_is_exact_to_the_second(work: ProofOfWork, clock: fakes.FakeClock) -> None:
    solution = solve(work.issue(MINE, 1))
    clock.advance(599)
    in_time = work.verify(solution, MINE, 1)
    clock.advance(1)

    assert in_time
    assert work.verify(solution, MINE, 1) is None


def test_id_is_stored_longer_than_any_challenge_lives(clock: fakes.FakeClock) -> None:
    """Otherwise a challenge created before `risk.ttl` was lowered could be used twice."""
    solution = solve(ProofOfWork(KEYRING, clock, ttl=1800).issue(MINE, 1))
    lowered = ProofOfWork(KEYRING, clock, ttl=60)
    at_once = lowered.verify(solution, MINE, 1)
    clock.advance(1800 - lowered.ttl)

    assert at_once is None
    assert lowered.verify(solution, MINE, 1)


def test_clock_that_is_slightly_behind_accepts_a_new_challenge(
    work: ProofOfWork, clock: fakes.FakeClock
) -> None:
    solution = solve(work.issue(MINE, 1))
    clock.advance(-60)
    a_little = work.verify(solution, MINE, 1)
    clock.advance(-1)

    assert a_little
    assert work.verify(solution, MINE, 1) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"number": 501},
        {"number": -1},
        {"number": 1.0},
        {"number": True},
        {"number": "1"},
        {"number": None},
        {"algorithm": "SHA-1"},
        {"algorithm": "none"},
        {"algorithm": None},
        {"signature": "0" * 64},
        {"signature": ""},
        {"signature": 7},
        {"challenge": "0" * 64},
        {"challenge": "é"},
        {"salt": ""},
        {"salt": None},
    ],
    ids=str,
)
def test_changed_solution_is_rejected(work: ProofOfWork, changes: dict[str, Any]) -> None:
    assert work.verify(solve(work.issue(MINE, 1), **changes), MINE, 1) is None


@pytest.mark.parametrize(
    ("old", "new"), [("level=1", "level=2"), ("expires=1", "expires=9"), ("for=", "for=00"), ("&", "")]
)
def test_changed_salt_is_rejected(work: ProofOfWork, old: str, new: str) -> None:
    challenge = work.issue(MINE, 1)
    salt = str(challenge["salt"]).replace(old, new)

    assert salt != challenge["salt"]
    assert work.verify(solve(challenge, salt=salt), MINE, 1) is None


def test_signed_level_counts(work: ProofOfWork) -> None:
    challenge = {**work.issue(MINE, 1), "maxnumber": COSTS[2], "level": 2, "maxNumber": COSTS[2]}

    assert work.verify(solve(challenge), MINE, 1)
    assert work.verify(solve(challenge), MINE, 2) is None


@pytest.mark.parametrize("more", ["&level=2&", "level=2&", "expires=9999999999&"])
def test_nothing_can_be_added_to_a_salt(work: ProofOfWork, more: str) -> None:
    challenge = work.issue(MINE, 1)

    assert work.verify(solve(challenge, salt=f"{challenge['salt']}{more}"), MINE, 2) is None
    assert work.verify(solve(challenge, salt=f"{challenge['salt']}{more}"), MINE, 1) is None


def test_weaker_hash_is_rejected_even_if_it_is_correct(work: ProofOfWork) -> None:
    """The client cannot choose the algorithm, and a number for SHA-1 has no signature."""
    challenge = work.issue(MINE, 1)
    weak = {"algorithm": "SHA-1", "challenge": hashlib.sha1(f"{challenge['salt']}7".encode()).hexdigest()}  # noqa: S324 - the point of the test

    assert work.verify(solve(challenge, number=7, **weak), MINE, 1) is None


def test_challenge_signed_with_another_root_is_rejected(work: ProofOfWork, clock: fakes.FakeClock) -> None:
    others = Keyring({"k1": b"another root ".ljust(32, b"9")}, "k1", PSEUDONYM_KEY)

    assert work.verify(solve(ProofOfWork(others, clock, ttl=600).issue(MINE, 1)), MINE, 1) is None


def test_digits_cannot_be_moved_from_the_salt_to_the_number(work: ProofOfWork) -> None:
    """`…&` and 12 would have the same hash as `…&1` and 2 without a delimiter."""
    challenge = work.issue(MINE, 1)
    digits = str(number_of(challenge))
    moved = {"salt": f"{challenge['salt']}{digits[:-1]}", "number": int(digits[-1])}

    assert work.verify(solve(challenge, **moved), MINE, 1) is None


def test_challenge_of_another_kind_is_rejected(work: ProofOfWork) -> None:
    key = KEYRING.active.risk
    bare = altcha.create_challenge_v1(altcha.ChallengeOptionsV1(max_number=50, hmac_key=key))
    made = {
        "algorithm": bare.algorithm,
        "challenge": bare.challenge,
        "maxnumber": 50,
        "salt": bare.salt,
        "signature": bare.signature,
    }

    assert work.verify(solve(made), MINE, 1) is None


def test_challenge_contains_neither_client_nor_phone_hash(work: ProofOfWork) -> None:
    text = json.dumps(dict(work.issue(ChallengeSubject("webshop", "SECRETHASH012345"), 1)))

    assert "webshop" not in text
    assert "SECRETHASH" not in text


@pytest.mark.parametrize(
    "text",
    ["", "no base64!", "e30=", "W10=", "bnVsbA==", "é", "A" * 5000, base64.b64encode(b"[" * 3000).decode()],
)
def test_garbage_is_rejected(work: ProofOfWork, text: str) -> None:
    assert work.verify(text, MINE, 1) is None


def test_correct_solution_in_a_wrong_encoding_is_rejected(work: ProofOfWork) -> None:
    challenge = work.issue(MINE, 1)
    right = solve(challenge)

    assert work.verify(right, MINE, 1)
    assert work.verify(f"{right[:8]}!{right[8:]}", MINE, 1) is None
    assert work.verify(f"{right}\n", MINE, 1) is None
    assert work.verify(solve(challenge, more="x" * 4096), MINE, 1) is None
    assert work.verify(base64.b64decode(right).decode(), MINE, 1) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(["algorithm", "challenge", "number", "salt", "signature", "maxnumber"])


@given(st.dictionaries(FIELDS, json_values))
def test_no_payload_raises(payload: dict[str, Any]) -> None:
    work = ProofOfWork(KEYRING, fakes.FakeClock(), ttl=600)
    text = base64.b64encode(json.dumps({"algorithm": "SHA-256", **payload}).encode()).decode()

    assert work.verify(text, MINE, 1) is None


@given(st.text() | st.binary().map(lambda data: base64.b64encode(data).decode()))
def test_no_text_raises(text: str) -> None:
    assert ProofOfWork(KEYRING, fakes.FakeClock(), ttl=600).verify(text, MINE, 1) is None
