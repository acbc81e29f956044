"""The history of a test (every call with its response, every SMS, the log), and rules that check it.

Tests make their calls through a `Recorder`. Then `check` examines the history from outside: the SMS
and the attempt of each proof, the evaluated guesses, the SMS of a phone in any window, and leaked secrets.

Calls that overlapped in time may have been processed in either order; the rules assume the valid order.
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
"""Called with a path, a body and headers, it makes a call with the key of one client."""

_NAMES = {"verify", "redeem", "cancel", "status", "unlock"}


@dataclass(frozen=True, slots=True)
class Call:
    """One call as its caller saw it; times in unix seconds. *answer* is None if there was none."""

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
    def response(self) -> Mapping[str, Any]:
        body = self.answer.body if self.answer else None
        return body if isinstance(body, dict) else {}

    @property
    def code(self) -> str:
        """The stable code of a problem; empty for a success."""
        return str(self.response.get("code", "")) if self.status >= 400 else ""

    @property
    def verification_id(self) -> str:
        """The verification id in the answer, or else in the request."""
        return str(self.response.get("verification_id") or self.body.get("verification_id") or "")

    @property
    def is_replay(self) -> bool:
        """Whether the response is the stored one of an earlier call with the same idempotency key."""
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
    """One SMS that the provider has accepted; *at* in unix seconds."""

    phone: str
    code: str
    verification_hash: str
    at: float

    @classmethod
    def read(cls, message: Mapping[str, Any]) -> Sms:
        """Return the SMS in a row of the sandbox's inbox."""
        at = datetime.fromisoformat(message["received_at"]).timestamp()
        return cls(message["phone"], message["code"], message["out_id"].split(".")[1], at)


@dataclass(frozen=True, slots=True)
class ExpectedLimits:
    """The limits that must hold; times in seconds. *slack* is the allowed difference between clocks."""

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
    """Everything that happened in a run. *hidden* are texts that must not occur anywhere: keys, addresses.

    *hash_of* returns the hash that replaces a verification id in logs and at the provider.
    """

    calls: list[Call] = field(default_factory=list)
    sms: list[Sms] = field(default_factory=list)
    log: str = ""
    hidden: set[str] = field(default_factory=set)
    hash_of: Callable[[str], str] = str

    def ids(self) -> set[str]:
        """Return the verification ids in answers."""
        return {call.verification_id for call in self.calls if call.opened}

    def id_of(self) -> Callable[[Sms], str]:
        """Return a function from an SMS to its verification id, or to the hash if no answer had the id."""
        known = {
            self.hash_of(call.verification_id): call.verification_id for call in self.calls if call.opened
        }
        return lambda sms: known.get(sms.verification_hash, sms.verification_hash)

    def of(self, *names: str) -> list[Call]:
        return [call for call in self.calls if call.name in names]


class Recorder:
    """Makes calls for one client and adds each to *history*. Thread-safe."""

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
        """Post *body*, an object or the bytes of one, and record the call."""
        began = self._clock()
        answer = None
        try:
            answer = self._post(path, body, **headers)
        finally:
            fields = body if isinstance(body, dict) else {}
            call = Call(_name(path, fields), self._client, fields, began, self._clock(), answer)
            with self._lock:
                self.history.calls.append(call)
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
    """Return the claims of a proof without checking its signature."""
    payload = proof.split(".", maxsplit=1)[0]
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return decoded


def check(history: History, limits: ExpectedLimits | None = None) -> None:
    """Check *history* with all rules.

    Raises:
        AssertionError: There are violations; the message has all of them.
    """
    found = violations(history, limits or ExpectedLimits())
    assert not found, "\n".join(found)


def violations(history: History, limits: ExpectedLimits) -> list[str]:
    """Return all violations of *limits* in *history*, one sentence each."""
    return [found for rule in RULES for found in rule(history, limits)]


# ── proofs ──


