"""Verifications in Redis: from the pre-check of a request to the redemption of a proof.

Every public method is one round trip (on a cluster, one to each server that it touches, all at once). A
rejected reservation costs one more, to release what was taken.
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

REPORTS_PER_ROUND_TRIP = 100
"""They take the server a few ms, during which it does nothing else."""

WARNING_TTL = 7 * 86_400
"""Seconds for which warnings for the operator are stored."""

LOOKUP_INTERVAL = 5
"""Seconds within which a verification is looked up at most once, however many calls ask for it."""


class RedisStore:
    """Implements `interfaces.Store`. For the arguments see `RedisClient`.

    What a failover must not undo (a reserved send, an attempt, a redemption) succeeds only after *wait*.
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

    # ── pre-check ──

    def precheck(
        self, phone_key: PhoneKey, client: str, max_attempts: int, request: PrecheckRequest
    ) -> PrecheckResult:
        """See `interfaces.Store.precheck`."""
        head = encoding.limits(phone_key.limits), encoding.requester(phone_key)
        call = Call("precheck", [keys.phone_state(phone_key.phone_hash)], [*head, client, max_attempts])
        return precheck.run_precheck(self.redis.run_scripts, phone_key.phone_hash, call, request)

    def precheck_resend(
        self,
        phone_key: PhoneKey,
        client: str,
        verification_hash: str,
        request: PrecheckRequest,
        *,
        opener_only: bool = False,
    ) -> PrecheckResult:
        """See `interfaces.Store.precheck_resend`."""
        call = _phone_call("precheck_resend", phone_key, verification_hash, [client, int(opener_only)])
        return precheck.run_precheck(self.redis.run_scripts, phone_key.phone_hash, call, request)

    def release_quota(self, phone_hash: str, reservation: QuotaReservation) -> None:
        """See `interfaces.Store.release_quota`."""
        self.redis.run_scripts(precheck.release_calls(phone_hash, reservation))

    # ── idempotency keys ──

    def begin_idempotent(self, record: IdempotencyRecord) -> IdempotencyCheck:
        """See `interfaces.Store.begin_idempotent`."""
        return decoding.idempotency_check(self._run(precheck.begin_idempotent_call(record)))

    def finish_idempotent(self, record: IdempotencyRecord, result_id: str = "") -> None:
        """See `interfaces.Store.finish_idempotent`."""
        self._run(precheck.finish_idempotent_call(record, result_id))

    # ── reservation of a send ──

    def create(
        self, phone_key: PhoneKey, new: NewVerification, budgets: Mapping[Budget, int]
    ) -> Verification:
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
        call = _phone_call("create", phone_key, new.verification_hash, rest)
        reply, budget_left = self._take(call, phone_key, new.verification_hash, budgets)
        return decoding.verification(reply, new.verification_hash, new.client).with_max_sends(budget_left)

    def reserve_resend(
        self,
        phone_key: PhoneKey,
        client: str,
        verification_hash: str,
        ttl: int,
        budgets: Mapping[Budget, int],
    ) -> ResendReservation:
        """See `interfaces.Store.reserve_resend`."""
        call = _phone_call("reserve_resend", phone_key, verification_hash, [client, ttl * 1000])
        reply, budget_left = self._take(call, phone_key, verification_hash, budgets)
        verification = decoding.verification(reply, verification_hash, client).with_max_sends(budget_left)
        kid, salt = reply[-2:]
        return ResendReservation(verification, kid.decode(), salt)

    def _take(
        self,
        phone_call: Call,
        phone_key: PhoneKey,
        verification_hash: str,
        budgets: Mapping[Budget, int],
    ) -> tuple[list[Any], int]:
        """Reserve a send of the phone and take one SMS from every budget; all or nothing.

        Returns the reply of *phone_call*, and the least that a budget has left.
        """
        result = self.redis.run_durable([phone_call, *_takes(budgets)])
        reply, taken = result.replies[0], decoding.budget_result(result.replies[1:], tuple(budgets))
        errors = [error for error in (decoding.rejection(reply), taken.rejection) if error]
        if not result.replicated:
            errors.append(self.redis.not_replicated())
        if errors:
            granted = tuple(budgets) if taken.rejection is None else ()
            self._release(reply, phone_key, verification_hash, _refunds(granted, taken.day))
            raise decoding.longest_wait(errors)
        return reply, taken.left

    def _release(
        self, reply: Sequence[Any], phone_key: PhoneKey, verification_hash: str, refunds: Sequence[Call]
    ) -> None:
        calls = list(refunds)
        if reply[0] == b"ok":
            not_sent = SendResultRecord(
                verification_hash, decoding.newest_send_number(reply), SendDisposition.NOT_SENT
            )
            calls.append(_record_result_call(phone_key, not_sent))
        if calls:
            self.redis.run_scripts(calls)

    # ── result of a send ──

    def record_send_result(
        self,
        phone_key: PhoneKey,
        client: str,
        record: SendResultRecord,
        refund: Sequence[Budget],
        finished: IdempotencyRecord | None = None,
    ) -> Verification | None:
        """See `interfaces.Store.record_send_result`."""
        refunds = _refunds(refund, encoding.day(record.taken_at))
        finish = [precheck.finish_idempotent_call(finished, finished.result_id)] if finished else []
        reply, *_ = self.redis.run_scripts([_record_result_call(phone_key, record), *refunds, *finish])
        decoding.raise_if_rejected(reply)
        if reply[0] == b"gone":
            return None
        return decoding.verification(reply, record.verification_hash, client)

    # ── deliveries ──

    def apply_delivery_reports(self, reports: Sequence[DeliveryReport]) -> list[DeliveryUpdate | None]:
        """See `interfaces.Store.apply_delivery_reports`. REPORTS_PER_ROUND_TRIP share a round trip."""
        updates: list[DeliveryUpdate | None] = []
        for start in range(0, len(reports), REPORTS_PER_ROUND_TRIP):
            calls = [_report_call(report) for report in reports[start : start + REPORTS_PER_ROUND_TRIP]]
            updates += map(decoding.delivery_update, self.redis.run_scripts(calls))
        return updates

    def acquire_lookup_lease(self, phone_hash: str, verification_hash: str, call: str) -> bool:
        """See `interfaces.Store.acquire_lookup_lease`."""
        key = keys.lookup_lease(phone_hash, verification_hash, call)
        (marked,) = self.redis.run_commands([("SET", key, b"1", "NX", "EX", LOOKUP_INTERVAL)])
        return bool(marked)

    # ── verification ──

    def attempt(
        self,
        phone_key: PhoneKey,
        client: str,
        verification_hash: str,
        attempt: CodeAttempt,
        *,
        opener_only: bool = False,
    ) -> Approval:
        """See `interfaces.Store.attempt`."""
        rest: list[Argument] = [verification_hash, client, encoding.requester(phone_key), int(opener_only)]
        rest += [encoding.code_types(attempt.code_types), attempt.idempotency_fingerprint, attempt.at * 1000]
        for kid, digest in attempt.digests.items():
            rest += [kid, digest]
        call = Call("attempt", _both(phone_key.phone_hash, verification_hash), rest)
        return decoding.approval(self._run_durable(call))

    def read(
        self, phone_key: PhoneKey, client: str, verification_hash: str, *, opener_only: bool = False
    ) -> Verification:
        """See `interfaces.Store.read`."""
        reply = self._run(_phone_call("read", phone_key, verification_hash, [client, int(opener_only)]))
        decoding.raise_if_rejected(reply)
        return decoding.verification(reply, verification_hash, client)

    def cancel(
        self, phone_key: PhoneKey, client: str, verification_hash: str, *, opener_only: bool = False
    ) -> None:
        """See `interfaces.Store.cancel`."""
        rest: list[Argument] = [verification_hash, client, encoding.requester(phone_key), int(opener_only)]
        reply = self._run(Call("cancel", _both(phone_key.phone_hash, verification_hash), rest))
        decoding.raise_if_rejected(reply)

    def redeem(self, phone_hash: str, verification_hash: str, ttl: int, call: bytes = b"") -> bool:
        """See `interfaces.Store.redeem`."""
        key = keys.redeemed(phone_hash, verification_hash)
        reply = self._run_durable(Call("redeem", [key], [call, ttl * 1000]))
        if reply[0] != b"ok":
            raise ProofRedeemed
        return bool(reply[1])

    def unlock(self, phone_hash: str) -> None:
        """See `interfaces.Store.unlock`."""
        decoding.raise_if_rejected(self._run(Call("unlock", [keys.phone_state(phone_hash)], [])))

    # ── warnings for the operator ──

    def mark_missing_client_ip(self, client: str) -> None:
        """See `interfaces.Store.mark_missing_client_ip`."""
        self.redis.run_commands([("SET", keys.missing_client_ip(client), b"1", "EX", WARNING_TTL)])

    def mark_unreadable_client_ip(self) -> None:
        """See `interfaces.Store.mark_unreadable_client_ip`."""
        self.redis.run_commands([("SET", keys.unreadable_ip(), b"1", "EX", WARNING_TTL)])

    def met_unreadable_ip(self) -> bool:
        """Return whether a trusted proxy recently wrote something other than an IP address."""
        return bool(self.redis.run_commands([("EXISTS", keys.unreadable_ip())])[0])

    def clients_without_ip(self, clients: Iterable[str]) -> set[str]:
        """Return those of *clients* that recently requested an SMS without the end user's IP address."""
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


