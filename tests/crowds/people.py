"""Users who want to log in, as coroutines for a simulation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random  # noqa: TID251 - nothing secret: the same people come every time

from support.service_on_redis import Behavior, Simulation

from otp_service.domain.errors import CooldownActive, WrongCode
from otp_service.services.verification import SendOutcome


@dataclass
class Crowd:
    """Users behind one *address*, each with their own phone."""

    simulation: Simulation
    address: str
    random: Random = field(default_factory=lambda: Random(2026))  # noqa: S311 - as above

    def phones(self, count: int, prefixes: int) -> Iterator[str]:
        """Return *count* numbers, spread over *prefixes* prefixes of seven digits."""
        chosen_prefixes = self.random.sample(range(1380000, 1389999), prefixes)
        endings = self.random.sample(range(10_000), -(-count // prefixes))
        numbers = [f"+86{prefix}{ending:04d}" for ending in endings for prefix in chosen_prefixes]
        return iter(self.random.sample(numbers, count))

    def choose_behavior(self, shares: dict[Callable[[str], Behavior], float]) -> Callable[[str], Behavior]:
        """Choose the behavior of one user; *shares* maps behaviors to probabilities."""
        (chosen,) = self.random.choices(list(shares), list(shares.values()))
        return chosen

    # ── behaviors ──

    def log_in(self, phone: str) -> Behavior:
        """Request a code, read it and submit it."""
        sent, code = self._request_code(phone)
        yield self._reading()
        self.simulation.verify(phone, self.address, sent, code)

    def walk_away(self, phone: str) -> Behavior:
        """Request a code and do not submit it."""
        self._request_code(phone)
        yield 0

    def mistype_once(self, phone: str) -> Behavior:
        """Submit a wrong code, then the right one."""
        return self._mistype(phone, 1)

    def mistype_twice(self, phone: str) -> Behavior:
        """Submit two wrong codes, then the right one."""
        return self._mistype(phone, 2)

    def lose_two_sms(self, phone: str) -> Behavior:
        """Miss two SMS; resend as soon as the answer allows it."""
        sent, _ = self._request_code(phone)
        for _ in range(2):
            yield resend_delay(sent)
            sent = self.simulation.resend(phone, self.address, sent)
        code = self.simulation.sender.last_code
        yield self._reading()
        self.simulation.verify(phone, self.address, sent, code)

    def click_repeatedly(self, phone: str) -> Behavior:
        """Click three more times on "new code" before the first one arrives, then submit that one."""
        sent, code = self._request_code(phone)
        waits = []
        for _ in range(3):
            yield 4
            waits.append(self._refused_for_seconds(phone))
        # Each refusal has the exact time until the minute is over.
        assert waits[0] - waits[1] in ticks_of(4, self.simulation.tick)
        assert waits[1] - waits[2] in ticks_of(4, self.simulation.tick)
        yield self._reading()
        self.simulation.verify(phone, self.address, sent, code)

    # ── helpers ──

    def _request_code(self, phone: str) -> tuple[SendOutcome, str]:
        sent = self.simulation.request(phone, self.address)
        return sent, self.simulation.sender.last_code

    def _mistype(self, phone: str, times: int) -> Behavior:
        sent, code = self._request_code(phone)
        for place in range(times):
            yield self._reading()
            self._type_wrong(phone, sent, f"{(int(code) + 10**place) % 10**6:06d}", 4 - place)
        yield self._reading()
        self.simulation.verify(phone, self.address, sent, code)

    def _type_wrong(self, phone: str, sent: SendOutcome, wrong: str, left: int) -> None:
        try:
            self.simulation.verify(phone, self.address, sent, wrong)
        except WrongCode as answer:
            assert answer.attempts_left == left  # noqa: PT017 - its facts are what is looked at
            return
        raise AssertionError("a wrong code was taken for the right one")

    def _refused_for_seconds(self, phone: str) -> int:
        try:
            self.simulation.request(phone, self.address)
        except CooldownActive as answer:
            return answer.retry_after
        raise AssertionError("a second SMS within a minute")

    def _reading(self) -> float:
        """Return the seconds until an SMS has arrived and was typed: usually about twenty."""
        return min(5 + self.random.expovariate(1 / 15), 120)


def resend_delay(sent: SendOutcome) -> float:
    """Return the seconds until another SMS may be requested, according to the response."""
    resend_at = sent.verification.resend_at
    assert resend_at is not None
    return resend_at - sent.verification.now


def ticks_of(seconds: int, tick: int) -> set[int]:
    """Return the values that *seconds* can have on a clock with this *tick*."""
    return {seconds // tick * tick, -(-seconds // tick) * tick}