def every_proof_has_an_sms_and_a_right_attempt(history: History, limits: ExpectedLimits) -> Iterator[str]:
    sent = group_by(history.sms, history.id_of())
    opened = {call.verification_id: call for call in history.calls if call.opened}
    for call in history.calls:
        if call.name != "verify" or call.status != 200:
            continue
        vid, response = call.verification_id, call.response
        submitted = fold_code(str(call.body.get("code", "")))
        right = [
            sms
            for sms in sent.get(vid, ())
            if sms.phone == response.get("phone")
            and sms.code == submitted
            and sms.at <= call.ended + limits.slack
        ]
        if not right:
            yield f"{vid} was approved by a code that was in no SMS to its phone"
        proof_claims = claims(response["proof"])
        request = opened.get(vid)
        if (proof_claims["jti"], proof_claims["sub"], proof_claims["aud"]) != (
            vid,
            response["phone"],
            call.client,
        ):
            yield f"the proof of {vid} is for another verification, phone or client"
        if proof_claims["purpose"] != response["purpose"]:
            yield f"the proof of {vid} is for another purpose than its answer"
        if request and (request.client, request.response["purpose"]) != (
            call.client,
            proof_claims["purpose"],
        ):
            yield f"{vid} was approved for another client or purpose than it was created for"


def every_verification_is_approved_once(history: History, _: ExpectedLimits) -> Iterator[str]:
    approvals = Counter(call.verification_id for call in history.calls if call.approved)
    yield from (f"{vid} was approved {times} times" for vid, times in approvals.items() if times > 1)
    proofs = defaultdict[str, set[str]](set)
    for call in history.of("verify"):
        if call.status == 200:
            proofs[claims(call.response["proof"])["jti"]].add(call.response["proof"])
    yield from (f"{jti} has {len(found)} proofs" for jti, found in proofs.items() if len(found) > 1)


def every_proof_is_redeemed_once(history: History, _: ExpectedLimits) -> Iterator[str]:
    redeemed = [call for call in history.of("redeem") if call.status == 200]
    times = Counter(call.response["verification_id"] for call in redeemed if not call.is_replay)
    yield from (f"the proof of {jti} was redeemed {n} times" for jti, n in times.items() if n > 1)
    for call in redeemed:
        proof_claims, response = claims(call.body["proof"]), call.response
        facts = response["verification_id"], response["phone"], response["client"], response["purpose"]
        if (proof_claims["jti"], proof_claims["sub"], proof_claims["aud"], proof_claims["purpose"]) != facts:
            yield f"the proof of {proof_claims['jti']} was redeemed for something else"
        if (proof_claims["aud"], proof_claims["purpose"]) != (call.client, call.body["purpose"]):
            yield f"the proof of {proof_claims['jti']} was redeemed by a stranger or for another purpose"


def ended_verification_is_never_approved(history: History, _: ExpectedLimits) -> Iterator[str]:
    """No code is evaluated if its call began after the end of the verification was visible."""
    ended_at: dict[str, float] = {}
    for call in history.calls:
        vid = call.verification_id
        canceled = call.name == "cancel" and call.status == 204
        exhausted = call.was_wrong and call.response.get("attempts_left") == 0
        if canceled or exhausted or call.approved:
            ended_at[vid] = min(ended_at.get(vid, call.ended), call.ended)
    for call in history.calls:
        if (call.approved or call.was_wrong) and call.began > ended_at.get(call.verification_id, call.began):
            yield f"a code for {call.verification_id} was evaluated after its end"


# ── guesses ──


def no_verification_evaluates_too_many_guesses(history: History, limits: ExpectedLimits) -> Iterator[str]:
    for vid, calls in group_by(history.of("verify"), lambda call: call.verification_id).items():
        wrong = [call for call in calls if call.was_wrong]
        evaluated = len(wrong) + sum(call.approved for call in calls)
        if evaluated > limits.attempts:
            yield f"{evaluated} guesses were evaluated for {vid}"
        if len({call.response["attempts_left"] for call in wrong}) != len(wrong):
            yield f"two guesses for {vid} were counted as one"


