"""Proof of work: solved by work alone, for one client and phone, in time, at its level."""

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

PSEUDONYM_KEY = b"tag key ".ljust(32, b"3")
KEYRING = Keyring({"k1": b"root ".ljust(32, b"1")}, "k1", PSEUDONYM_KEY)
MINE = ChallengeSubject("web", "t" * 16)


@pytest.fixture
def clock() -> fakes.FakeClock:
    return fakes.FakeClock()


@pytest.fixture
def work(clock: fakes.FakeClock, monkeypatch: pytest.MonkeyPatch) -> ProofOfWork:
    monkeypatch.setitem(COSTS, 1, 500)  # the tests are about the rules, not about the work
    monkeypatch.setitem(COSTS, 2, 900)
    return ProofOfWork(KEYRING, clock, ttl=600)


def number_of(challenge: Mapping[str, object]) -> int:
    """Do the work, as the protocol says it."""
    salt, wanted = str(challenge["salt"]), challenge["challenge"]
    for number in range(int(str(challenge["maxnumber"])) + 1):
        if hashlib.sha256(f"{salt}{number}".encode()).hexdigest() == wanted:
            return number
    raise AssertionError("no number solves it")


def solve(challenge: Mapping[str, object], /, **changes: object) -> str:
    payload = {**challenge, "number": number_of(challenge), **changes}
    return base64.b64encode(json.dumps(payload).encode()).decode()


# ── what passes ──


def test_work_that_was_done_passes_and_names_its_challenge(work: ProofOfWork) -> None:
    challenge = work.issue(MINE, 1)

    solved = work.verify(solve(challenge), MINE, 1)

    assert solved == challenge["challenge"]
    assert solved is not None
    assert len(solved) <= 64
    assert work.verify(solve(challenge), MINE, 1) == solved


def test_two_challenges_are_never_the_same(work: ProofOfWork) -> None:
    assert len({str(work.issue(MINE, 1)["challenge"]) for _ in range(20)}) == 20


def test_challenge_is_what_altchas_own_solver_takes(work: ProofOfWork) -> None:
    challenge = work.issue(MINE, 1)

    assert set(challenge) == {"algorithm", "challenge", "maxnumber", "salt", "signature"}
    found = altcha.solve_challenge_v1(
        str(challenge["challenge"]), str(challenge["salt"]), "SHA-256", int(str(challenge["maxnumber"]))
    )
    assert found is not None
    assert work.verify(solve(challenge, number=found.number), MINE, 1)


def test_harder_work_passes_for_less_and_not_the_other_way_round(work: ProofOfWork) -> None:
    easy, hard = work.issue(MINE, 1), work.issue(MINE, 2)

    assert work.verify(solve(hard), MINE, 1)
    assert work.verify(solve(hard), MINE, 2)
    assert work.verify(solve(easy), MINE, 2) is None


def test_each_level_costs_more_than_the_one_before() -> None:
    assert COSTS[2] >= 4 * COSTS[1]
    assert COSTS[1] >= 10_000


def test_half_of_its_numbers_is_tried_on_average(work: ProofOfWork) -> None:
    """What an attacker pays: 64 challenges of 900 numbers are some 28,800 hashes, within five sigma."""
    hashes = sum(number_of(work.issue(MINE, 2)) + 1 for _ in range(64))

    assert abs(hashes - 64 * 450) < 5 * 900 * (64 / 12) ** 0.5


def test_what_the_widget_adds_to_its_payload_is_passed_over(work: ProofOfWork) -> None:
    challenge = work.issue(MINE, 1)

    assert work.verify(solve(challenge, took=312.4, test=True), MINE, 1)


def test_challenge_of_an_older_root_passes_during_rotation(work: ProofOfWork, clock: fakes.FakeClock) -> None:
    solution = solve(work.issue(MINE, 1))
    old, new = b"root ".ljust(32, b"1"), b"new root ".ljust(32, b"2")
    rotated = ProofOfWork(Keyring({"k1": old, "k2": new}, "k2", PSEUDONYM_KEY), clock, ttl=600)
    removed = ProofOfWork(Keyring({"k2": new}, "k2", PSEUDONYM_KEY), clock, ttl=600)

    assert rotated.verify(solution, MINE, 1)
    assert removed.verify(solution, MINE, 1) is None


# ── what does not ──


@pytest.mark.parametrize("other", [replace(MINE, client="app"), replace(MINE, phone_hash="u" * 16)])
def test_work_for_somebody_else_does_not_pass(work: ProofOfWork, other: ChallengeSubject) -> None:
    assert work.verify(solve(work.issue(MINE, 1)), other, 1) is None


def test_time_is_over_to_the_second(work: ProofOfWork, clock: fakes.FakeClock) -> None:
    solution = solve(work.issue(MINE, 1))
    clock.advance(599)
    in_time = work.verify(solution, MINE, 1)
    clock.advance(1)

    assert in_time
    assert work.verify(solution, MINE, 1) is None


