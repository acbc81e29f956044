"""Secrets: what answers, timing, logs and Redis reveal about codes, numbers and known phones."""

from __future__ import annotations

import ast
import hashlib
import itertools
import re
import secrets
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attacks.target import Answer, Target, all_values, new_phone, running_target, wrong_codes
from support.call_history import codes_in, numbers_in

import otp_service

UNKNOWN_ID = "A" * 22


# ── A16: which phones are known ──


def phones_with_history(target: Target) -> dict[str, str]:
    """Return a phone for each history that a stranger might want to detect."""
    phones = {
        past: new_phone()
        for past in ("none", "pending", "approved", "exhausted", "canceled", "another client's")
    }
    for past in ("pending", "approved", "exhausted", "canceled"):
        verification_id = target.open(phones[past])
        right = target.code(phones[past])
        if past == "approved":
            target.shop.verify(phones[past], verification_id, right)
        if past == "exhausted":
            for guess in wrong_codes(right, 5):
                target.shop.verify(phones[past], verification_id, guess)
        if past == "canceled":
            target.shop.cancel(phones[past], verification_id)
    target.open(phones["another client's"], client="bank")
    return phones


def without_random_parts(answer: Answer) -> str:
    """Return an answer without the ids and times that always differ."""
    text = f"{answer.status} {answer.text} {sorted(answer.headers.items())}"
    return re.sub(r"req_[\w-]+|\w{3}, \d\d \w{3} \d{4} [\d:]+ GMT", "", text)


def test_a16_stranger_gets_the_same_answer_for_every_phone(target: Target) -> None:
    """Without a verification id, unknown, expired and used verifications look alike."""
    phones = phones_with_history(target)

    for ask in (
        lambda phone: target.shop.verify(phone, UNKNOWN_ID, "123456"),
        lambda phone: target.shop.verify(phone, secrets.token_urlsafe(16), "123456"),
        lambda phone: target.shop.status(phone, UNKNOWN_ID),
        lambda phone: target.shop.cancel(phone, UNKNOWN_ID),
        lambda phone: target.shop.resend(phone, UNKNOWN_ID),
    ):
        answers = {without_random_parts(ask(phone)) for phone in phones.values()}
        assert len(answers) == 1
        assert answers.pop().startswith("404 ")


def test_a16_id_is_useless_for_another_phone_or_client(target: Target) -> None:
    phone, other = new_phone(), new_phone()
    verification_id = target.open(phone)
    right = target.code(phone)

    answers = {
        without_random_parts(answer)
        for answer in (
            target.shop.verify(other, verification_id, right),
            target.clients["bank"].verify(phone, verification_id, right),
            target.shop.verify(phone, UNKNOWN_ID, right),
            target.shop.verify(phone, verification_id.swapcase(), right),
        )
    }

    assert len(answers) == 1
    assert target.phone_state(phone).failures == 0


def test_a16_known_phone_gets_the_same_answers_as_a_new_one(movable_target: Target) -> None:
    target, known, fresh = movable_target, new_phone(), new_phone()
    verification_id = target.open(known)
    assert target.shop.verify(known, verification_id, target.code(known)).status == 200
    target.pass_time(2 * 86_400)
    assert target.phone_state(known).known

    answers = [target.shop.request(phone).body for phone in (known, fresh)]

    varying = {"verification_id", "phone_masked", "expires_at", "expires_in", "resend_at", "resend_in"}
    facts = [{name: value for name, value in answer.items() if name not in varying} for answer in answers]
    assert facts[0] == facts[1]


def test_a16_timing_of_a_rejection_does_not_reveal_a_known_phone(target: Target) -> None:
    phones = phones_with_history(target)

    def ask(past: str) -> Callable[[], Answer]:
        return lambda: target.shop.verify(phones[past], UNKNOWN_ID, "123456")

    assert 0.67 < ratio_of_times(ask("pending"), ask("none")) < 1.5


