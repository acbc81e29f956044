"""Simulated pumping: an attacker who never verifies, while normal users sign in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random  # noqa: TID251 - nothing secret: the same people come every time

from support.service_on_redis import MALL, Behavior, Simulation

from otp_service.domain.clients import Client
from otp_service.domain.errors import ChallengeRequired, DestinationBlocked, OtpError

NORMAL_USERS = 200
VERIFIED_RATIO = 0.8

NUMBER_LENGTH = {"+86": len("+8613800000000"), "+91": len("+919800000000")}
"""Length of a phone number in E.164, by country calling code."""


@dataclass
class MixedTraffic:
    """Counts the *pumped* SMS, and the errors of *affected* normal users (challenged or refused)."""

    simulation: Simulation
    random: Random
    pumped: int = 0
    affected: list[OtpError] = field(default_factory=list)
    verified: int = 0

    def attack(
        self,
        *,
        numbers: int,
        prefixes: int,
        addresses: int,
        begin: float,
        seconds: float,
        clients: Sequence[Client] = (MALL,),
        first: str = "+861380000",
    ) -> None:
        """Request *numbers* SMS, prefix after prefix, from *addresses* addresses.

        The calls go to *clients* in turn; the prefixes follow *first*.
        """
        phones = self._numbers(numbers, prefixes, first)
        self._schedule_requests(phones, addresses, begin, seconds / numbers, clients)

    def attack_prefixes_in_turn(
        self,
        *,
        numbers: int,
        prefixes: int,
        addresses: int,
        begin: float,
        seconds: float,
        clients: Sequence[Client] = (MALL,),
        first: str = "+861380000",
    ) -> None:
        """Like `attack`, but use the prefixes in turn; each round of prefixes uses the next of *clients*."""
        phones = self._numbers(numbers, prefixes, first)
        per_prefix = -(-numbers // prefixes)
        order = [phones[row + column * per_prefix] for row in range(per_prefix) for column in range(prefixes)]
        turns = [client for client in clients for _ in range(prefixes)]
        self._schedule_requests(order, addresses, begin, seconds / numbers, turns)

    def _schedule_requests(
        self, phones: Sequence[str], addresses: int, begin: float, every: float, clients: Sequence[Client]
    ) -> None:
        for place, phone in enumerate(phones):
            address = f"198.18.{place % addresses // 250}.{place % addresses % 250 + 1}"
            client = clients[place % len(clients)]
            self.simulation.schedule(begin + every * place, self._pump(phone, address, client))

    def add_normal_users(
        self,
        *,
        users: int = NORMAL_USERS,
        prefixes: int = 60,
        begin: float = 0,
        seconds: float,
        client: Client = MALL,
        first: str = "+86139",
    ) -> None:
        """Add normal users; some share a prefix or an address, and four of five submit the code."""
        for place in range(users):
            phone = f"{first}{self.random.randrange(prefixes):04d}{place:04d}"
            address = f"203.0.{self.random.randrange(100)}.{self.random.randrange(3) + 1}"
            verifies = self.random.random() < VERIFIED_RATIO
            person = self.person(phone, address, verifies=verifies, client=client)
            self.simulation.schedule(begin + self.random.uniform(0, seconds), person)

    def _numbers(self, count: int, prefixes: int, first: str) -> list[str]:
        per_prefix = -(-count // prefixes)
        return [
            f"+{int(first) + prefix}{number:0{NUMBER_LENGTH[first[:3]] - len(first)}d}"
            for prefix in range(prefixes)
            for number in range(per_prefix)
        ]

    def _pump(self, phone: str, address: str, client: Client) -> Behavior:
        try:
            self.simulation.request(phone, address, client)
        except (ChallengeRequired, DestinationBlocked):
            return
        self.pumped += 1
        yield 0

    def person(self, phone: str, address: str, *, verifies: bool, client: Client = MALL) -> Behavior:
        """Request a code, and submit it if *verifies*."""
        try:
            sent = self.simulation.request(phone, address, client)
        except OtpError as refusal:
            self.affected.append(refusal)
            return
        code = self.simulation.sender.last_code
        if verifies:
            yield min(5 + self.random.expovariate(1 / 15), 120)
            self.simulation.verify(phone, address, sent, code, client)
            self.verified += 1
