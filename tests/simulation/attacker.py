"""An attacker of a service whose codes have two digits, as a story for a stage: one who never gives up."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from random import Random  # noqa: TID251 - luck that is the same every time
from typing import Protocol

from support.phone_stories import new_verification
from support.service_on_redis import Story, Timeline

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
"""The codes that there are."""

KEY = b"a key of the simulation ".ljust(32, b".")
KID = "2026a"
DAYS = 30
DAY = 86_400

Door = tuple[str, str]
"""A client and a purpose."""

FRONT: Door = ("shop", "login")


@dataclass
class World:
    """What all attackers share."""

    store: RedisStore
    timeline: Timeline
    random: Random
    ends_at: float


@dataclass
class Guessed:
    """One verification under attack: its *door*, and the guesses that are still to be made."""

    verification_hash: str
    door: Door
    guesses: Iterator[int]
    wrong: int = 0


@dataclass
class Attacker:
    """Wants one *phone*; *won* is when a guess was right, *made* every verification he got."""

    world: World
    phone: str
    won: bool = False
    made: list[Guessed] = field(default_factory=list)

    @property
    def slot(self) -> PhoneKey:
        return PhoneKey(base64.urlsafe_b64encode(self.phone.encode()[-12:]).decode(), LIMITS)

    @property
    def wrong(self) -> list[int]:
        """How many wrong guesses were evaluated, for each verification."""
        return [guessed.wrong for guessed in self.made]

    @property
    def is_over(self) -> bool:
        return self.won or self.world.timeline.clock.time >= self.world.ends_at

    def open(self, door: Door) -> Guessed:
        """Open a verification.

        Raises:
            LimitError: not now.
        """
        client, purpose = door
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
        self.world.store.create(self.slot, new, {})
        self.made.append(Guessed(vid, door, iter(random.sample(range(N), N))))
        return self.made[-1]

    def guess(self, guessed: Guessed) -> bool:
        """Guess once; False when this verification takes no more, or nothing is left to win."""
        if self.won:
            return False
        client, _ = guessed.door
        code = codes.Code(f"{next(guessed.guesses):0{LENGTH}d}")
        digest = codes.digest(KEY, CodeContext(guessed.verification_hash, client, self.phone), code)
        attempt = CodeAttempt({KID: digest}, frozenset({CodeType.DIGITS}), at=0)
        try:
            self.world.store.attempt(self.slot, client, guessed.verification_hash, attempt)
        except WrongCode as answer:
            guessed.wrong += 1
            return answer.attempts_left > 0
        except AttemptsExhausted:
            return False
        self.won = True
        return False

    def resend(self, guessed: Guessed) -> bool:
        """Have the same code sent once more; False if that is not to be had."""
        client, _ = guessed.door
        try:
            self.world.store.reserve_resend(
                self.slot, client, guessed.verification_hash, CodeLimits().ttl, {}
            )
        except (LimitError, VerificationError):
            return False
        return True


class Strategy(Protocol):
    """What an attacker does with his time."""

    def __call__(self, attacker: Attacker) -> Story: ...


def siege(attacker: Attacker, doors: tuple[Door, ...] = (FRONT,)) -> Story:
    """Open, guess until no attempt is left, wait as told, for as long as there is time."""
    while not attacker.is_over:
        try:
            guessed = attacker.open(doors[len(attacker.made) % len(doors)])
        except LimitError as refusal:
            yield refusal.retry_after
            continue
        while attacker.guess(guessed):
            pass


def siege_by_all_doors(attacker: Attacker) -> Story:
    """Go round all purposes and clients."""
    doors = tuple((client, purpose) for client in ("shop", "bank", "mall") for purpose in ("login", "signup"))
    return siege(attacker, doors)


def siege_with_resends(attacker: Attacker) -> Story:
    """Have the code sent again before the last attempt, in the hope of new ones."""
    while not attacker.is_over:
        try:
            guessed = attacker.open(FRONT)
        except LimitError as refusal:
            yield refusal.retry_after
            continue
        may_go_on = True
        while may_go_on:
            for _ in range(CodeLimits().max_attempts - 1):
                may_go_on = may_go_on and attacker.guess(guessed)
            yield LIMITS.cooldown[0]
            if attacker.won or not attacker.resend(guessed):
                break
        while attacker.guess(guessed):
            pass


def parallel(attacker: Attacker) -> Story:
    """Open as many as live side by side, then guess at all of them in turns."""
    while not attacker.is_over:
        hoard: list[Guessed] = []
        opened_at = attacker.world.timeline.clock.time
        while attacker.world.timeline.clock.time - opened_at < CodeLimits().ttl - LIMITS.cooldown[0]:
            try:
                hoard.append(attacker.open(FRONT))
            except LimitError as refusal:
                if hoard and refusal.retry_after > LIMITS.cooldown[-1]:
                    break
                if not hoard:
                    yield refusal.retry_after
                    break
                yield refusal.retry_after
        while hoard:
            hoard = [guessed for guessed in hoard if attacker.guess(guessed)]


def spray(attacker: Attacker) -> Story:
    """Guess at this phone once, on a day of its own, and go on to the next."""
    yield attacker.world.random.uniform(0, DAYS * DAY)
    guessed = attacker.open(FRONT)
    while attacker.guess(guessed):
        pass