def _both(phone_hash: str, verification_hash: str) -> list[str]:
    return [keys.phone_state(phone_hash), keys.verification(phone_hash, verification_hash)]


def _phone_call(name: str, phone_key: PhoneKey, verification_hash: str, rest: Sequence[Argument]) -> Call:
    head: list[Argument] = [
        encoding.limits(phone_key.limits),
        encoding.requester(phone_key),
        verification_hash,
    ]
    return Call(name, _both(phone_key.phone_hash, verification_hash), [*head, *rest])


def _record_result_call(phone_key: PhoneKey, record: SendResultRecord) -> Call:
    rest: list[Argument] = [
        record.number,
        record.disposition.value,
        record.route,
        record.wait * 1000,
        record.ttl * 1000,
        record.provider_code,
    ]
    return _phone_call("record_result", phone_key, record.verification_hash, rest)


def _report_call(report: DeliveryReport) -> Call:
    state = decoding.STATES[report.delivery]
    rest: list[Argument] = [report.verification_hash, report.number, state, report.reason]
    return Call("delivery_report", _both(report.phone_hash, report.verification_hash), rest)


def _takes(budgets: Mapping[Budget, int]) -> list[Call]:
    """Return the call that takes one SMS from each of *budgets*, if there are any."""
    scopes = [keys.budget(budget.scope) for budget in budgets]
    return [Call("budget_take", scopes, list(budgets.values()))] if scopes else []


def _refunds(budgets: Sequence[Budget], day: int) -> list[Call]:
    """Return the call that returns one SMS of *day* to each of *budgets*, if there are any."""
    scopes = [keys.budget(budget.scope) for budget in budgets]
    return [Call("budget_refund", scopes, [day])] if scopes else []