def no_phone_has_too_many_consecutive_failures(history: History, limits: ExpectedLimits) -> Iterator[str]:
    for phone, calls in guesses_by_phone(history).items():
        consecutive = longest = 0
        for call in sorted([*calls, *unlocks(history, phone)], key=lambda call: call.ended):
            consecutive = consecutive + 1 if call.was_wrong else 0
            longest = max(longest, consecutive)
        if longest > limits.failures_in_a_row:
            yield f"{longest} consecutive wrong codes were evaluated for {phone}"


def no_verification_is_created_after_too_many_failures(
    history: History, limits: ExpectedLimits
) -> Iterator[str]:
    """The windows are checked at creation: an existing verification keeps its attempts."""
    failures = {
        phone: sorted((call for call in calls if call.was_wrong), key=lambda call: call.ended)
        for phone, calls in guesses_by_phone(history).items()
    }
    phones = phone_of_each(history)
    for call in history.calls:
        if not call.opened:
            continue
        phone = phones[call.verification_id]
        unlocked_at = max(
            (unlock.ended for unlock in unlocks(history, phone) if unlock.began < call.ended), default=0.0
        )
        for span, limit in ((HOUR, limits.failures_per_hour), (DAY, limits.failures_per_day)):
            since = max(unlocked_at, call.ended - span + limits.slack)
            known = [
                wrong for wrong in failures.get(phone, ()) if wrong.ended < call.began and wrong.began > since
            ]
            if len(known) >= limit:
                yield f"{call.verification_id} was created after {len(known)} failures in {span} s"


def guesses_by_phone(history: History) -> dict[str, list[Call]]:
    """Return every evaluated attempt, by phone."""
    phones = phone_of_each(history)
    evaluated = [call for call in history.of("verify") if call.approved or call.was_wrong]
    return group_by(evaluated, lambda call: phones.get(call.verification_id) or str(call.body.get("phone")))


def unlocks(history: History, phone: str) -> list[Call]:
    """Return the calls that unlocked a phone."""
    return [c for c in history.of("unlock") if c.body.get("phone") == phone and c.status in (200, 204)]


def phone_of_each(history: History) -> dict[str, str]:
    """Return the phone of every verification, from its SMS or else from its request."""
    requested = {call.verification_id: str(call.body.get("phone")) for call in history.calls if call.opened}
    id_of = history.id_of()
    return requested | {id_of(sms): sms.phone for sms in history.sms}


# ── sends ──


def no_phone_gets_too_many_sms(history: History, limits: ExpectedLimits) -> Iterator[str]:
    for phone, messages in group_by(history.sms, lambda sms: sms.phone).items():
        times = sorted(sms.at for sms in messages)
        for span, limit in ((HOUR, limits.sends_per_hour), (DAY, limits.sends_per_day)):
            most = most_within(times, span - limits.slack)
            if most > limit:
                yield f"{phone} got {most} SMS in {span} s"
        for place, (last, following) in enumerate(pairwise(times)):
            hourly = sum(at > last - HOUR + limits.slack for at in times[: place + 1])
            step = limits.cooldown[min(hourly, len(limits.cooldown)) - 1]
            if following < last + step - limits.slack:
                yield f"{phone} got an SMS {following - last:.1f} s after its {hourly}. of the hour"


def every_sms_was_requested(history: History, limits: ExpectedLimits) -> Iterator[str]:
    """A successful call sends one SMS; a call without a clear answer may have sent one."""
    requests = [call for call in history.of("request", "resend") if not call.is_replay]
    sent = Counter(call.verification_id for call in requests if call.status in (201, 202))
    unclear = sum(call.status == 0 or call.status >= 500 for call in requests)
    for vid, messages in group_by(history.sms, history.id_of()).items():
        unclear -= max(0, len(messages) - sent[vid])
        if len(messages) > limits.sends:
            yield f"{vid} caused {len(messages)} SMS"
        if len({(sms.phone, sms.code) for sms in messages}) > 1:
            yield f"the SMS of {vid} went to several phones or had several codes"
    if unclear < 0:
        yield f"{-unclear} SMS were sent without a request"


