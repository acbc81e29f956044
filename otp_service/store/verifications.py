"""The store: the service's memory in Redis. Touches Redis.

Every public method is one round trip (on a cluster one to each server that it touches, all at once); a
refused second flush costs one more, to give back what was taken.
Whatever goes wrong on the way is `StoreUnavailable`: the driver's errors hold keys and arguments, so their
texts never leave this room.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import redis

from otp_service.domain.errors import ProofRedeemed
from otp_service.domain.idempotency import IdempotencyCheck, IdempotencyRecord
from otp_service.domain.limits import Budget
from otp_service.domain.risk import PhoneKey, PrecheckRequest, PrecheckResult, QuotaReservation
from otp_service.domain.verification import (
    Approval,
    CodeAttempt,
    DeliveryReport,
    DeliveryUpdate,
    NewVerification,
    ResendReservation,
    SendDisposition,
    SendResultRecord,
    Verification,
)
from otp_service.services.interfaces import EventLogger
from otp_service.store import decoding, encoding, keys, precheck
from otp_service.store.backend import Argument, RedisBackend, ReplicationWait
from otp_service.store.redis_client import RedisClient
from otp_service.store.scripts import Call

FLUSH_SIZE = 100
"""Reports in one round trip: a few ms of the server, which serves nobody else meanwhile."""

UNADDRESSED_SECONDS = 7 * 86_400

INQUIRY_SECONDS = 5
"""A verification is asked about at most once in this time, however many calls want to know."""


class RedisStore:
    """Implements `interfaces.Store` on *backend*; without *shebang* on the pure-Python fake.

    What a failover must not undo (a send slot, an attempt, a redemption) succeeds only after *wait*. *job*
    names the background work that all calls of this store belong to, if they do.
    """

    def __init__(
        self,
        backend: redis.Redis | RedisBackend,
        events: EventLogger,
        *,
        shebang: bool = True,
        wait: ReplicationWait | None = None,
        job: str = "",
    ) -> None:
        self.redis = RedisClient(backend, events, shebang=shebang, wait=wait, job=job)

    # ── first flush ──

    def precheck(self, slot: PhoneKey, client: str, attempts: int, knock: PrecheckRequest) -> PrecheckResult:
        """See `interfaces.Store.precheck`."""
        head = encoding.limits(slot.limits), encoding.requester(slot)
        call = Call("precheck", [keys.phone_state(slot.phone_hash)], [*head, client, attempts])
        return precheck.run_precheck(self.redis.run_scripts, slot.phone_hash, call, knock)

    def precheck_resend(
        self,
        slot: PhoneKey,
        client: str,
        verification_hash: str,
        knock: PrecheckRequest,
        *,
        opener_only: bool = False,
    ) -> PrecheckResult:
        """See `interfaces.Store.precheck_resend`."""
        call = _slot_call("precheck_resend", slot, verification_hash, [client, int(opener_only)])
        return precheck.run_precheck(self.redis.run_scripts, slot.phone_hash, call, knock)

    def release_quota(self, tag: str, counted: QuotaReservation) -> None:
        """See `interfaces.Store.release_quota`."""
        self.redis.run_scripts(precheck.release_calls(tag, counted))

    # ── idempotency keys ──

    def begin_idempotent(self, claim: IdempotencyRecord) -> IdempotencyCheck:
        """See `interfaces.Store.begin_idempotent`."""
        return decoding.idempotency_check(self._run(precheck.claim_call(claim)))

    def finish_idempotent(self, claim: IdempotencyRecord, what: str = "") -> None:
        """See `interfaces.Store.finish_idempotent`."""
        self._run(precheck.end_call(claim, what))

    # ── second flush ──

    def create(self, slot: PhoneKey, new: NewVerification, budgets: Mapping[Budget, int]) -> Verification:
        """See `interfaces.Store.create`."""
        rest: list[Argument] = [
            new.client,
            new.purpose,
            encoding.CODE_TYPES[new.code_type],
            new.kid,
            new.salt,
            new.digest,
            new.ttl * 1000,
            new.attempts,
            new.sends,
        ]
        call = _slot_call("create", slot, new.verification_hash, rest)
        reply, budget_left = self._take(call, slot, new.verification_hash, budgets)
        return decoding.verification(reply, new.verification_hash, new.client).with_max_sends(budget_left)

    def reserve_resend(
        self,
        slot: PhoneKey,
        client: str,
        verification_hash: str,
        ttl: int,
        budgets: Mapping[Budget, int],
    ) -> ResendReservation:
        """See `interfaces.Store.reserve_resend`."""
        call = _slot_call("reserve_resend", slot, verification_hash, [client, ttl * 1000])
        reply, budget_left = self._take(call, slot, verification_hash, budgets)
        verification = decoding.verification(reply, verification_hash, client).with_max_sends(budget_left)
        kid, salt = reply[-2:]
        return ResendReservation(verification, kid.decode(), salt)

    def _take(
        self,
        slot_call: Call,
        slot: PhoneKey,
        verification_hash: str,
        budgets: Mapping[Budget, int],
    ) -> tuple[list[Any], int]:
        """Take the phone's slot and one SMS of every budget, or nothing of all that.

        Returns the slot's reply and the least that a budget has left.
        """
        told = self.redis.run_durable([slot_call, *_takes(budgets)])
        reply, taken = told.replies[0], decoding.budget_result(told.replies[1:], tuple(budgets))
        errors = [error for error in (decoding.rejection(reply), taken.rejection) if error]
        if not told.replicated:
            errors.append(self.redis.not_replicated())
        if errors:
            granted = tuple(budgets) if taken.rejection is None else ()
            self._give_back(reply, slot, verification_hash, _refunds(granted, taken.day))
            raise decoding.longest_wait(errors)
        return reply, taken.left

    def _give_back(
        self, reply: Sequence[Any], slot: PhoneKey, verification_hash: str, refunds: Sequence[Call]
    ) -> None:
        calls = list(refunds)
        if reply[0] == b"ok":
            withdrawn = SendResultRecord(
                verification_hash, decoding.newest_send_number(reply), SendDisposition.NOT_SENT
            )
            calls.append(_settle_call(slot, withdrawn))
        if calls:
            self.redis.run_scripts(calls)

    # ── third flush ──

    def record_send_result(
        self,
        slot: PhoneKey,
        client: str,
        record: SendResultRecord,
        refund: Sequence[Budget],
        ended: IdempotencyRecord | None = None,
    ) -> Verification | None:
        """See `interfaces.Store.record_send_result`."""
        refunds = _refunds(refund, encoding.day(record.taken_at))
        ends = [precheck.end_call(ended, ended.result_id)] if ended else []
        reply, *_ = self.redis.run_scripts([_settle_call(slot, record), *refunds, *ends])
        decoding.raise_if_rejected(reply)
        if reply[0] == b"gone":
            return None
        return decoding.verification(reply, record.verification_hash, client)

    # ── what became of sends ──

    def apply_delivery_reports(self, reports: Sequence[DeliveryReport]) -> list[DeliveryUpdate | None]:
        """See `interfaces.Store.apply_delivery_reports`; every FLUSH_SIZE reports are a round trip."""
        told: list[DeliveryUpdate | None] = []
        for start in range(0, len(reports), FLUSH_SIZE):
            calls = [_report_call(report) for report in reports[start : start + FLUSH_SIZE]]
            told += map(decoding.delivery_update, self.redis.run_scripts(calls))
        return told

    def acquire_lookup_lease(self, tag: str, verification_hash: str, call: str) -> bool:
        """See `interfaces.Store.acquire_lookup_lease`."""
        key = keys.lookup_lease(tag, verification_hash, call)
        (marked,) = self.redis.run_commands([("SET", key, b"1", "NX", "EX", INQUIRY_SECONDS)])
        return bool(marked)

    # ── the rest of a verification's life ──

    def attempt(
        self,
        slot: PhoneKey,
        client: str,
        verification_hash: str,
        attempt: CodeAttempt,
        *,
        opener_only: bool = False,
    ) -> Approval:
        """See `interfaces.Store.attempt`."""
        rest: list[Argument] = [verification_hash, client, encoding.requester(slot), int(opener_only)]
        rest += [encoding.code_types(attempt.code_types), attempt.idempotency_fingerprint, attempt.at * 1000]
        for kid, digest in attempt.digests.items():
            rest += [kid, digest]
        call = Call("attempt", _both(slot.phone_hash, verification_hash), rest)
        return decoding.approval(self._run_durable(call))

    def read(
        self, slot: PhoneKey, client: str, verification_hash: str, *, opener_only: bool = False
    ) -> Verification:
        """See `interfaces.Store.read`."""
        reply = self._run(_slot_call("read", slot, verification_hash, [client, int(opener_only)]))
        decoding.raise_if_rejected(reply)
        return decoding.verification(reply, verification_hash, client)

    def cancel(
        self, slot: PhoneKey, client: str, verification_hash: str, *, opener_only: bool = False
    ) -> None:
        """See `interfaces.Store.cancel`."""
        rest: list[Argument] = [verification_hash, client, encoding.requester(slot), int(opener_only)]
        reply = self._run(Call("cancel", _both(slot.phone_hash, verification_hash), rest))
        decoding.raise_if_rejected(reply)

    def redeem(self, tag: str, verification_hash: str, ttl: int, call: bytes = b"") -> bool:
        """See `interfaces.Store.redeem`."""
        key = keys.redeemed(tag, verification_hash)
        reply = self._run_durable(Call("redeem", [key], [call, ttl * 1000]))
        if reply[0] != b"ok":
            raise ProofRedeemed
        return bool(reply[1])

    def unlock(self, tag: str) -> None:
        """See `interfaces.Store.unlock`."""
        decoding.raise_if_rejected(self._run(Call("unlock", [keys.phone_state(tag)], [])))

    # ── hints for the operator ──

    def mark_missing_client_ip(self, client: str) -> None:
        """See `interfaces.Store.mark_missing_client_ip`."""
        self.redis.run_commands([("SET", keys.missing_client_ip(client), b"1", "EX", UNADDRESSED_SECONDS)])

    def mark_unreadable_client_ip(self) -> None:
        """See `interfaces.Store.mark_unreadable_client_ip`."""
        self.redis.run_commands([("SET", keys.unreadable_ip(), b"1", "EX", UNADDRESSED_SECONDS)])

    def met_unreadable_ip(self) -> bool:
        """Tell whether a trusted proxy lately did not write an address."""
        return bool(self.redis.run_commands([("EXISTS", keys.unreadable_ip())])[0])

    def clients_without_address(self, clients: Iterable[str]) -> set[str]:
        """Return those of *clients* that did not name an end user's address lately."""
        names = list(clients)
        marked = self.redis.run_commands([("EXISTS", keys.missing_client_ip(name)) for name in names])
        return {name for name, mark in zip(names, marked, strict=True) if mark}

    # ── one script ──

    def _run(self, call: Call) -> list[Any]:
        return self.redis.run_scripts([call])[0]

    def _run_durable(self, call: Call) -> list[Any]:
        """Run what a failover must not undo.

        Raises:
            StoreUnavailable: it may or may not have run; or it has, and a failover may undo it.
        """
        result = self.redis.run_durable([call])
        if not result.replicated:
            raise self.redis.not_replicated()
        (reply,) = result.replies
        return list(reply)

    # ── health ──

    def check_health(self) -> bool:
        """See `interfaces.Store.check_health`."""
        return self.redis.check_health()

    def close(self) -> None:
        """Close idle connections."""
        self.redis.close()


