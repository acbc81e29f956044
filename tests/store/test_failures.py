"""An unreachable store: every call raises StoreUnavailable and reveals nothing."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest
from support.events import RecordingEvents
from support.phone_in_store import CLIENT, new_verification
from support.redis_servers import closed_port

from otp_service.domain.codes import CodeType
from otp_service.domain.errors import StoreUnavailable
from otp_service.domain.idempotency import IdempotencyRecord
from otp_service.domain.limits import IpLimits, PhoneLimits
from otp_service.domain.risk import ClientIpQuota, PhoneKey, PrecheckRequest, QuotaReservation
from otp_service.domain.verification import (
    CodeAttempt,
    DeliveryReport,
    DeliveryStatus,
    SendDisposition,
    SendResultRecord,
)
from otp_service.store.client import client_from_url
from otp_service.store.scripts import Call
from otp_service.store.verifications import RedisStore

PHONE_HASH, VID = secrets.token_urlsafe(12), "v" * 22
PHONE_KEY = PhoneKey(PHONE_HASH, PhoneLimits())
RECORD = IdempotencyRecord("c" * 16, b"f" * 16, VID)

CALLS: dict[str, Callable[[RedisStore], Any]] = {
    "precheck": lambda store: store.precheck(PHONE_KEY, CLIENT, 5, PrecheckRequest()),
    "precheck_resend": lambda store: store.precheck_resend(PHONE_KEY, CLIENT, VID, PrecheckRequest()),
    "create": lambda store: store.create(PHONE_KEY, new_verification(), {}),
    "reserve_resend": lambda store: store.reserve_resend(PHONE_KEY, CLIENT, VID, 300, {}),
    "record_send_result": lambda store: store.record_send_result(
        PHONE_KEY, CLIENT, SendResultRecord(VID, 1, SendDisposition.ACCEPTED), ()
    ),
    "apply_delivery_reports": lambda store: store.apply_delivery_reports(
        [DeliveryReport(PHONE_HASH, VID, 1, DeliveryStatus.DELIVERED)]
    ),
    "acquire_lookup_lease": lambda store: store.acquire_lookup_lease(PHONE_HASH, VID, "status"),
    "release_quota": lambda store: store.release_quota(
        PHONE_HASH, QuotaReservation(ClientIpQuota("a" * 16, IpLimits()))
    ),
    "begin_idempotent": lambda store: store.begin_idempotent(RECORD),
    "finish_idempotent": lambda store: store.finish_idempotent(RECORD),
    "attempt": lambda store: store.attempt(
        PHONE_KEY, CLIENT, VID, CodeAttempt({"k1": b"d" * 16}, frozenset(CodeType), at=0)
    ),
    "read": lambda store: store.read(PHONE_KEY, CLIENT, VID),
    "cancel": lambda store: store.cancel(PHONE_KEY, CLIENT, VID),
    "redeem": lambda store: store.redeem(PHONE_HASH, VID, 60),
    "unlock": lambda store: store.unlock(PHONE_HASH),
    "mark_missing_client_ip": lambda store: store.mark_missing_client_ip(CLIENT),
    "mark_unreadable_client_ip": lambda store: store.mark_unreadable_client_ip(),
    "met_unreadable_ip": lambda store: store.met_unreadable_ip(),
    "inspect": lambda store: store.redis.inspect(),
    "check_health": lambda store: store.check_health(),
    "run_counter_scripts": lambda store: store.redis.run_counter_scripts(
        [Call("global_failures", ["otp:wrong_codes:1"], [0, 0])]
    ),
}

BACKGROUND_EVENTS = {
    CALLS[name]: [
        ("background_redis_error", {"job": job, "kind": "ConnectionError"}),
        ("redis_outage", {"state": "began", "job": job, "kind": "ConnectionError"}),
    ]
    for name, job in (("check_health", "readiness"), ("run_counter_scripts", "counters"))
}
"""The events of background work."""


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_unreachable_store_raises_store_unavailable_without_details(
    call: Callable[[RedisStore], Any],
) -> None:
    events = RecordingEvents()
    store = RedisStore(client_from_url(f"redis://127.0.0.1:{closed_port()}/0"), events)

    with pytest.raises(StoreUnavailable) as failure:
        call(store)

    assert failure.value.__cause__ is None
    assert failure.value.__suppress_context__
    assert [event for event in events.emitted if event[0] != "redis_roundtrip"] == BACKGROUND_EVENTS.get(
        call, [("redis_error", {"kind": "ConnectionError"})]
    )
    assert events.emitted[-1][0] == "redis_roundtrip"


def test_every_store_call_is_tested() -> None:
    ours = {name for name in vars(RedisStore) if not name.startswith("_")}

    assert ours - set(CALLS) <= {"clients_without_ip", "close"}