def ratio_of_times(call: Callable[[], Answer], other: Callable[[], Answer], pairs: int = 150) -> float:
    """Return how long *call* takes relative to *other*, measured alternately.

    The lower quartiles are compared: load on the machine disturbs them less than the medians.
    """
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(2 * pairs):
        place = (number + number // 2) % 2
        began = time.perf_counter()
        (call, other)[place]()
        times[place].append(time.perf_counter() - began)
    lower, other_lower = (statistics.quantiles(each, n=4)[0] for each in times)
    return lower / other_lower


# ── A17: comparing ──


def test_a17_nearly_right_code_takes_as_long_as_any_other(movable_target: Target) -> None:
    """Keyed digests are compared, so a code that shares five of six digits is no closer than any other."""
    target = movable_target
    pool = iter([(phone := new_phone(), target_code(target, phone)) for _ in range(60)])

    def guess(near: bool) -> Callable[[], Answer]:  # noqa: FBT001
        left: list[tuple[str, str, str]] = []

        def one() -> Answer:
            if not left:
                phone, (vid, right) = next(pool)
                near_by = [right[:5] + digit for digit in "0123456789" if digit != right[5]]
                far_off = [str((int(right[0]) + step) % 10) + shifted(right[1:]) for step in range(1, 5)]
                left.extend((phone, vid, code) for code in (near_by if near else far_off)[:4])
            return target.shop.verify(*left.pop())

        return one

    assert 0.67 < ratio_of_times(guess(near=True), guess(near=False), pairs=110) < 1.5


def target_code(target: Target, phone: str) -> tuple[str, str]:
    return target.open(phone), target.code(phone)


def shifted(digits: str) -> str:
    return "".join(str((int(digit) + 5) % 10) for digit in digits)


SECRET_WORDS = {"digest", "secret", "mac", "presented", "hmac"}


def test_a17_python_compares_secrets_in_constant_time() -> None:
    found = [
        f"{path.name}:{node.lineno}: {ast.unparse(node)}"
        for path, node in comparisons()
        if any(SECRET_WORDS & words(operand) for operand in (node.left, *node.comparators))
    ]

    assert found == []


def comparisons() -> Iterator[tuple[Path, ast.Compare]]:
    package = Path(otp_service.__file__).parent
    for path in package.rglob("*.py"):
        if path.relative_to(package).parts[0] in ("sandbox", "settings"):
            continue  # no secrets of users; the settings compare secrets with each other
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq):
                yield path, node