def _both(tag: str, verification_hash: str) -> list[str]:
    return [keys.phone_state(tag), keys.verification(tag, verification_hash)]


def _slot_call(name: str, slot: PhoneKey, verification_hash: str, rest: Sequence[Argument]) -> Call:
    head: list[Argument] = [encoding.limits(slot.limits), encoding.requester(slot), verification_hash]
    return Call(name, _both(slot.phone_hash, verification_hash), [*head, *rest])


def _settle_call(slot: PhoneKey, record: SendResultRecord) -> Call:
    rest: list[Argument] = [
        record.number,
        record.disposition.value,
        record.route,
        record.wait * 1000,
        record.ttl * 1000,
        record.provider_code,
    ]
    return _slot_call("record_result", slot, record.verification_hash, rest)


def _report_call(report: DeliveryReport) -> Call:
    state = decoding.STATES[report.delivery]
    rest: list[Argument] = [report.verification_hash, report.number, state, report.reason]
    return Call("delivery_report", _both(report.phone_hash, report.verification_hash), rest)


def _takes(budgets: Mapping[Budget, int]) -> list[Call]:
    """Return the call that takes one SMS from all *budgets*, if there are any."""
    scopes = [keys.budget(budget.scope) for budget in budgets]
    return [Call("budget_take", scopes, list(budgets.values()))] if scopes else []


def _refunds(budgets: Sequence[Budget], day: int) -> list[Call]:
    """Return the call that gives one SMS of *day* back to all *budgets*, if there are any."""
    scopes = [keys.budget(budget.scope) for budget in budgets]
    return [Call("budget_refund", scopes, [day])] if scopes else []