def test_its_id_is_remembered_for_longer_than_anything_lives(clock: fakes.FakeClock) -> None:
    """Else a challenge that was made before `risk.ttl` was lowered could be used twice."""
    solution = solve(ProofOfWork(KEYRING, clock, ttl=1800).issue(MINE, 1))
    lowered = ProofOfWork(KEYRING, clock, ttl=60)
    at_once = lowered.verify(solution, MINE, 1)
    clock.advance(1800 - lowered.ttl)

    assert at_once is None
    assert lowered.verify(solution, MINE, 1)


def test_clock_that_is_a_little_behind_takes_a_fresh_challenge(
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
def test_changed_solution_does_not_pass(work: ProofOfWork, changes: dict[str, Any]) -> None:
    assert work.verify(solve(work.issue(MINE, 1), **changes), MINE, 1) is None


@pytest.mark.parametrize(
    ("old", "new"), [("level=1", "level=2"), ("expires=1", "expires=9"), ("for=", "for=00"), ("&", "")]
)
def test_salt_that_says_something_else_does_not_pass(work: ProofOfWork, old: str, new: str) -> None:
    challenge = work.issue(MINE, 1)
    salt = str(challenge["salt"]).replace(old, new)

    assert salt != challenge["salt"]
    assert work.verify(solve(challenge, salt=salt), MINE, 1) is None


def test_level_is_what_was_signed_whatever_the_rest_says(work: ProofOfWork) -> None:
    challenge = {**work.issue(MINE, 1), "maxnumber": COSTS[2], "level": 2, "maxNumber": COSTS[2]}

    assert work.verify(solve(challenge), MINE, 1)
    assert work.verify(solve(challenge), MINE, 2) is None


@pytest.mark.parametrize("more", ["&level=2&", "level=2&", "expires=9999999999&"])
def test_nothing_can_be_added_to_a_salt(work: ProofOfWork, more: str) -> None:
    challenge = work.issue(MINE, 1)

    assert work.verify(solve(challenge, salt=f"{challenge['salt']}{more}"), MINE, 2) is None
    assert work.verify(solve(challenge, salt=f"{challenge['salt']}{more}"), MINE, 1) is None


def test_weaker_hash_does_not_pass_even_if_it_is_right(work: ProofOfWork) -> None:
    """Whoever finds a number by SHA-1 still lacks its signature, and the algorithm is not his to choose."""
    challenge = work.issue(MINE, 1)
    weak = {"algorithm": "SHA-1", "challenge": hashlib.sha1(f"{challenge['salt']}7".encode()).hexdigest()}  # noqa: S324 - the point of the test

    assert work.verify(solve(challenge, number=7, **weak), MINE, 1) is None


def test_challenge_that_another_root_signed_does_not_pass(work: ProofOfWork, clock: fakes.FakeClock) -> None:
    others = Keyring({"k1": b"another root ".ljust(32, b"9")}, "k1", PSEUDONYM_KEY)

    assert work.verify(solve(ProofOfWork(others, clock, ttl=600).issue(MINE, 1)), MINE, 1) is None


def test_number_cannot_borrow_from_the_salt(work: ProofOfWork) -> None:
    """`…&` and 12 hash like `…&1` and 2; the delimiter keeps them apart."""
    challenge = work.issue(MINE, 1)
    digits = str(number_of(challenge))
    moved = {"salt": f"{challenge['salt']}{digits[:-1]}", "number": int(digits[-1])}

    assert work.verify(solve(challenge, **moved), MINE, 1) is None


def test_challenge_of_another_kind_of_ours_does_not_pass(work: ProofOfWork) -> None:
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


def test_challenge_shows_neither_client_nor_tag(work: ProofOfWork) -> None:
    told = json.dumps(dict(work.issue(ChallengeSubject("webshop", "SECRETTAG0123456"), 1)))

    assert "webshop" not in told
    assert "SECRETTAG" not in told


@pytest.mark.parametrize(
    "text",
    ["", "no base64!", "e30=", "W10=", "bnVsbA==", "é", "A" * 5000, base64.b64encode(b"[" * 3000).decode()],
)
def test_garbage_does_not_pass(work: ProofOfWork, text: str) -> None:
    assert work.verify(text, MINE, 1) is None


def test_right_solution_in_a_wrong_wrapping_does_not_pass(work: ProofOfWork) -> None:
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
def test_no_payload_fails_in_another_way(payload: dict[str, Any]) -> None:
    work = ProofOfWork(KEYRING, fakes.FakeClock(), ttl=600)
    text = base64.b64encode(json.dumps({"algorithm": "SHA-256", **payload}).encode()).decode()

    assert work.verify(text, MINE, 1) is None


@given(st.text() | st.binary().map(lambda data: base64.b64encode(data).decode()))
def test_no_text_fails_in_another_way(text: str) -> None:
    assert ProofOfWork(KEYRING, fakes.FakeClock(), ttl=600).verify(text, MINE, 1) is None
