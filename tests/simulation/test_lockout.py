"""Lockout: how attackers can delay the owner of a phone for sixty days, and what that costs.

An attacker with any number of addresses requests an SMS as soon as one is possible, from one client or three.
One kind guesses with every attempt, the other only blocks SMS. The scripts run on a real Redis, with a clock
that the test moves. docs/security.md has the figures.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import pytest
import redis
from support.events import RecordingEvents
from support.phone_in_store import RIGHT, WRONG, new_verification
from support.redis_servers import redis_binary, running
from support.service_on_redis import START, SettableClockRunner

from otp_service.domain.codes import CodeType
from otp_service.domain.errors import LimitError, OtpError, WrongCode
from otp_service.domain.limits import DAY, HOUR, PhoneLimits
from otp_service.domain.risk import PhoneKey, PrecheckRequest
from otp_service.domain.verification import CodeAttempt, SendDisposition, SendResultRecord, Verification
from otp_service.store.verifications import RedisStore

DAYS = 60
CODES = 1_000_000
PRICE_PER_SMS = 0.045
"""Yuan."""

LIMITS = PhoneLimits()
TAKEOVER_BEFORE = {False: 100 / CODES, True: 365 * 20 / CODES}
"""Chance a year before strangers were limited to a part of each limit, by whether the owner logs in daily."""

CODE_TYPES = frozenset({CodeType.DIGITS})
PROVIDERS_MINUTE = 60
"""Seconds between two SMS to one number that the provider demands."""


@pytest.fixture(scope="module")
def client() -> Iterator[redis.Redis]:
    with running(redis_binary()) as server, server.client() as connected:
        yield connected


@dataclass
class Lockout:
    """One phone under attack from *addresses* addresses through *clients* clients. Times are seconds."""

    client: redis.Redis
    addresses: int
    clients: int
    guesses: bool
    now: float = 0
    sms: int = 0
    in_a_row: int = 0
    most_in_a_row: int = 0
    evaluated: int = 0
    longest_wait: int = 0
    """The longest wait of a trusted call for an SMS, measured after each SMS of the attacker.

    Measured only if the owner got none in the last hour: the provider sends five an hour to a number, and
    strangers may use four of them.
    """
    longest_second_wait: int = 0
    """The same without that condition: it may be the owner's second SMS within the hour."""
    last_login: float = 0
    silence: list[tuple[float, float]] = field(default_factory=list)
    """Periods (from, until) in which strangers could get no SMS from any client."""
    logins: int = 0

    def __post_init__(self) -> None:
        self.store = RedisStore(self.client, RecordingEvents())
        self.runner = SettableClockRunner(self.client)
        self.store.redis.scripts = self.runner
        self.phone_key = PhoneKey(secrets.token_urlsafe(12), LIMITS)
        self.attackers = [secrets.token_bytes(12) for _ in range(self.addresses)]
        self.home = secrets.token_bytes(12)
        self.shops = [f"client-{number}" for number in range(self.clients)]

    # ── steps ──

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.runner.set(START + self.now)

    def phone_key_for(self, requester: bytes) -> PhoneKey:
        return replace(self.phone_key, ip_hash=requester)

    def open(self, phone_key: PhoneKey, client: str) -> Verification:
        verification = self.store.create(phone_key, replace(new_verification(), client=client), {})
        sent = SendResultRecord(verification.verification_hash, 1, SendDisposition.ACCEPTED, "main", ttl=300)
        return self.store.record_send_result(phone_key, client, sent, ()) or verification

    def submit(self, phone_key: PhoneKey, verification: Verification, digest: bytes) -> None:
        attempt = CodeAttempt({"2026a": digest}, CODE_TYPES, at=0)
        self.store.attempt(phone_key, verification.client, verification.verification_hash, attempt)

    def seconds_until_sms(self, phone_key: PhoneKey, client: str) -> int:
        """Return how many seconds a call must wait for an SMS; 0 if it gets one now."""
        refusal = self.store.precheck(phone_key, client, 5, PrecheckRequest()).rejection
        assert refusal is None or isinstance(refusal, LimitError)
        return refusal.retry_after if refusal else 0

    # ── the attack ──

    def run(self, *, logs_in: bool) -> Lockout:
        """Attack a phone that its owner verified once; with *logs_in* the owner logs in every day."""
        self.log_in()
        self.pass_time(HOUR)
        next_login = self.now + DAY
        turn = 0
        while self.now < DAYS * DAY:
            if logs_in and self.now >= next_login:
                self.pass_time(self.seconds_until_sms(self.phone_key_for(self.home), self.shops[0]))
                self.log_in()
                next_login += DAY
            turn += 1
            wait = self.attack(self.attackers[turn % self.addresses], turn)
            owner_wait = self.seconds_until_sms(self.phone_key_for(self.home), self.shops[0])
            self.longest_second_wait = max(self.longest_second_wait, owner_wait)
            if self.now - self.last_login > HOUR:
                self.longest_wait = max(self.longest_wait, owner_wait)
            stranger_wait = min(
                self.seconds_until_sms(self.phone_key_for(secrets.token_bytes(12)), shop)
                for shop in self.shops
            )
            if stranger_wait:
                self.silence.append((self.now, self.now + stranger_wait))
            until_login = next_login - self.now if logs_in else DAY
            self.pass_time(max(1, min(wait, stranger_wait or 1, until_login, DAY)))
        return self

    def attack(self, requester: bytes, turn: int) -> int:
        """Request an SMS from each client until one sends it; return the wait before the next try."""
        waits = []
        for shop in self.shops[turn % self.clients :] + self.shops[: turn % self.clients]:
            try:
                verification = self.open(self.phone_key_for(requester), shop)
            except LimitError as refusal:
                waits.append(refusal.retry_after)
                continue
            self.sms += 1
            for _ in range(verification.attempts_left if self.guesses else 0):
                with pytest.raises(WrongCode):
                    self.submit(self.phone_key_for(requester), verification, WRONG)
                self.evaluated += 1
                self.in_a_row += 1
            self.most_in_a_row = max(self.most_in_a_row, self.in_a_row)
            return 1
        return min(waits)

    def log_in(self) -> None:
        try:
            verification = self.open(self.phone_key_for(self.home), self.shops[0])
        except OtpError as refusal:  # clearer than wrong figures
            pytest.fail(f"the owner was refused: {refusal!r}")
        self.submit(self.phone_key_for(self.home), verification, RIGHT)
        self.in_a_row, self.last_login = 0, self.now
        self.logins += 1

    # ── figures ──

    @property
    def silent_share(self) -> float:
        """The share of time in which strangers could get no SMS."""
        silent, covered = 0.0, 0.0
        for began, ended in sorted(self.silence):
            silent += max(0.0, min(ended, DAYS * DAY) - max(began, covered))
            covered = max(covered, min(ended, DAYS * DAY))
        return silent / (DAYS * DAY)

    @property
    def price_of_a_silent_day(self) -> float:
        """In yuan, paid by the operator of the service."""
        return self.sms * PRICE_PER_SMS / (self.silent_share * DAYS)

    @property
    def takeover_chance_a_year(self) -> float:
        """For one phone: evaluated guesses in a year, divided by the number of codes."""
        return self.evaluated / CODES * (365 / DAYS if self.logins > 1 else 1)


