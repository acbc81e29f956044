"""History: every call with its answer, every SMS, the log; and the proof that nothing in it is unsound.

Tests make their calls through a `Recorder`. At their end `check` reads what happened as an outsider would who
knows nothing but the promises: which proof stands on which SMS and which attempt, how many guesses were
evaluated, how many SMS a phone got in any window, and that no secret came out anywhere.

Whatever overlapped in time is judged in favour of the service: an order that nobody saw proves nothing.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any, TypeVar

from support.deployment import Answer

from otp_service.domain.text_normalization import fold_code

HOUR, DAY = 3600, 86_400

T = TypeVar("T")

Post = Callable[..., Answer]
"""Posts a body to a path, with headers; already knows the key."""

_NAMES = {"verify", "redeem", "cancel", "status", "unlock"}


@dataclass(frozen=True, slots=True)
class Call:
    """One call as its caller saw it; times in unix seconds. Without an *answer* it got none."""

    name: str
    client: str
    body: Mapping[str, Any]
    began: float
    ended: float
    answer: Answer | None

    @property
    def status(self) -> int:
        return self.answer.status if self.answer else 0

    @property
    def told(self) -> Mapping[str, Any]:
        body = self.answer.body if self.answer else None
        return body if isinstance(body, dict) else {}

    @property
    def code(self) -> str:
        """The stable code of a problem; empty for a success."""
        return str(self.told.get("code", "")) if self.status >= 400 else ""

    @property
    def verification_id(self) -> str:
        """The one that the call was about, or led to."""
        return str(self.told.get("verification_id") or self.body.get("verification_id") or "")

    @property
    def is_replay(self) -> bool:
        """Whether it repeats what an earlier call was answered."""
        return bool(self.answer) and _header(self.answer, "Idempotency-Replayed") == "true"

    @property
    def opened(self) -> bool:
        return self.name == "request" and self.status in (201, 202) and not self.is_replay

    @property
    def approved(self) -> bool:
        return self.name == "verify" and self.status == 200 and not self.is_replay

    @property
    def was_wrong(self) -> bool:
        return self.name == "verify" and self.code == "wrong_code"


@dataclass(frozen=True, slots=True)
class Sms:
    """One SMS as the provider took it; *at* in unix seconds, to the second or better."""

    phone: str
    code: str
    verification_hash: str
    at: float

    @classmethod
    def read(cls, message: Mapping[str, Any]) -> Sms:
        """Return the SMS that a row of the sandbox's inbox stands for."""
        at = datetime.fromisoformat(message["received_at"]).timestamp()
        return cls(message["phone"], message["code"], message["out_id"].split(".")[1], at)


@dataclass(frozen=True, slots=True)
class Promise:
    """What must hold; times in seconds. *slack* is by how much two clocks may read apart."""

    attempts: int = 5
    sends: int = 4
    cooldown: tuple[int, ...] = (60, 60, 120, 300)
    sends_per_hour: int = 5
    sends_per_day: int = 10
    failures_per_hour: int = 10
    failures_per_day: int = 20
    failures_in_a_row: int = 100
    slack: float = 2.0


@dataclass(slots=True)
class History:
    """Everything that is known of a run. *hidden* are texts that may stand nowhere: keys, addresses.

    *hash_of* returns what stands for a verification id where the id itself may not stand.
    """

    calls: list[Call] = field(default_factory=list)
    sms: list[Sms] = field(default_factory=list)
    log: str = ""
    hidden: set[str] = field(default_factory=set)
    hash_of: Callable[[str], str] = str

    def ids(self) -> set[str]:
        """Return the verification ids that callers were told."""
        return {call.verification_id for call in self.calls if call.opened}

    def id_of(self) -> Callable[[Sms], str]:
        """Return what finds the verification id of an SMS; its hash where no caller was told the id."""
        known = {
            self.hash_of(call.verification_id): call.verification_id for call in self.calls if call.opened
        }
        return lambda sms: known.get(sms.verification_hash, sms.verification_hash)

    def of(self, *names: str) -> list[Call]:
        return [call for call in self.calls if call.name in names]


