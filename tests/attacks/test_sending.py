"""Sending: other spellings, other recipients, and SMS bombing of one phone."""

from __future__ import annotations

import itertools
import json
from itertools import islice

import pytest
from attacks.target import CLIENTS, PhoneState, Target, at_once, new_phone
from support.call_history import DAY, HOUR, most_within

# ── A10 ──

# "n" is the national number as it is, "f" in full width, "a" in Arabic-Indic digits, "s" with spaces and "d"
# with hyphens.
SPELLINGS = (
    "+86{n}",
    "0086{n}",
    "86{n}",
    "{n}",
    " {n} ",
    "+86 {n}",
    "+86-{n}",
    "+86 {s}",
    "{s}",
    "{d}",
    "+86{d}",
    "(+86){n}",
    "(86){n}",
    "+86({n})",
    "＋86{n}",
    "{f}",
    "+86{f}",
    "{a}",
    "+86{a}",
    "tel:+86{n}",
    "tel:{n};phone-context=+86",
    "\u200e+86{n}",
    "\u202a+86{n}\u202c",
    "+86\u00a0{n}",
    "+86\u2011{n}",
    "0{n}",
    "+860{n}",
    "+86.{s}",
    "{n}#1",
    "{n} ext 5",
    "+86{n};ext=5",
    "17951{n}",
    "+086{n}",
    "00086{n}",
    "+{n}",
)


def spelled(pattern: str, phone: str) -> str:
    national = phone.removeprefix("+86")
    return pattern.format(
        n=national,
        s=f"{national[:3]} {national[3:7]} {national[7:]}",
        d=f"{national[:3]}-{national[3:7]}-{national[7:]}",
        f="".join(chr(ord("０") + int(digit)) for digit in national),
        a="".join(chr(0x660 + int(digit)) for digit in national),
    )


def test_a10_every_spelling_of_a_number_is_the_same_phone(target: Target) -> None:
    phone = new_phone()
    before = len(target.sms())
    target.open(phone)
    keys = store_keys(target)

    answers = {
        pattern: target.clients[client].request(spelled(pattern, phone))
        for pattern, client in zip(SPELLINGS, itertools.cycle(CLIENTS), strict=False)
    }

    outcomes = {pattern: answer.body["code"] for pattern, answer in answers.items()}
    taken = [pattern for pattern, outcome in outcomes.items() if outcome == "cooldown_active"]
    assert set(outcomes.values()) <= {
        "cooldown_active",
        "invalid_phone",
        "destination_blocked",
        "invalid_request",
    }
    assert len(taken) >= 15
    assert len(target.sms()) == before + 1
    assert target.phone_state(phone).sends == 1
    assert store_keys(target) == keys


def store_keys(target: Target) -> set[bytes]:
    """Return the keys of phones and their verifications."""
    with target.redis.client() as client:
        return set(client.scan_iter("otp:{*"))


# ── A11 ──


def injections(victim: str, attacker: str) -> dict[str, bytes]:
    """Return bodies that name two recipients in different ways."""
    joined = [
        ",",
        ";",
        " ",
        "%2C",
        "&",
        "|",
        "/",
        "\\n",
        "\\r\\n",
        "\\u0000",
        "，",
        "、",
        "\\t",
        "\\u2028",
        ",,",
    ]
    texts = {
        f"joined by {glue}": f'{{"phone":"{victim}{glue}{attacker}","purpose":"login"}}' for glue in joined
    }
    both = [victim, attacker]
    shapes = {
        "a list": {"phone": both, "purpose": "login"},
        "a list of one": {"phone": [victim], "purpose": "login"},
        "an object": {"phone": {"0": victim, "1": attacker}, "purpose": "login"},
        "a list in a text": {"phone": json.dumps(both), "purpose": "login"},
        "another field": {"phone": victim, "phones": both, "purpose": "login"},
        "Aliyun's field": {"phone": victim, "PhoneNumbers": attacker, "purpose": "login"},
        "a field in the purpose": {"phone": victim, "purpose": f"login&PhoneNumbers={attacker}"},
        "a field in the locale": {
            "phone": victim,
            "purpose": "login",
            "locale": f"zh&PhoneNumbers={attacker}",
        },
    }
    twice = f'{{"phone":"{victim}","phone":"{attacker}","purpose":"login"}}'
    escaped = f'{{"phone":"{victim}","\\u0070hone":"{attacker}","purpose":"login"}}'
    cased = f'{{"phone":"{victim}","Phone":"{attacker}","purpose":"login"}}'
    return {
        **{name: text.encode() for name, text in texts.items()},
        **{name: json.dumps(shape).encode() for name, shape in shapes.items()},
        "given twice": twice.encode(),
        "given twice, once escaped": escaped.encode(),
        "given twice, once in capitals": cased.encode(),
    }


@pytest.mark.parametrize("way", injections("", ""), ids=repr)
def test_a11_body_with_two_recipients_is_rejected(target: Target, way: str) -> None:
    victim, attacker = new_phone(), new_phone()

    answer = target.shop.call("/otp/request", injections(victim, attacker)[way])

    assert answer.status in (400, 422), answer.text
    assert [sms for phone in (victim, attacker) for sms in target.sms(phone)] == []
    assert (target.phone_state(victim), target.phone_state(attacker)) == (PhoneState(), PhoneState())


def test_a11_resend_goes_to_the_phone_of_the_verification(target: Target) -> None:
    victim, attacker = new_phone(), new_phone()
    verification_id = target.open(victim)

    answer = target.shop.resend(attacker, verification_id)

    assert (answer.status, answer.body["code"]) == (404, "verification_not_found")
    assert target.sms(attacker) == []
    assert len(target.sms(victim)) == 1


# ── A12 ──

ADDRESSES = [f"203.0.113.{number}" for number in range(100)]


def test_a12_a_day_of_bombing_is_eight_sms(movable_target: Target) -> None:
    """From a hundred IP addresses, through every client, whenever one more SMS is allowed."""
    target, phone = movable_target, new_phone()
    askers = zip(itertools.cycle(CLIENTS), itertools.cycle(ADDRESSES), strict=False)
    began = target.now()
    while target.now() < began + DAY - 300:
        answers = at_once(
            [
                lambda client=client, address=address: target.clients[client].request(
                    phone, client_ip=address
                )
                for client, address in islice(askers, 6)
            ]
        )
        assert sum(answer.status == 201 for answer in answers) <= 1
        target.pass_time(min(answer.body["retry_after"] for answer in answers if answer.status == 429))

    times = [sms.at for sms in target.sms(phone)]
    assert len(times) == 8
    assert most_within(times, HOUR - 2) == 4
    assert target.phone_state(phone).sends == 8
    assert "provider_rate_limited" not in {call.code for call in target.history.calls}


def test_a12_resends_count_like_other_sms(movable_target: Target) -> None:
    target, phone = movable_target, new_phone()
    opened = [target.open(phone)]
    began = target.now()
    while target.now() < began + HOUR - 300:
        for vid in opened:
            target.shop.resend(phone, vid)
        answer = target.shop.request(phone)
        if answer.status == 201:
            opened.append(answer.body["verification_id"])
        target.pass_time(60)

    assert len(target.sms(phone)) == 4
