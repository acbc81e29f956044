"""Tests of the history checker: a correct history passes, and each violation is detected."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from support.call_history import (
    RULES,
    Call,
    ExpectedLimits,
    History,
    Sms,
    check,
    codes_in,
    numbers_in,
    violations,
)
from support.deployment import Answer

PHONE, OTHER = "+8613912345678", "+8613987654321"
VID, OLD = "a" * 22, "b" * 22
CODE = "314159"
JSON, PROBLEM = "application/json", "application/problem+json"


def proof(**changes: str) -> str:
    says = {"jti": VID, "sub": PHONE, "aud": "shop", "purpose": "login", **changes}
    return base64.urlsafe_b64encode(json.dumps(says).encode()).decode().rstrip("=") + ".moment.mac"


def call(name: str, at: float, status: int, answered: dict[str, Any] | None = None, **body: Any) -> Call:
    answer = Answer(
        status, answered, {"content-type": PROBLEM if status >= 400 else JSON}, json.dumps(answered)
    )
    given = {"phone": PHONE, "verification_id": VID} if name != "request" else {"phone": PHONE}
    return Call(name, "shop", {**given, **body}, at, at + 0.01, answer)


def opening(at: float = 0, vid: str = VID, **body: Any) -> Call:
    return call("request", at, 201, {"verification_id": vid, "purpose": "login"}, **body)


def wrong(at: float, left: int, vid: str = VID) -> Call:
    body = {"code": "wrong_code", "attempts_left": left}
    return call("verify", at, 422, body, code="000000", verification_id=vid)


def right(at: float = 10, code: str = CODE, phone: str = PHONE, **says: str) -> Call:
    body = {"verification_id": VID, "purpose": "login", "phone": phone, "proof": proof(**says)}
    return call("verify", at, 200, body, code=code)


def redemption(at: float = 20, **changes: str) -> Call:
    body = {"verification_id": VID, "phone": PHONE, "client": "shop", "purpose": "login", **changes}
    return call("redeem", at, 200, body, proof=proof(), purpose="login")


def sms(at: float = 0.005, vid: str = VID, phone: str = PHONE, code: str = CODE) -> Sms:
    return Sms(phone, code, vid, at)


def correct_history() -> History:
    return History([opening(), wrong(5, 4), right(), redemption()], [sms()], log='{"event":"http_request"}\n')


def rounds(count: int, every: float) -> tuple[list[Call], list[Sms]]:
    """Return *count* verifications, one every *every* seconds, each with five guesses."""
    calls, messages = list[Call](), list[Sms]()
    for number in range(count):
        vid, at = f"{number:022d}", number * every
        calls += [opening(at, vid), *(wrong(at + 1 + (4 - left) / 10, left, vid) for left in (4, 3, 2, 1, 0))]
        messages.append(sms(at + 0.005, vid))
    return calls, messages


def without_sms(history: History) -> None:
    history.sms = []


def with_anothers_code(history: History) -> None:
    history.sms = [sms(code="271828")]


def with_an_sms_to_another(history: History) -> None:
    history.sms = [sms(phone=OTHER)]


def with_a_late_sms(history: History) -> None:
    history.sms = [sms(at=100)]


def added(*calls: Call) -> Callable[[History], None]:
    return lambda history: history.calls.extend(calls)


def instead(place: int, other: Call) -> Callable[[History], None]:
    def change(history: History) -> None:
        history.calls[place] = other

    return change


def sent(*messages: Sms) -> Callable[[History], None]:
    """Add SMS, each requested by a call of its own, so that only their times can be wrong."""

    def change(history: History) -> None:
        history.sms += messages
        history.calls += [opening(one.at - 0.005, one.verification_hash) for one in messages]

    return change


def many_rounds(count: int, every: float) -> Callable[[History], None]:
    def change(history: History) -> None:
        history.calls, history.sms = rounds(count, every)

    return change


def logged(text: str) -> Callable[[History], None]:
    def change(history: History) -> None:
        history.log += text

    return change


def hiding(history: History) -> None:
    history.hidden = {"sk_secret"}
    history.calls[0] = replace(history.calls[0], answer=replace(history.calls[0].answer, text="x sk_secret"))  # type: ignore[type-var]


VIOLATIONS: dict[str, tuple[str, Callable[[History], None]]] = {
    "approved without an SMS": ("every_proof_has_an_sms_and_a_right_attempt", without_sms),
    "approved by another code": ("every_proof_has_an_sms_and_a_right_attempt", with_anothers_code),
    "the SMS went elsewhere": ("every_proof_has_an_sms_and_a_right_attempt", with_an_sms_to_another),
    "the SMS came later": ("every_proof_has_an_sms_and_a_right_attempt", with_a_late_sms),
    "another's jti": ("every_proof_has_an_sms_and_a_right_attempt", instead(2, right(jti=OLD))),
    "another's number": ("every_proof_has_an_sms_and_a_right_attempt", instead(2, right(sub=OTHER))),
    "another's client": ("every_proof_has_an_sms_and_a_right_attempt", instead(2, right(aud="bank"))),
    "another purpose": ("every_proof_has_an_sms_and_a_right_attempt", instead(2, right(purpose="pay"))),
    "approved twice": ("every_verification_is_approved_once", added(right(10.005))),
    "two proofs": ("every_verification_is_approved_once", added(right(10.005, purpose="pay"))),
    "redeemed twice": ("every_proof_is_redeemed_once", added(redemption(21))),
    "redeemed as another": ("every_proof_is_redeemed_once", instead(3, redemption(phone=OTHER))),
    "redeemed by a stranger": (
        "every_proof_is_redeemed_once",
        instead(3, replace(redemption(), client="bank")),
    ),
    "approved after a cancel": (
        "ended_verification_is_never_approved",
        instead(1, call("cancel", 5, 204)),
    ),
    "approved when used up": ("ended_verification_is_never_approved", instead(1, wrong(5, 0))),
    "guessed after approval": ("ended_verification_is_never_approved", added(wrong(30, 2))),
    "six guesses": (
        "no_verification_evaluates_too_many_guesses",
        added(*(wrong(6 + n / 10, 10 + n) for n in range(5))),
    ),
    "a guess for nothing": ("no_verification_evaluates_too_many_guesses", added(wrong(5.001, 4))),
    "a hundred and five in a row": ("no_phone_has_too_many_consecutive_failures", many_rounds(21, 90_000)),
    "a third round in an hour": ("no_verification_is_created_after_too_many_failures", many_rounds(3, 600)),
    "a fifth round in a day": ("no_verification_is_created_after_too_many_failures", many_rounds(5, 7_300)),
    "too early": ("no_phone_gets_too_many_sms", sent(sms(50, OLD))),
    "third too early": (
        "no_phone_gets_too_many_sms",
        sent(sms(61, "c" * 22), sms(125, OLD), sms(200, "d" * 22)),
    ),
    "six an hour": ("no_phone_gets_too_many_sms", sent(*(sms(n * 700.0, f"{n:022d}") for n in range(1, 6)))),
    "eleven a day": (
        "no_phone_gets_too_many_sms",
        sent(*(sms(n * 8_000.0, f"{n:022d}") for n in range(1, 11))),
    ),
    "an SMS that was not requested": ("every_sms_was_requested", lambda h: h.sms.append(sms(5_000, OLD))),
    "two SMS for one call": ("every_sms_was_requested", lambda h: h.sms.append(sms(5_000))),
    "a resend to another": ("every_sms_was_requested", lambda h: h.sms.append(sms(phone=OTHER))),
    "a defect": (
        "every_failure_is_a_problem_document",
        added(call("verify", 40, 500, {"code": "internal_error"})),
    ),
    "a time-out of a proxy": (
        "every_failure_is_a_problem_document",
        added(call("verify", 40, 504, {"code": "x"})),
    ),
    "a page": ("every_failure_is_a_problem_document", added(call("verify", 40, 404))),
    "a code in an answer": (
        "no_answer_and_no_log_contains_a_secret",
        added(call("status", 40, 200, {"hint": f"code={CODE}"})),
    ),
    "a code in the log": ("no_answer_and_no_log_contains_a_secret", logged(f'{{"n":{CODE}}}')),
    "a number in the log": ("no_answer_and_no_log_contains_a_secret", logged("to 139 1234-5678")),
    "a proof in the log": ("no_answer_and_no_log_contains_a_secret", logged(proof())),
    "a key in an answer": ("no_answer_and_no_log_contains_a_secret", hiding),
}


def test_correct_history_passes() -> None:
    check(correct_history())


@pytest.mark.parametrize("violation", VIOLATIONS)
def test_each_violation_is_detected_by_its_rule(violation: str) -> None:
    rule, change = VIOLATIONS[violation]
    history = correct_history()
    change(history)

    caught = {known.__name__ for known in RULES if list(known(history, ExpectedLimits()))}

    assert rule in caught
    with pytest.raises(AssertionError):
        check(history)


def test_every_rule_has_a_violation() -> None:
    assert {rule for rule, _ in VIOLATIONS.values()} == {rule.__name__ for rule in RULES}


def test_replay_is_not_a_second_approval() -> None:
    history, again = correct_history(), right(11)
    assert again.answer
    again.answer.headers["idempotency-replayed"] = "true"
    history.calls.insert(3, again)

    assert violations(history, ExpectedLimits()) == []


def test_unlock_resets_the_counts() -> None:
    calls, messages = rounds(3, 600)
    unlock = call("unlock", 900, 204)

    assert violations(History(calls, messages), ExpectedLimits()) != []
    assert violations(History([*calls[:12], unlock, *calls[12:]], messages), ExpectedLimits()) == []


@pytest.mark.parametrize(
    "text", [f"code={CODE}", f'"{CODE}"', f"[{CODE}]", f"code:{CODE}.", f"验证码{CODE}，", "n314159"]
)
def test_codes_are_found_at_any_position(text: str) -> None:
    assert CODE in codes_in(text)


@pytest.mark.parametrize(
    "text", ["1314159", "3141592", "F655A8D5-B967-4BFD-9E2A-7314159AB2CD", "req_aB314159cDeFgHiJ"]
)
def test_digits_of_ids_are_not_codes(text: str) -> None:
    assert CODE not in codes_in(text)


@pytest.mark.parametrize(
    "text", [PHONE, PHONE[1:], PHONE[3:], "139 1234 5678", "(139)1234-5678", "+86-139-1234-5678"]
)
def test_numbers_are_found_in_any_spelling(text: str) -> None:
    assert numbers_in(text) == {PHONE}


@pytest.mark.parametrize(
    "text", ["+86 139****5678 900619746936498440^0 13912345", "F655A8D5-B967-4BFD-9E2A-A13912345678"]
)
def test_masked_numbers_and_ids_are_not_numbers(text: str) -> None:
    assert numbers_in(text) == set()
