"""People: what those do who only want to log in, as stories for a stage."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random  # noqa: TID251 - people come at random, and the same ones every time

from stage import Stage, Story

from otp_service.errors import WrongCode
from otp_service.service import Sent


@dataclass
class Crowd:
    """People behind one *address*, each with a phone of their own."""

    stage: Stage
    random: Random
    address: str

    def phones(self, count: int, prefixes: int) -> Iterator[str]:
        """Yield *count* numbers, spread over so many prefixes of seven digits."""
        firsts = self.random.sample(range(1380000, 1389999), prefixes)
        lasts = self.random.sample(range(10_000), -(-count // prefixes))
        numbers = [f"+86{first}{last:04d}" for last in lasts for first in firsts]
        return iter(self.random.sample(numbers, count))

    def logs_in(self, phone: str) -> Story:
        """Ask for a code, read it, type it."""
        sent = self.stage.request(phone, self.address)
        code = self.stage.sender.last_code
        yield self._reading()
        self.stage.verify(phone, self.address, sent, code)

    def mistypes(self, phone: str, times: int = 1) -> Story:
        """Ask for a code, type it wrong, then right."""
        sent = self.stage.request(phone, self.address)
        code = self.stage.sender.last_code
        for _ in range(times):
            yield self._reading()
            self._mistype(phone, sent, code)
        yield self._reading()
        self.stage.verify(phone, self.address, sent, code)

    def walks_away(self, phone: str) -> Story:
        """Ask for a code and think better of it."""
        self.stage.request(phone, self.address)
        yield 0

    def _reading(self) -> float:
        """Return the seconds until an SMS has come and was typed: often ten, hardly ever a hundred."""
        return min(5 + self.random.expovariate(1 / 15), 200)

    def _mistype(self, phone: str, sent: Sent, code: str) -> None:
        wrong = f"{(int(code) + 10 ** self.random.randrange(6)) % 10**6:06d}"
        try:
            self.stage.verify(phone, self.address, sent, wrong)
        except WrongCode:
            return
        raise AssertionError("a wrong code was taken for the right one")