class Recorder:
    """Makes calls for one client and keeps each in *history*; safe to share between threads."""

    def __init__(
        self, post: Post, history: History, client: str = "shop", clock: Callable[[], float] = time.time
    ) -> None:
        self._post = post
        self._client = client
        self._clock = clock
        self._lock = threading.Lock()
        self.history = history

    def request(self, phone: str, purpose: str = "login", **more: Any) -> Answer:
        return self.call("/otp/request", {"phone": phone, "purpose": purpose, **more})

    def resend(self, phone: str, verification_id: str, **more: Any) -> Answer:
        return self.call("/otp/request", {"phone": phone, "verification_id": verification_id, **more})

    def verify(self, phone: str, verification_id: str, code: str, **more: Any) -> Answer:
        return self.call(
            "/otp/verify", {"phone": phone, "verification_id": verification_id, "code": code, **more}
        )

    def redeem(self, proof: str, purpose: str = "login") -> Answer:
        return self.call("/otp/redeem", {"proof": proof, "purpose": purpose})

    def cancel(self, phone: str, verification_id: str) -> Answer:
        return self.call("/otp/cancel", {"phone": phone, "verification_id": verification_id})

    def status(self, phone: str, verification_id: str) -> Answer:
        return self.call("/otp/status", {"phone": phone, "verification_id": verification_id})

    def call(self, path: str, body: object, **headers: str) -> Answer:
        """Post *body*, an object or the bytes of one, and remember how it went."""
        began = self._clock()
        answer = None
        try:
            answer = self._post(path, body, **headers)
        finally:
            fields = body if isinstance(body, dict) else {}
            made = Call(_name(path, fields), self._client, fields, began, self._clock(), answer)
            with self._lock:
                self.history.calls.append(made)
        return answer


def _name(path: str, fields: Mapping[str, Any]) -> str:
    last = path.partition("?")[0].rpartition("/")[2]
    if last == "request":
        return "resend" if fields.get("verification_id") is not None else "request"
    return last if last in _NAMES else "other"


def _header(answer: Answer | None, name: str) -> str:
    headers = answer.headers if answer else {}
    return next((value for key, value in headers.items() if key.lower() == name.lower()), "")


def claims(proof: str) -> dict[str, Any]:
    """Return what a proof says, whoever signed it."""
    payload = proof.split(".", maxsplit=1)[0]
    read: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return read


def check(history: History, promise: Promise | None = None) -> None:
    """Prove that *history* is sound.

    Raises:
        AssertionError: with everything in it that must not be.
    """
    found = findings(history, promise or Promise())
    assert not found, "\n".join(found)


def findings(history: History, promise: Promise) -> list[str]:
    """Return everything in *history* that *promise* rules out, a sentence each."""
    return [found for rule in RULES for found in rule(history, promise)]


# ── proofs ──


def every_proof_stands_on_an_sms_and_a_right_attempt(history: History, promise: Promise) -> Iterator[str]:
    sent = by(history.sms, history.id_of())
    opened = {call.verification_id: call for call in history.calls if call.opened}
    for call in history.calls:
        if call.name != "verify" or call.status != 200:
            continue
        vid, told = call.verification_id, call.told
        submitted = fold_code(str(call.body.get("code", "")))
        right = [
            sms
            for sms in sent.get(vid, ())
            if sms.phone == told.get("phone")
            and sms.code == submitted
            and sms.at <= call.ended + promise.slack
        ]
        if not right:
            yield f"{vid} was approved by a code that no SMS had carried to its phone"
        says = claims(told["proof"])
        beginning = opened.get(vid)
        if (says["jti"], says["sub"], says["aud"]) != (vid, told["phone"], call.client):
            yield f"the proof of {vid} speaks of another verification, phone or client"
        if says["purpose"] != told["purpose"]:
            yield f"the proof of {vid} is for another purpose than its answer says"
        if beginning and (beginning.client, beginning.told["purpose"]) != (call.client, says["purpose"]):
            yield f"{vid} was approved for another client or purpose than it was opened for"


def every_verification_is_approved_once(history: History, _: Promise) -> Iterator[str]:
    approvals = Counter(call.verification_id for call in history.calls if call.approved)
    yield from (f"{vid} was approved {times} times" for vid, times in approvals.items() if times > 1)
    proofs = defaultdict[str, set[str]](set)
    for call in history.of("verify"):
        if call.status == 200:
            proofs[claims(call.told["proof"])["jti"]].add(call.told["proof"])
    yield from (f"{jti} has {len(found)} proofs" for jti, found in proofs.items() if len(found) > 1)


def every_proof_is_redeemed_once(history: History, _: Promise) -> Iterator[str]:
    redeemed = [call for call in history.of("redeem") if call.status == 200]
    times = Counter(call.told["verification_id"] for call in redeemed if not call.is_replay)
    yield from (f"the proof of {jti} was redeemed {n} times" for jti, n in times.items() if n > 1)
    for call in redeemed:
        says, told = claims(call.body["proof"]), call.told
        facts = told["verification_id"], told["phone"], told["client"], told["purpose"]
        if (says["jti"], says["sub"], says["aud"], says["purpose"]) != facts:
            yield f"the proof of {says['jti']} was redeemed for something else"
        if (says["aud"], says["purpose"]) != (call.client, call.body["purpose"]):
            yield f"the proof of {says['jti']} was redeemed by a stranger or for another purpose"


