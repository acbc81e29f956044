"""Users who sign in while servers are killed: their responses, the recovery time, and what is lost."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from support.call_history import Call, History, Recorder, Sms, group_by
from support.deployment import Answer, Deployment, new_phone

PAUSE = 0.1
"""Seconds that a user waits after `store_unavailable`; less than `Retry-After`."""


@dataclass(frozen=True)
class SignIn:
    """A completed verification; *at* is when its proof was issued (unix seconds)."""

    phone: str
    verification_id: str
    code: str
    proof: str
    at: float


@dataclass
class Crowd:
    """Users who sign in one after the other, in *threads* threads."""

    deployment: Deployment
    threads: int = 6
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
        threads = [threading.Thread(target=self._keep_signing_in) for _ in range(self.threads)]
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
        response = self.recorder.request(phone)
        if response.status not in (201, 202):
            return False
        vid, code = response.body["verification_id"], self.deployment.code(phone)
        approved = self.recorder.verify(phone, vid, code)
        if approved.status != 200:
            return False
        sign_in = SignIn(phone, vid, code, approved.body["proof"], time.time())
        self.signed_in.append(sign_in)
        if self.recorder.redeem(sign_in.proof).status == 200:
            self.redeemed.append(sign_in)
        return True

    # ── results ──

    def served_since(self, moment: float) -> int:
        """Return how many users who started after *moment* have signed in."""
        opened = [call for call in list(self.history.calls) if call.opened and call.began > moment]
        ids = {call.verification_id for call in opened}
        return sum(sign_in.verification_id in ids for sign_in in list(self.signed_in))

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

    def replay_everything(self) -> tuple[list[SignIn], list[SignIn]]:
        """Submit every code and redeem every proof again; return those that were accepted again."""
        codes, proofs = list(self.signed_in), list(self.redeemed)
        return (
            [sign_in for sign_in in codes if self._verify(sign_in).status == 200],
            [sign_in for sign_in in proofs if self.recorder.redeem(sign_in.proof).status == 200],
        )

    def _verify(self, sign_in: SignIn) -> Answer:
        return self.recorder.verify(sign_in.phone, sign_in.verification_id, sign_in.code)

    def complete_history(self) -> History:
        """Add the SMS of the sandbox and the log to the history, and return it."""
        phones = group_by(self.history.of("request"), lambda call: str(call.body["phone"]))
        self.history.sms = [Sms.read(row) for phone in phones for row in self.deployment.inbox(phone)]
        self.history.log = self.deployment.log.read_text(encoding="utf-8")
        return self.history