def most_within(times: Sequence[float], span: float) -> int:
    """Return the largest number of *times* (ascending) in any window shorter than *span*."""
    most = first = 0
    for last, at in enumerate(times):
        while times[first] <= at - span:
            first += 1
        most = max(most, last - first + 1)
    return most


# ── answers and log ──


def every_failure_is_a_problem_document(history: History, _: ExpectedLimits) -> Iterator[str]:
    for call in history.calls:
        if call.status < 400:
            continue
        media_type = _header(call.answer, "Content-Type")
        if call.status >= 500 and call.status not in (502, 503):
            yield f"{call.name} was answered with {call.status}"
        if media_type.partition(";")[0] != "application/problem+json" or not call.code:
            yield f"the {call.status} of {call.name} is not a problem document but {media_type}"


def no_answer_and_no_log_contains_a_secret(history: History, _: ExpectedLimits) -> Iterator[str]:
    codes = {sms.code for sms in history.sms}
    for call in history.calls:
        if call.answer:
            text = call.answer.text + repr(call.answer.headers)
            yield from (f"{call.name} returned a code" for _ in codes & codes_in(text))
            yield from (f"{call.name} returned a secret" for secret in history.hidden if secret in text)
    yield from ("the log contains a code" for _ in codes & codes_in(history.log))
    yield from ("the log contains a secret" for secret in history.hidden if secret in history.log)
    phones = {sms.phone for sms in history.sms}
    yield from (f"the log contains the number {found}" for found in phones & numbers_in(history.log))
    proofs = {str(call.response["proof"]) for call in history.calls if "proof" in call.response}
    yield from ("the log contains a proof" for proof in proofs if proof in history.log)
    yield from ("the log contains a verification id" for known in history.ids() if known in history.log)


_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")  # the provider's request ids
_RANDOM = re.compile(
    rf"{_UUID.pattern}"
    r"|(?=[\w-]*[A-Za-z])[\w-]{16,}"  # ids, hashes, parts of proofs may contain six digits by chance
)
_SIX = re.compile(r"(?<![0-9A-Za-z])[0-9A-Za-z]{6}(?![0-9A-Za-z])|(?<!\d)\d{6}(?!\d)")
_NUMBER = re.compile(r"(?<!\d)(?:\+?86)?[\s().%-]*(1(?:[\s().%-]*\d){10})(?!\d)")


def codes_in(text: str) -> set[str]:
    """Return all texts in *text* that may be codes."""
    return {found.upper() for found in _SIX.findall(_RANDOM.sub("~", text))}


def numbers_in(text: str) -> set[str]:
    """Return every mainland mobile number in *text*, in any spelling, as E.164."""
    return {"+86" + re.sub(r"\D", "", found) for found in _NUMBER.findall(_UUID.sub("~", text))}


def group_by(things: Iterable[T], name: Callable[[T], str]) -> dict[str, list[T]]:
    """Return *things* grouped by the result of *name*."""
    groups: dict[str, list[T]] = {}
    for thing in things:
        groups.setdefault(name(thing), []).append(thing)
    return groups


Rule = Callable[[History, ExpectedLimits], Iterator[str]]

RULES: tuple[Rule, ...] = (
    every_proof_has_an_sms_and_a_right_attempt,
    every_verification_is_approved_once,
    every_proof_is_redeemed_once,
    ended_verification_is_never_approved,
    no_verification_evaluates_too_many_guesses,
    no_phone_has_too_many_consecutive_failures,
    no_verification_is_created_after_too_many_failures,
    no_phone_gets_too_many_sms,
    every_sms_was_requested,
    every_failure_is_a_problem_document,
    no_answer_and_no_log_contains_a_secret,
)
