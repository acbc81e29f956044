"""A store that cannot be asked: every call fails the same way, and nothing of it is told."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest
from support.phone_stories import CLIENT, Quiet, new_verification
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

TAG, VID = secrets.token_urlsafe(12), "v" * 22
SLOT = PhoneKey(TAG, PhoneLimits())
CLAIM = IdempotencyRecord("c" * 16, b"f" * 16, VID)

CALLS: dict[str, Callable[[RedisStore], Any]] = {
    "precheck": lambda store: store.precheck(SLOT, CLIENT, 5, PrecheckRequest()),
    "precheck_resend": lambda store: store.precheck_resend(SLOT, CLIENT, VID, PrecheckRequest()),
    "create": lambda store: store.create(SLOT, new_verification(), {}),
    "reserve_resend": lambda store: store.reserve_resend(SLOT, CLIENT, VID, 300, {}),
    "record_send_result": lambda store: store.record_send_result(
        SLOT, CLIENT, SendResultRecord(VID, 1, SendDisposition.ACCEPTED), ()
    ),
    "apply_delivery_reports": lambda store: store.apply_delivery_reports(
        [DeliveryReport(TAG, VID, 1, DeliveryStatus.DELIVERED)]
    ),
    "acquire_lookup_lease": lambda store: store.acquire_lookup_lease(TAG, VID, "status"),
    "release_quota": lambda store: store.release_quota(
        TAG, QuotaReservation(ClientIpQuota("a" * 16, IpLimits()))
    ),
    "begin_idempotent": lambda store: store.begin_idempotent(CLAIM),
    "finish_idempotent": lambda store: store.finish_idempotent(CLAIM),
    "attempt": lambda store: store.attempt(
        SLOT, CLIENT, VID, CodeAttempt({"k1": b"d" * 16}, frozenset(CodeType), at=0)
    ),
    "read": lambda store: store.read(SLOT, CLIENT, VID),
    "cancel": lambda store: store.cancel(SLOT, CLIENT, VID),
    "redeem": lambda store: store.redeem(TAG, VID, 60),
    "unlock": lambda store: store.unlock(TAG),
    "mark_missing_client_ip": lambda store: store.mark_missing_client_ip(CLIENT),
    "mark_unreadable_client_ip": lambda store: store.mark_unreadable_client_ip(),
    "met_unreadable_ip": lambda store: store.met_unreadable_ip(),
    "inspect": lambda store: store.redis.inspect(),
    "check_health": lambda store: store.check_health(),
    "run_counter_scripts": lambda store: store.redis.run_counter_scripts(
        [Call("global_failures", ["otp:wrong_codes:1"], [0, 0])]
    ),
}

TOLD = {
    CALLS[name]: [
        ("background_redis_error", {"job": job, "kind": "ConnectionError"}),
        ("redis_outage", {"state": "began", "job": job, "kind": "ConnectionError"}),
    ]
    for name, job in (("check_health", "readiness"), ("run_counter_scripts", "counters"))
}
"""What is logged of background work."""


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_store_that_is_gone_is_an_error_of_ours_and_names_nothing(
    call: Callable[[RedisStore], Any],
) -> None:
    events = Quiet()
    store = RedisStore(client_from_url(f"redis://127.0.0.1:{closed_port()}/0"), events)

    with pytest.raises(StoreUnavailable) as failure:
        call(store)

    assert failure.value.__cause__ is None
    assert failure.value.__suppress_context__
    assert [told for told in events.seen if told[0] != "redis_roundtrip"] == TOLD.get(
        call, [("redis_error", {"kind": "ConnectionError"})]
    )
    assert events.seen[-1][0] == "redis_roundtrip"


def test_every_call_of_the_store_is_tried_here() -> None:
    ours = {name for name in vars(RedisStore) if not name.startswith("_")}

    assert ours - set(CALLS) <= {"clients_without_ip", "close"}
