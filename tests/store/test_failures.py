"""A store that cannot be asked: every call fails the same way, and nothing of it is told."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest
from servers import closed_port
from stories import CLIENT, Quiet, new_verification

from otp_service.codes import CodeType
from otp_service.errors import StoreUnavailable
from otp_service.limits import AddressLimits, PhoneLimits
from otp_service.ports import (
    AddressSlot,
    Attempt,
    Claim,
    Counted,
    DeliveryReport,
    Knock,
    PhoneSlot,
    SendRecord,
    Settlement,
)
from otp_service.store.client import client_from_url
from otp_service.store.scripts import Call
from otp_service.store.store import RedisStore
from otp_service.verification import Delivery

TAG, VID = secrets.token_urlsafe(12), "v" * 22
SLOT = PhoneSlot(TAG, PhoneLimits())
CLAIM = Claim("c" * 16, b"f" * 16, VID)

CALLS: dict[str, Callable[[RedisStore], Any]] = {
    "peek": lambda store: store.peek(SLOT, CLIENT, 5, Knock()),
    "peek_resend": lambda store: store.peek_resend(SLOT, CLIENT, VID, Knock()),
    "open": lambda store: store.open(SLOT, new_verification(), {}),
    "reopen": lambda store: store.reopen(SLOT, CLIENT, VID, 300, {}),
    "settle": lambda store: store.settle(SLOT, CLIENT, SendRecord(VID, 1, Settlement.ACCEPTED), ()),
    "report": lambda store: store.report([DeliveryReport(TAG, VID, 1, Delivery.DELIVERED)]),
    "claim_inquiry": lambda store: store.claim_inquiry(TAG, VID, "status"),
    "uncount": lambda store: store.uncount(TAG, Counted(AddressSlot("a" * 16, AddressLimits()))),
    "claim": lambda store: store.claim(CLAIM),
    "end_claim": lambda store: store.end_claim(CLAIM),
    "attempt": lambda store: store.attempt(
        SLOT, CLIENT, VID, Attempt({"k1": b"d" * 16}, frozenset(CodeType), at=0)
    ),
    "read": lambda store: store.read(SLOT, CLIENT, VID),
    "cancel": lambda store: store.cancel(SLOT, CLIENT, VID),
    "redeem": lambda store: store.redeem(TAG, VID, 60),
    "unlock": lambda store: store.unlock(TAG),
    "note_unaddressed": lambda store: store.note_unaddressed(CLIENT),
    "note_unreadable_ip": lambda store: store.note_unreadable_ip(),
    "met_unreadable_ip": lambda store: store.met_unreadable_ip(),
    "inspect": lambda store: store.inspect(),
    "check": lambda store: store.check(),
    "flush_ledger": lambda store: store.flush_ledger([Call("wrong_codes", ["otp:wrong_codes:1"], [0, 0])]),
}

TOLD = {
    CALLS[name]: [
        ("background_store_error", {"job": job, "kind": "ConnectionError"}),
        ("store_outage", {"state": "began", "job": job, "kind": "ConnectionError"}),
    ]
    for name, job in (("check", "readiness"), ("flush_ledger", "ledger"))
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
    assert [told for told in events.seen if told[0] != "round_trip"] == TOLD.get(
        call, [("store_error", {"kind": "ConnectionError"})]
    )
    assert events.seen[-1][0] == "round_trip"


def test_every_call_of_the_store_is_tried_here() -> None:
    ours = {name for name in vars(RedisStore) if not name.startswith("_")}

    assert ours - set(CALLS) <= {
        "flush",
        "guarded",
        "clients_without_address",
        "close",
        "diagnose",
        "under_way",
    }