def what_has_ended_is_never_approved(history: History, _: Promise) -> Iterator[str]:
    """Nothing is evaluated any more that began after its verification was seen to have ended."""
    over: dict[str, float] = {}
    for call in history.calls:
        vid = call.verification_id
        canceled = call.name == "cancel" and call.status == 204
        exhausted = call.was_wrong and call.told.get("attempts_left") == 0
        if canceled or exhausted or call.approved:
            over[vid] = min(over.get(vid, call.ended), call.ended)
    for call in history.calls:
        if (call.approved or call.was_wrong) and call.began > over.get(call.verification_id, call.began):
            yield f"a code for {call.verification_id} was evaluated after its end"


# ── guesses ──


def no_verification_takes_more_guesses_than_it_has(history: History, promise: Promise) -> Iterator[str]:
    for vid, calls in by(history.of("verify"), lambda call: call.verification_id).items():
        wrong = [call for call in calls if call.was_wrong]
        evaluated = len(wrong) + sum(call.approved for call in calls)
        if evaluated > promise.attempts:
            yield f"{evaluated} guesses were evaluated for {vid}"
        if len({call.told["attempts_left"] for call in wrong}) != len(wrong):
            yield f"two guesses for {vid} were counted as one"


def no_phone_takes_too_many_failures_in_a_row(history: History, promise: Promise) -> Iterator[str]:
    for phone, calls in guesses_by_phone(history).items():
        streak = longest = 0
        for call in sorted([*calls, *unlocks(history, phone)], key=lambda call: call.ended):
            streak = streak + 1 if call.was_wrong else 0
            longest = max(longest, streak)
        if longest > promise.failures_in_a_row:
            yield f"{longest} wrong codes in a row were evaluated for {phone}"


def no_verification_opens_after_too_many_failures(history: History, promise: Promise) -> Iterator[str]:
    """The windows stand at the door: whoever holds a verification already keeps its attempts."""
    failures = {
        phone: sorted((call for call in calls if call.was_wrong), key=lambda call: call.ended)
        for phone, calls in guesses_by_phone(history).items()
    }
    phones = phone_of_each(history)
    for call in history.calls:
        if not call.opened:
            continue
        phone = phones[call.verification_id]
        forgiven = max((one.ended for one in unlocks(history, phone) if one.began < call.ended), default=0.0)
        for span, limit in ((HOUR, promise.failures_per_hour), (DAY, promise.failures_per_day)):
            since = max(forgiven, call.ended - span + promise.slack)
            known = [
                wrong for wrong in failures.get(phone, ()) if wrong.ended < call.began and wrong.began > since
            ]
            if len(known) >= limit:
                yield f"{call.verification_id} was opened {len(known)} failures into {span} s"


def guesses_by_phone(history: History) -> dict[str, list[Call]]:
    """Return every attempt that was evaluated, by the phone that it was about."""
    phones = phone_of_each(history)
    evaluated = [call for call in history.of("verify") if call.approved or call.was_wrong]
    return by(evaluated, lambda call: phones.get(call.verification_id) or str(call.body.get("phone")))


def unlocks(history: History, phone: str) -> list[Call]:
    """Return the calls by which an operator forgave a phone its failures."""
    return [c for c in history.of("unlock") if c.body.get("phone") == phone and c.status in (200, 204)]


def phone_of_each(history: History) -> dict[str, str]:
    """Return the phone of every verification, as the SMS knows it, else as the caller wrote it."""
    written = {call.verification_id: str(call.body.get("phone")) for call in history.calls if call.opened}
    id_of = history.id_of()
    return written | {id_of(sms): sms.phone for sms in history.sms}


# ── sends ──


def no_phone_gets_too_many_sms(history: History, promise: Promise) -> Iterator[str]:
    for phone, messages in by(history.sms, lambda sms: sms.phone).items():
        times = sorted(sms.at for sms in messages)
        for span, limit in ((HOUR, promise.sends_per_hour), (DAY, promise.sends_per_day)):
            most = most_within(times, span - promise.slack)
            if most > limit:
                yield f"{phone} got {most} SMS in {span} s"
        for place, (last, following) in enumerate(pairwise(times)):
            hourly = sum(at > last - HOUR + promise.slack for at in times[: place + 1])
            step = promise.cooldown[min(hourly, len(promise.cooldown)) - 1]
            if following < last + step - promise.slack:
                yield f"{phone} got an SMS {following - last:.1f} s after its {hourly}. of the hour"


