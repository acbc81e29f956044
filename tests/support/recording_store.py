"""The real store on fakeredis, for tests of the services and of the web layer.

Its scripts use the clock of the test. It records its calls, and raises errors that a test sets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache

import fakeredis
from support.phone_in_store import CLIENT, RIGHT, new_verification

from otp_service.domain.errors import StoreUnavailable, VerificationNotFound
from otp_service.domain.hosted_page import PageEvent, PageQuota, StoredPage
from otp_service.domain.idempotency import IdempotencyCheck, IdempotencyRecord
from otp_service.domain.limits import Budget, PhoneLimits
from otp_service.domain.risk import (
    ConversionStats,
    PhoneKey,
    PrecheckRequest,
    PrecheckResult,
    QuotaReservation,
)
from otp_service.domain.verification import (
    Approval,
    CodeAttempt,
    DeliveryReport,
    DeliveryUpdate,
    NewVerification,
    ResendReservation,
    SendResultRecord,
    Verification,
)
from otp_service.services.interfaces import Clock
from otp_service.store import keys, scripts
from otp_service.store.backend import PipelineResult
from otp_service.store.pages import RedisPages
from otp_service.store.redis_client import RedisClient
from otp_service.store.verifications import RedisStore

SERVER_TIME = "return time[1] * 1000 + floor(time[2] / 1000)"
TIME_KEY = "test:time"


@cache
def script_with_clock(name: str) -> scripts.Script:
    """Return the script *name*, changed to read the time from a key, because no command can set TIME."""
    source = scripts.script(name, shebang=False).source
    assert SERVER_TIME in source or "'TIME'" not in source
    return scripts.script_from(
        source.replace(SERVER_TIME, f"return tonumber(redis.call('GET', '{TIME_KEY}'))")
    )


class ClockRunner(scripts.ScriptRunner):
    """Runs the scripts with the time that *now* returns (unix seconds)."""

    def __init__(self, client: fakeredis.FakeRedis, now: Callable[[], float]) -> None:
        super().__init__(client, shebang=False)
        self._client = client
        self._now = now

    def run(self, *calls: scripts.Call, durable: bool = False) -> PipelineResult:
        self._client.set(TIME_KEY, int(self._now() * 1000))
        return super().run(*calls, durable=durable)

    def _script(self, name: str) -> scripts.Script:
        return script_with_clock(name)


class NoEvents:
    """An EventLogger that drops every event."""

    def emit(self, event: str, **facts: object) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Created:
    """The arguments of a call of `create`."""

    phone_key: PhoneKey
    new: NewVerification


class RecordingStore(RedisStore):
    """A RedisStore on its own fakeredis server.

    If `failure` is set, every method raises it. A method whose name is in `failing` raises StoreUnavailable.
    `risk_reasons`, `conversions` and `is_restricted` replace a part of the result of the pre-check, which
    would otherwise take dozens of SMS. tests/store and tests/crowds cover the real results.
    """

    def __init__(self, clock: Clock, *, risk_reasons: tuple[str, ...] = ()) -> None:
        self.client = fakeredis.FakeRedis()
        super().__init__(self.client, NoEvents(), shebang=False)
        self.redis.scripts = ClockRunner(self.client, clock.now)
        self.clock = clock
        self.failure: Exception | None = None
        self.failing: set[str] = set()
        self.risk_reasons = risk_reasons
        self.conversions: tuple[ConversionStats, ...] = ()
        self.is_restricted = False
        self.persists = True
        self.calls: list[str] = []
        self.prechecks: list[PrecheckRequest] = []
        self.phone_keys: list[PhoneKey] = []
        self.available: list[int] = []
        """What the last call could use of each budget."""
        self.created: list[Created] = []
        self.released_quotas: list[tuple[str, QuotaReservation]] = []
        self.unlocked: list[str] = []

    # ── for tests ──

    def verifications(self) -> list[Verification]:
        """Return the existing verifications in the order of their creation."""
        existing = []
        for created in self.created:
            new = created.new
            with suppress(VerificationNotFound):
                existing.append(super().read(created.phone_key, new.client, new.verification_hash))
        return existing

    def budget_counts(self) -> list[int]:
        """Return how many SMS each budget has counted."""
        stored = [self.client.get(key) or b"" for key in self.client.scan_iter("otp:budget:*")]
        return [int(value.split()[1]) for value in stored]

    def make_phone_known(self, phone_hash: str) -> None:
        """Approve a verification of this phone an hour ago."""
        phone_key, new = PhoneKey(phone_hash, PhoneLimits()), new_verification()
        at = self.clock.now() - 3600
        earlier = RedisStore(self.client, NoEvents(), shebang=False)
        earlier.redis.scripts = ClockRunner(self.client, lambda: at)
        earlier.create(phone_key, new, {})
        attempt = CodeAttempt({new.kid: RIGHT}, frozenset({new.code_type}), at=int(at))
        earlier.attempt(phone_key, CLIENT, new.verification_hash, attempt)

    def clear(self) -> None:
        """Delete all keys."""
        self.client.flushall()

    # ── calls ──

    def _record_call(self, method: str) -> None:
        self.calls.append(method)
        self._fail_if_set(method)

    def _fail_if_set(self, method: str) -> None:
        if self.failure is not None:
            raise self.failure
        if method in self.failing:
            raise StoreUnavailable

    def precheck(
        self, phone_key: PhoneKey, client: str, attempts: int, request: PrecheckRequest
    ) -> PrecheckResult:
        self._record_call("precheck")
        return self._override(phone_key, request, super().precheck(phone_key, client, attempts, request))

    def precheck_resend(
        self,
        phone_key: PhoneKey,
        client: str,
        verification_hash: str,
        request: PrecheckRequest,
        *,
        opener_only: bool = False,
    ) -> PrecheckResult:
        self._record_call("precheck_resend")
        result = super().precheck_resend(
            phone_key, client, verification_hash, request, opener_only=opener_only
        )
        return self._override(phone_key, request, result)

    def _override(
        self, phone_key: PhoneKey, request: PrecheckRequest, result: PrecheckResult
    ) -> PrecheckResult:
        self.prechecks.append(request)
        self.phone_keys.append(phone_key)
        if self.risk_reasons and request.ip_quota:
            reservation = replace(result.reservation, ip_quota=None)
            result = replace(result, risk_reasons=self.risk_reasons, reservation=reservation)
        if self.conversions and request.conversion_scopes:
            result = replace(result, conversions=self.conversions)
        return replace(result, is_restricted=True) if self.is_restricted else result

    def release_quota(self, phone_hash: str, reservation: QuotaReservation) -> None:
        self._record_call("release_quota")
        self.released_quotas.append((phone_hash, reservation))
        super().release_quota(phone_hash, reservation)

    def begin_idempotent(self, record: IdempotencyRecord) -> IdempotencyCheck:
        self._record_call("begin_idempotent")
        return super().begin_idempotent(record)

    def finish_idempotent(self, record: IdempotencyRecord, result_id: str = "") -> None:
        self._record_call("finish_idempotent")
        super().finish_idempotent(record, result_id)

    def create(
        self, phone_key: PhoneKey, new: NewVerification, budgets: Mapping[Budget, int]
    ) -> Verification:
        self._record_call("create")
        self.available = list(budgets.values())
        created = super().create(phone_key, new, budgets)
        self.created.append(Created(phone_key, new))
        return created

    def reserve_resend(
        self,
        phone_key: PhoneKey,
        client: str,
        verification_hash: str,
        ttl: int,
        budgets: Mapping[Budget, int],
    ) -> ResendReservation:
        self._record_call("reserve_resend")
        self.available = list(budgets.values())
        return super().reserve_resend(phone_key, client, verification_hash, ttl, budgets)

    def record_send_result(
        self,
        phone_key: PhoneKey,
        client: str,
        record: SendResultRecord,
        refund: Sequence[Budget],
        ended: IdempotencyRecord | None = None,
    ) -> Verification | None:
        self._record_call("record_send_result")
        return super().record_send_result(phone_key, client, record, refund, ended)

    def apply_delivery_reports(self, reports: Sequence[DeliveryReport]) -> list[DeliveryUpdate | None]:
        self._record_call("apply_delivery_reports")
        return super().apply_delivery_reports(reports)

    def acquire_lookup_lease(self, phone_hash: str, verification_hash: str, call: str) -> bool:
        self._record_call("acquire_lookup_lease")
        return super().acquire_lookup_lease(phone_hash, verification_hash, call)

    def attempt(
        self,
        phone_key: PhoneKey,
        client: str,
        verification_hash: str,
        attempt: CodeAttempt,
        *,
        opener_only: bool = False,
    ) -> Approval:
        self._record_call("attempt")
        return super().attempt(phone_key, client, verification_hash, attempt, opener_only=opener_only)

    def read(
        self, phone_key: PhoneKey, client: str, verification_hash: str, *, opener_only: bool = False
    ) -> Verification:
        self._record_call("read")
        return super().read(phone_key, client, verification_hash, opener_only=opener_only)

    def cancel(
        self, phone_key: PhoneKey, client: str, verification_hash: str, *, opener_only: bool = False
    ) -> None:
        self._record_call("cancel")
        super().cancel(phone_key, client, verification_hash, opener_only=opener_only)

    def redeem(self, phone_hash: str, verification_hash: str, ttl: int, call: bytes = b"") -> bool:
        self._record_call("redeem")
        return super().redeem(phone_hash, verification_hash, ttl, call)

    def unlock(self, phone_hash: str) -> None:
        self._record_call("unlock")
        self.unlocked.append(phone_hash)
        super().unlock(phone_hash)

    def mark_missing_client_ip(self, client: str) -> None:
        self._fail_if_set("mark_missing_client_ip")
        super().mark_missing_client_ip(client)

    def mark_unreadable_client_ip(self) -> None:
        self._fail_if_set("mark_unreadable_client_ip")
        super().mark_unreadable_client_ip()

    def check_health(self) -> bool:
        """Return `persists`, because fakeredis has no persistence to check."""
        self._record_call("check_health")
        return self.persists


class RecordingPages(RedisPages):
    """RedisPages on its own fakeredis server.

    If `failure` is set, every method raises it; if `rate_error` is set, `check_rate` raises it. *rate_checks*
    are the arguments of the successful calls of `check_rate`. `before_swap` runs before a page is changed, so
    that a test can simulate a concurrent change.
    """

    def __init__(self, clock: Clock) -> None:
        self.client = fakeredis.FakeRedis()
        redis = RedisClient(self.client, NoEvents(), shebang=False)
        redis.scripts = ClockRunner(self.client, clock.now)
        super().__init__(redis)
        self.failure: Exception | None = None
        self.rate_error: Exception | None = None
        self.rate_checks: list[tuple[PageEvent, str, PageQuota, str]] = []
        self.before_swap: Callable[[], None] = lambda: None

    def stored(self) -> dict[str, StoredPage]:
        """Return all pages by hash."""
        pages = {}
        for key in self.client.keys(keys.page("*")):
            page_hash = key.decode().partition("{")[2].removesuffix("}")
            if page := super().load(page_hash):
                pages[page_hash] = page
        return pages

    def replace(self, page_hash: str, encrypted: bytes) -> None:
        """Overwrite a page with other bytes."""
        self.client.delete(keys.page(page_hash))
        super().create(page_hash, encrypted, 600)

    def ttls(self) -> list[int]:
        """Return the remaining lifetime of each page in seconds."""
        return [self.client.ttl(key) for key in self.client.keys(keys.page("*"))]

    def _fail_if_set(self) -> None:
        if self.failure is not None:
            raise self.failure

    def check_rate(self, event: PageEvent, client: str, quota: PageQuota, ip_hash: str) -> None:
        self._fail_if_set()
        if self.rate_error is not None:
            raise self.rate_error
        super().check_rate(event, client, quota, ip_hash)
        self.rate_checks.append((event, client, quota, ip_hash))

    def create(self, page_hash: str, encrypted: bytes, ttl: int) -> None:
        self._fail_if_set()
        super().create(page_hash, encrypted, ttl)

    def load(self, page_hash: str) -> StoredPage | None:
        self._fail_if_set()
        return super().load(page_hash)

    def compare_and_set(self, page_hash: str, version: int, encrypted: bytes) -> bool:
        self._fail_if_set()
        self.before_swap()
        return super().compare_and_set(page_hash, version, encrypted)
