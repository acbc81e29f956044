"""Users who sign in while servers die: which answers they get, when service resumes, what is lost."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from support.call_history import Call, History, Recorder, Sms, group_by
from support.deployment import Answer, Deployment, new_phone

PAUSE = 0.1
"""Seconds that a user waits after `store_unavailable`; less than `Retry-After` says."""


@dataclass(frozen=True)
class SignIn:
    """A user who got a proof, at *at* (unix seconds)."""

    phone: str
    verification_id: str
    code: str
    proof: str
    at: float


@dataclass
class Crowd:
    """Users who sign in one after the other, in *people* threads."""

    deployment: Deployment
    people: int = 6
    history: History = field(default_factory=History)
    signed_in: list[SignIn] = field(default_factory=list)
    redeemed: list[SignIn] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.history.hash_of = self.deployment.verification_hash
        self.recorder = Recorder(self.deployment.post, self.history)
        self._stop = threading.Event()

    @contextmanager
    def signing_in(self) -> Iterator[None]:
        """Let users sign in until the block ends."""
        threads = [threading.Thread(target=self._keep_signing_in) for _ in range(self.people)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _keep_signing_in(self) -> None:
        while not self._stop.is_set():
            if not self._sign_in(new_phone()):
                time.sleep(PAUSE)

    def _sign_in(self, phone: str) -> bool:
        opened = self.recorder.request(phone)
        if opened.status not in (201, 202):
            return False
        vid, code = opened.body["verification_id"], self.deployment.code(phone)
        approved = self.recorder.verify(phone, vid, code)
        if approved.status != 200:
            return False
        one = SignIn(phone, vid, code, approved.body["proof"], time.time())
        self.signed_in.append(one)
        if self.recorder.redeem(one.proof).status == 200:
            self.redeemed.append(one)
        return True

    # ── results ──

    def served_since(self, moment: float) -> int:
        """Return how many users who came after *moment* have signed in."""
        opened = [call for call in list(self.history.calls) if call.opened and call.began > moment]
        asked = {call.verification_id for call in opened}
        return sum(one.verification_id in asked for one in list(self.signed_in))

    def recovery(self, moment: float) -> float:
        """Return the seconds from *moment* to the end of the last failed call after it."""
        return max((call.ended - moment for call in self.failed() if call.ended > moment), default=0.0)

    def failed(self) -> list[Call]:
        return [call for call in self.history.calls if call.status == 503]

    def forgotten(self) -> list[Call]:
        """Return the calls for verifications that the store has lost."""
        return [call for call in self.history.calls if call.code == "verification_not_found"]

    def outcomes(self) -> Counter[int]:
        return Counter(call.status for call in self.history.calls)

    def try_again(self) -> tuple[list[SignIn], list[SignIn]]:
        """Submit every code and redeem every proof again; return those that were accepted again."""
        codes, proofs = list(self.signed_in), list(self.redeemed)
        return (
            [one for one in codes if self._is_accepted(lambda: self._verify(one))],  # noqa: B023 - called at once
            [one for one in proofs if self._is_accepted(lambda: self.recorder.redeem(one.proof))],  # noqa: B023
        )

    def _verify(self, one: SignIn) -> Answer:
        return self.recorder.verify(one.phone, one.verification_id, one.code)

    @staticmethod
    def _is_accepted(call: Callable[[], Answer]) -> bool:
        return call().status == 200

    def written(self) -> History:
        """Return the history with the SMS from the sandbox and the log."""
        phones = group_by(self.history.of("request"), lambda call: str(call.body["phone"]))
        self.history.sms = [Sms.read(row) for phone in phones for row in self.deployment.inbox(phone)]
        self.history.log = self.deployment.log.read_text(encoding="utf-8")
        return self.history