SIZES = [(addresses, clients) for addresses in (1, 10, 1_000) for clients in (1, 3)]
OWNERS = {
    # Does the attacker guess? Does the owner log in every day?
    "guesses, the owner is away": (True, False),
    "guesses, the owner logs in daily": (True, True),
    "never guesses, the owner logs in daily": (False, True),
}


class Figures(NamedTuple):
    """A row of the table in docs/security.md, in the same order; waits in seconds, the price in yuan."""

    longest_wait: int
    longest_second_wait: int
    most_in_a_row: int
    takeover_chance_a_year: float
    sms_a_day: float
    price_of_a_silent_day: float


FIGURES = {
    "guesses, the owner is away": Figures(60, 60, 70, 7e-5, 0.7, 0.03),
    "guesses, the owner logs in daily": Figures(60, 60, 15, 5.5e-3, 3, 0.14),
    "never guesses, the owner logs in daily": Figures(60, 51 * 60, 0, 0, 8, 0.36),
}
"""The same for every number of addresses and clients, and without randomness.

tests/repository/test_docs.py checks that the docs have the same figures.
"""


@pytest.mark.parametrize("scenario", OWNERS)
@pytest.mark.parametrize(("addresses", "clients"), SIZES)
def test_a38_strangers_cannot_block_trusted_calls(
    client: redis.Redis, addresses: int, clients: int, scenario: str
) -> None:
    guesses, logs_in = OWNERS[scenario]

    lockout = Lockout(client, addresses, clients, guesses=guesses).run(logs_in=logs_in)

    figures = Figures(
        lockout.longest_wait,
        lockout.longest_second_wait,
        lockout.most_in_a_row,
        float(f"{lockout.takeover_chance_a_year:.1e}"),
        round(lockout.sms / DAYS, 1),
        round(lockout.price_of_a_silent_day, 2),
    )
    assert figures == FIGURES[scenario]
    assert lockout.longest_wait <= PROVIDERS_MINUTE
    assert lockout.longest_second_wait <= HOUR
    assert lockout.most_in_a_row <= LIMITS.untrusted_failures(LIMITS.lock_after_failures)
    assert lockout.takeover_chance_a_year <= TAKEOVER_BEFORE[logs_in]
    assert lockout.logins == (DAYS if logs_in else 1)
