"""Attackers of a service whose codes have two digits, as coroutines for a timeline."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from random import Random  # noqa: TID251 - reproducible, and nothing secret
from typing import Protocol

from support.phone_in_store import new_verification
from support.service_on_redis import Behavior, Timeline

from otp_service.domain import codes
from otp_service.domain.codes import CodeContext, CodeType
from otp_service.domain.errors import AttemptsExhausted, LimitError, VerificationError, WrongCode
from otp_service.domain.limits import CodeLimits, PhoneLimits
from otp_service.domain.risk import PhoneKey
from otp_service.domain.verification import CodeAttempt
from otp_service.store.verifications import RedisStore

LIMITS = PhoneLimits()

LENGTH = 2
N = 10**LENGTH
"""Number of possible codes."""

KEY = b"a key of the simulation ".ljust(32, b".")
KID = "2026a"
DAYS = 30
DAY = 86_400

GuessTarget = tuple[str, str]
"""A client and a purpose."""

LOGIN_OF_SHOP: GuessTarget = ("shop", "login")


@dataclass
class World:
    """The state that all attackers share."""

    store: RedisStore
    timeline: Timeline
    random: Random
    ends_at: float


@dataclass
class GuessedVerification:
    """One verification under attack: its client and purpose, and the remaining guesses."""

    verification_hash: str
    target: GuessTarget
    guesses: Iterator[int]
    wrong: int = 0


@dataclass
class Attacker:
    """Attacks one *phone*. *won* is set by a right guess; *verifications* are all that it has created."""

    world: World
    phone: str
    won: bool = False
    verifications: list[GuessedVerification] = field(default_factory=list)

    @property
    def phone_key(self) -> PhoneKey:
        return PhoneKey(base64.urlsafe_b64encode(self.phone.encode()[-12:]).decode(), LIMITS)

    @property
    def wrong(self) -> list[int]:
        """The number of evaluated wrong guesses of each verification."""
        return [guessed.wrong for guessed in self.verifications]

    @property
    def is_over(self) -> bool:
        return self.won or self.world.timeline.clock.time >= self.world.ends_at

    def open(self, target: GuessTarget) -> GuessedVerification:
        """Create a verification.

        Raises:
            LimitError: A limit is reached.
        """
        client, purpose = target
        random = self.world.random
        vid = base64.urlsafe_b64encode(random.randbytes(16)).decode()[:22]
        binding, salt = CodeContext(vid, client, self.phone), random.randbytes(codes.SALT_BYTES)
        code = codes.derive(KEY, salt, binding, CodeType.DIGITS, length=LENGTH)
        new = replace(
            new_verification(),
            verification_hash=vid,
            client=client,
            purpose=purpose,
            kid=KID,
            salt=salt,
            digest=codes.digest(KEY, binding, code),
            attempts=CodeLimits().max_attempts,
        )
        self.world.store.create(self.phone_key, new, {})
        self.verifications.append(GuessedVerification(vid, target, iter(random.sample(range(N), N))))
        return self.verifications[-1]

    def guess(self, guessed: GuessedVerification) -> bool:
        """Guess once; return False if the verification accepts no more attempts or has ended."""
        if self.won:
            return False
        client, _ = guessed.target
        code = codes.Code(f"{next(guessed.guesses):0{LENGTH}d}")
        digest = codes.digest(KEY, CodeContext(guessed.verification_hash, client, self.phone), code)
        attempt = CodeAttempt({KID: digest}, frozenset({CodeType.DIGITS}), at=0)
        try:
            self.world.store.attempt(self.phone_key, client, guessed.verification_hash, attempt)
        except WrongCode as answer:
            guessed.wrong += 1
            return answer.attempts_left > 0
        except AttemptsExhausted:
            return False
        self.won = True
        return False

    def resend(self, guessed: GuessedVerification) -> bool:
        """Resend the same code; return False if that is refused."""
        client, _ = guessed.target
        try:
            self.world.store.reserve_resend(
                self.phone_key, client, guessed.verification_hash, CodeLimits().ttl, {}
            )
        except (LimitError, VerificationError):
            return False
        return True


class Strategy(Protocol):
    """The behavior of an attacker."""

    def __call__(self, attacker: Attacker) -> Behavior: ...


def guess_until_exhausted(
    attacker: Attacker, targets: tuple[GuessTarget, ...] = (LOGIN_OF_SHOP,)
) -> Behavior:
    """Create a verification, guess until no attempt is left, wait for `Retry-After`, and repeat."""
    while not attacker.is_over:
        try:
            guessed = attacker.open(targets[len(attacker.verifications) % len(targets)])
        except LimitError as refusal:
            yield refusal.retry_after
            continue
        while attacker.guess(guessed):
            pass


def guess_with_all_clients(attacker: Attacker) -> Behavior:
    """Like `guess_until_exhausted`, with all clients and purposes in turn."""
    targets = tuple(
        (client, purpose) for client in ("shop", "bank", "mall") for purpose in ("login", "signup")
    )
    return guess_until_exhausted(attacker, targets)


def guess_with_resends(attacker: Attacker) -> Behavior:
    """Resend the code before the last attempt, to find out whether that gives new attempts."""
    while not attacker.is_over:
        try:
            guessed = attacker.open(LOGIN_OF_SHOP)
        except LimitError as refusal:
            yield refusal.retry_after
            continue
        has_attempts = True
        while has_attempts:
            for _ in range(CodeLimits().max_attempts - 1):
                has_attempts = has_attempts and attacker.guess(guessed)
            yield LIMITS.cooldown[0]
            if attacker.won or not attacker.resend(guessed):
                break
        while attacker.guess(guessed):
            pass


def parallel(attacker: Attacker) -> Behavior:
    """Create as many verifications as can be pending at a time, then guess at all of them in turn."""
    while not attacker.is_over:
        pending: list[GuessedVerification] = []
        opened_at = attacker.world.timeline.clock.time
        while attacker.world.timeline.clock.time - opened_at < CodeLimits().ttl - LIMITS.cooldown[0]:
            try:
                pending.append(attacker.open(LOGIN_OF_SHOP))
            except LimitError as refusal:
                if pending and refusal.retry_after > LIMITS.cooldown[-1]:
                    break
                if not pending:
                    yield refusal.retry_after
                    break
                yield refusal.retry_after
        while pending:
            pending = [guessed for guessed in pending if attacker.guess(guessed)]


def spray(attacker: Attacker) -> Behavior:
    """Guess at each phone once, on different days."""
    yield attacker.world.random.uniform(0, DAYS * DAY)
    guessed = attacker.open(LOGIN_OF_SHOP)
    while attacker.guess(guessed):
        pass
