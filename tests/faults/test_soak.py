"""F35: half a minute of mixed faults. `make soak` runs ten minutes; `OTP_SOAK_SEED` repeats a run."""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections import Counter
from typing import Any

from faults.harness import DEADLINE
from faults.soak import PROVIDER_FAULTS, USER_THREADS, Size, SoakRun, running_soak
from support.call_history import check

SECONDS = float(os.environ.get("OTP_SOAK_SECONDS", "20"))
SEED = int(os.environ.get("OTP_SOAK_SEED", "0")) or secrets.randbelow(2**31) + 1

GROWTH = 1.25
"""Allowed growth of memory. Allocators keep freed memory; a leak in every call or fault exceeds this."""


def test_f35_soak_breaks_no_limit_and_leaks_nothing() -> None:
    print(f"OTP_SOAK_SEED={SEED}")  # noqa: T201 - shown if the test fails
    with running_soak(SEED) as soak:
        before, after = soak.run(SECONDS)
        history = soak.harness.history
        history.sms, history.log = soak.harness.sms(), soak.harness.log()
        report = report_of(soak, before, after)
        print(report, file=sys.stderr)  # noqa: T201 - what `make soak` is for
    check(history, soak.harness.limits)

    statuses = Counter(call.status for call in history.calls)
    kinds = {call.name for call in history.calls if call.status < 300}
    assert soak.unexpected == []
    assert kinds == {"request", "verify", "redeem", "status", "cancel"} | ({"resend"} & kinds)
    assert set(statuses) <= {0, 200, 201, 202, 204, 404, 409, 410, 422, 429, 503}
    assert statuses[503] > 0, "no fault had an effect"
    assert statuses[200] + statuses[201] > statuses[503]
    assert soak.resent > 0 or SECONDS < 300
    assert len(soak.faults) >= min(10 + len(PROVIDER_FAULTS), int(SECONDS / 6))
    assert max(call.ended - call.began for call in history.calls) < DEADLINE + 1
    assert after.memory < before.memory * GROWTH
    assert after.files <= before.files + 2 * USER_THREADS
    assert after.connections <= 2 * (USER_THREADS + 4), "a pool keeps more connections than callers need"


def report_of(soak: SoakRun, before: Size, after: Size) -> str:
    """Return the figures of a run as one line of JSON."""
    calls = soak.harness.history.calls
    facts: dict[str, Any] = {
        "seed": soak.seed,
        "seconds": SECONDS,
        "calls": len(calls),
        "resent": soak.resent,
        "sms": len(soak.harness.history.sms),
        "statuses": {str(status): n for status, n in sorted(Counter(c.status for c in calls).items())},
        "faults": dict(sorted(soak.faults.items())),
        "slowest_call_s": round(max(call.ended - call.began for call in calls), 2),
        "memory_kib": [before.memory, after.memory],
        "files": [before.files, after.files],
        "connections": [before.connections, after.connections],
    }
    return json.dumps(facts)