def words(node: ast.expr) -> set[str]:
    """Return the words of the name that *node* refers to, as in `self._secret`, `digests[kid]` or `mac()`."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return {word.rstrip("s") for word in re.findall(r"[a-z]+", name.lower())}
        case ast.Subscript(value=value) | ast.Call(func=value):
            return words(value)
    return set()


# ── A18, A19: answers and logs ──


def test_a18_no_answer_contains_the_code(target: Target) -> None:
    phone = new_phone()
    answers = [target.shop.request(phone)]
    verification_id, code = answers[0].body["verification_id"], target.code(phone)
    answers += [
        target.shop.status(phone, verification_id),
        target.shop.request(phone),
        target.shop.resend(phone, verification_id),
    ]
    answers += [target.shop.verify(phone, verification_id, guess) for guess in wrong_codes(code, 2)]
    answers += [target.shop.verify(phone, verification_id, code)]
    answers += [target.shop.redeem(answers[-1].body["proof"]), target.shop.status(phone, verification_id)]
    answers += [target.deployment.get(path) for path in ("/healthz", "/readyz", "/openapi.json", "/docs")]

    assert [answer.status for answer in answers[:9]] == [201, 200, 429, 429, 422, 422, 200, 200, 200]
    assert [answer.status for answer in answers if code in codes_in(answer.text + repr(answer.headers))] == []


@pytest.mark.parametrize("setting", ["debug", "echo", "dev", "test", "dry_run", "return_code", "code"])
def test_a18_no_setting_reveals_the_code(target: Target, setting: str) -> None:
    phone = new_phone()

    answers = [
        target.shop.request(phone, **{setting: True}),
        target.shop.call(f"/otp/request?{setting}=1", {"phone": phone, "purpose": "nothing"}),
        target.shop.call("/otp/request", {"phone": phone, "purpose": "nothing"}, X_Debug="1", X_Test=setting),
    ]

    assert {answer.status for answer in answers} == {400}
    assert target.sms(phone) == []


def test_a19_log_contains_no_code_number_or_key(target: Target) -> None:
    """Covers every outcome, and secrets in wrong fields, at the level `debug`."""
    phone = new_phone()
    opened, code = target_code(target, phone)
    proof = target.shop.verify(phone, opened, code).body["proof"]
    bait = [phone, code, proof, target.deployment.secrets.secret_key]

    for text in bait:
        target.shop.call(f"/otp/{text}", {})
        target.shop.call(f"/otp/verify?code={text}", {text: text})
        target.shop.call("/otp/verify", {"phone": text, "verification_id": text, "code": text})
        target.shop.call("/otp/request", {"phone": text, "purpose": text, "locale": "zh", "client_ip": text})
        target.shop.call("/otp/redeem", {"proof": text + "A", "purpose": "login"})
        target.shop.call("/otp/redeem", f'{{"proof": "{text}'.encode())
        target.shop.call("/otp/cancel", {}, X_Request_Id=text, User_Agent=text, Referer=text, Cookie=text)
        target.shop.call("/otp/cancel", {}, Authorization=f"Bearer {text}", Idempotency_Key=text)
    for number in ("+8613800001001", "+8613800001014", "+8613800003001", "+8613800005001"):
        target.shop.request(number)
    time.sleep(0.1)  # the log is written a few ms late
    log = target.log()

    assert log.count('"event":"http_request"') > 4 * len(bait)
    assert code not in codes_in(log)
    assert numbers_in(log) == set()
    assert [secret[:6] for secret in (proof, *target.history.hidden) if secret in log] == []


# ── A20: the store ──


def test_a20_store_does_not_reveal_a_code() -> None:
    """Neither values, files nor traffic contain a code or a hash that can be reversed by trying all codes."""
    with running_target(redis_options=("--rdbcompression", "no", "--appendonly", "yes")) as target:
        with target.redis.client() as client, CommandMonitor(target) as commands:
            phones = [new_phone() for _ in range(12)]
            verification_ids = {phone: target.open(phone) for phone in phones}
            codes = {phone: target.code(phone) for phone in phones}
            for phone in phones[:6]:
                target.shop.verify(phone, verification_ids[phone], wrong_codes(codes[phone], 1)[0])
            for phone in phones[:3]:
                target.shop.verify(phone, verification_ids[phone], codes[phone])
            values = b"\n".join(itertools.chain(*all_values(client).items()))
            client.save()
        files = [path for path in target.redis.directory.rglob("*") if path.is_file()]
        places = {"values": values, "wire": "\n".join(commands).encode("latin-1", "replace")}
        places |= {path.name: path.read_bytes() for path in files}

        assert min(len(places[name]) for name in ("values", "wire", "dump.rdb")) > 1000
        assert sum(len(place) for name, place in places.items() if name.endswith(".aof")) > 1000
        for name, place in places.items():
            text = place.decode("latin-1")
            found = [code for code in codes.values() if re.search(rf"(?<!\d){code}(?!\d)", text)]
            assert found == [], name
            assert [phone for phone in phones if phone[3:] in text] == [], name
            for phone, vid in verification_ids.items():
                assert digests_in(text, recipes(codes[phone], phone, vid)) == [], name
        everything = b"".join(places.values()).decode("latin-1")
        assert digests_in(everything, (f"{number:06d}" for number in range(10**6))) == []
        # The search itself works.
        planted = hashlib.sha256(b"123456").digest().decode("latin-1")
        assert digests_in(everything + planted, ["123456"]) == ["123456"]


def recipes(code: str, phone: str, verification_id: str) -> list[str]:
    """Return the inputs with which a code could be hashed without a key."""
    parts = [part for part in (phone, phone[1:], phone[3:], verification_id, "shop", "login") if part]
    pairs = [
        glue.join(pair) for part in parts for pair in ((part, code), (code, part)) for glue in ("", ":", "|")
    ]
    return [code, *pairs, f"{phone}:{verification_id}:{code}", f"{verification_id}:{phone}:{code}"]


def digests_in(text: str, inputs: Iterator[str] | list[str]) -> list[str]:
    """Return those of *inputs* whose SHA-256, or its first half, is in *text*, raw or in hex."""
    half = 16
    heads = {text[at : at + half] for at in range(len(text) - half + 1)}
    return [
        candidate
        for candidate in inputs
        if (digest := hashlib.sha256(candidate.encode()).digest())[:half].decode("latin-1") in heads
        or digest.hex()[:half] in heads
    ]


class CommandMonitor:
    """Context manager that returns a list of all commands that Redis receives in the block."""

    def __init__(self, target: Target) -> None:
        self._client = target.redis.client()
        self._commands: list[str] = []

    def __enter__(self) -> list[str]:
        self._monitor = self._client.monitor().__enter__()  # type: ignore[no-untyped-call]
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()
        return self._commands

    def _listen(self) -> None:
        for command in self._monitor.listen():
            self._commands.append(command["command"])
            if "end of monitoring" in command["command"]:
                return

    def __exit__(self, *_: object) -> None:
        self._client.echo("end of monitoring")
        self._thread.join()
        self._monitor.__exit__(None, None, None)
        self._client.close()