def every_sms_was_asked_for(history: History, promise: Promise) -> Iterator[str]:
    """One answered call, one SMS; a call without a clear answer may have caused one, too."""
    asked = [call for call in history.of("request", "resend") if not call.is_replay]
    told = Counter(call.verification_id for call in asked if call.status in (201, 202))
    unclear = sum(call.status == 0 or call.status >= 500 for call in asked)
    for vid, messages in by(history.sms, history.id_of()).items():
        unclear -= max(0, len(messages) - told[vid])
        if len(messages) > promise.sends:
            yield f"{vid} caused {len(messages)} SMS"
        if len({(sms.phone, sms.code) for sms in messages}) > 1:
            yield f"the SMS of {vid} went to several phones or had several codes"
    if unclear < 0:
        yield f"{-unclear} SMS were sent that nobody had asked for"


def most_within(times: Sequence[float], span: float) -> int:
    """Return the most of *times* (ascending) that lie in any window shorter than *span*."""
    most = first = 0
    for last, at in enumerate(times):
        while times[first] <= at - span:
            first += 1
        most = max(most, last - first + 1)
    return most


# ── what comes out ──


def every_failure_is_a_problem_document(history: History, _: Promise) -> Iterator[str]:
    for call in history.calls:
        if call.status < 400:
            continue
        media_type = _header(call.answer, "Content-Type")
        if call.status >= 500 and call.status not in (502, 503):
            yield f"{call.name} was answered with {call.status}"
        if media_type.partition(";")[0] != "application/problem+json" or not call.code:
            yield f"the {call.status} of {call.name} is no problem document, but {media_type}"


def no_answer_and_no_log_holds_a_secret(history: History, _: Promise) -> Iterator[str]:
    codes = {sms.code for sms in history.sms}
    for call in history.calls:
        if call.answer:
            text = call.answer.text + repr(call.answer.headers)
            yield from (f"{call.name} told a code" for _ in codes & codes_in(text))
            yield from (f"{call.name} told a secret" for secret in history.hidden if secret in text)
    yield from ("the log holds a code" for _ in codes & codes_in(history.log))
    yield from ("the log holds a secret" for secret in history.hidden if secret in history.log)
    phones = {sms.phone for sms in history.sms}
    yield from (f"the log holds the number {found}" for found in phones & numbers_in(history.log))
    proofs = {str(call.told["proof"]) for call in history.calls if "proof" in call.told}
    yield from ("the log holds a proof" for proof in proofs if proof in history.log)
    yield from ("the log holds a verification id" for known in history.ids() if known in history.log)


_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")  # the provider's request ids
_RANDOM = re.compile(
    rf"{_UUID.pattern}"
    r"|(?=[\w-]*[A-Za-z])[\w-]{16,}"  # ids, tags, parts of proofs: six digits stand in them by chance
)
_SIX = re.compile(r"(?<![0-9A-Za-z])[0-9A-Za-z]{6}(?![0-9A-Za-z])|(?<!\d)\d{6}(?!\d)")
_NUMBER = re.compile(r"(?<!\d)(?:\+?86)?[\s().%-]*(1(?:[\s().%-]*\d){10})(?!\d)")


def codes_in(text: str) -> set[str]:
    """Return everything in *text* that may be a code."""
    return {found.upper() for found in _SIX.findall(_RANDOM.sub("~", text))}


def numbers_in(text: str) -> set[str]:
    """Return every mobile number of the mainland in *text*, in E.164, however it is spelled."""
    return {"+86" + re.sub(r"\D", "", found) for found in _NUMBER.findall(_UUID.sub("~", text))}


def by(things: Iterable[T], name: Callable[[T], str]) -> dict[str, list[T]]:
    """Return *things* in groups of one *name* each."""
    groups: dict[str, list[T]] = {}
    for thing in things:
        groups.setdefault(name(thing), []).append(thing)
    return groups


Rule = Callable[[History, Promise], Iterator[str]]

RULES: tuple[Rule, ...] = (
    every_proof_stands_on_an_sms_and_a_right_attempt,
    every_verification_is_approved_once,
    every_proof_is_redeemed_once,
    what_has_ended_is_never_approved,
    no_verification_takes_more_guesses_than_it_has,
    no_phone_takes_too_many_failures_in_a_row,
    no_verification_opens_after_too_many_failures,
    no_phone_gets_too_many_sms,
    every_sms_was_asked_for,
    every_failure_is_a_problem_document,
    no_answer_and_no_log_holds_a_secret,
)
