"""People: what those do who only want to log in, as stories for a stage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random  # noqa: TID251 - nothing secret: the same people come every time

from support.service_on_redis import Stage, Story

from otp_service.domain.errors import CooldownActive, WrongCode
from otp_service.services.verification import SendOutcome


@dataclass
class Crowd:
    """People behind one *address*, each with a phone of their own."""

    stage: Stage
    address: str
    random: Random = field(default_factory=lambda: Random(2026))  # noqa: S311 - as above

    def phones(self, count: int, prefixes: int) -> Iterator[str]:
        """Return *count* numbers, spread over so many prefixes of seven digits."""
        firsts = self.random.sample(range(1380000, 1389999), prefixes)
        lasts = self.random.sample(range(10_000), -(-count // prefixes))
        numbers = [f"+86{first}{last:04d}" for last in lasts for first in firsts]
        return iter(self.random.sample(numbers, count))

    def one_of(self, shares: dict[Callable[[str], Story], float]) -> Callable[[str], Story]:
        """Return what one person does, by the shares of those who do it."""
        (chosen,) = self.random.choices(list(shares), list(shares.values()))
        return chosen

    # ── what they do ──

    def log_in(self, phone: str) -> Story:
        """Ask for a code, read it, type it."""
        sent, code = self._ask(phone)
        yield self._reading()
        self.stage.verify(phone, self.address, sent, code)

    def walk_away(self, phone: str) -> Story:
        """Ask for a code and think better of it."""
        self._ask(phone)
        yield 0

    def mistype_once(self, phone: str) -> Story:
        """Type the code wrong, then right."""
        return self._mistype(phone, 1)

    def mistype_twice(self, phone: str) -> Story:
        """Type the code wrong twice, then right."""
        return self._mistype(phone, 2)

    def lose_two_sms(self, phone: str) -> Story:
        """Wait for an SMS that does not come, ask again as soon as told, and once more."""
        sent, _ = self._ask(phone)
        for _ in range(2):
            yield wait_of(sent)
            sent = self.stage.resend(phone, self.address, sent)
        code = self.stage.sender.last_code
        yield self._reading()
        self.stage.verify(phone, self.address, sent, code)

    def click_on(self, phone: str) -> Story:
        """Click three times more on "new code" before the first one has come, then type that."""
        sent, code = self._ask(phone)
        told = []
        for _ in range(3):
            yield 4
            told.append(self._refusal_of_a_click(phone))
        # Each of them was told the truth: how long it is until the minute is over.
        assert told[0] - told[1] in ticks_of(4, self.stage.tick)
        assert told[1] - told[2] in ticks_of(4, self.stage.tick)
        yield self._reading()
        self.stage.verify(phone, self.address, sent, code)

    # ── how ──

    def _ask(self, phone: str) -> tuple[SendOutcome, str]:
        sent = self.stage.request(phone, self.address)
        return sent, self.stage.sender.last_code

    def _mistype(self, phone: str, times: int) -> Story:
        sent, code = self._ask(phone)
        for place in range(times):
            yield self._reading()
            self._type_wrong(phone, sent, f"{(int(code) + 10**place) % 10**6:06d}", 4 - place)
        yield self._reading()
        self.stage.verify(phone, self.address, sent, code)

    def _type_wrong(self, phone: str, sent: SendOutcome, wrong: str, left: int) -> None:
        try:
            self.stage.verify(phone, self.address, sent, wrong)
        except WrongCode as answer:
            assert answer.attempts_left == left  # noqa: PT017 - its facts are what is looked at
            return
        raise AssertionError("a wrong code was taken for the right one")

    def _refusal_of_a_click(self, phone: str) -> int:
        try:
            self.stage.request(phone, self.address)
        except CooldownActive as answer:
            return answer.retry_after
        raise AssertionError("a second SMS within a minute")

    def _reading(self) -> float:
        """Return the seconds until an SMS has come and was typed: often twenty, hardly ever a hundred."""
        return min(5 + self.random.expovariate(1 / 15), 120)


def wait_of(sent: SendOutcome) -> float:
    """Return the seconds until another SMS may be asked for, as the answer says."""
    resend_at = sent.verification.resend_at
    assert resend_at is not None
    return resend_at - sent.verification.now


def ticks_of(seconds: int, tick: int) -> set[int]:
    """Return what *seconds* can be on a clock that moves in ticks."""
    return {seconds // tick * tick, -(-seconds // tick) * tick}
