"""The store: whether it is fit, lasts, and may be used as the service must. Touches Redis."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator

from otp_service.cli.doctor.check_result import CheckResult, fail, ok, warn
from otp_service.domain.errors import StoreUnavailable, VerificationNotFound
from otp_service.domain.limits import GlobalFailureLimits, PhoneLimits
from otp_service.domain.risk import PhoneKey
from otp_service.observability.clock import SystemClock
from otp_service.store.admin import AdminStore
from otp_service.store.diagnosis import Trouble
from otp_service.store.verifications import RedisStore

NOBODY = "-" * 16
"""No phone has this tag."""


def examine_store(store: RedisStore, clients: Iterable[str]) -> Iterator[CheckResult]:
    """Tell how the store is, and which of *clients* name no addresses."""
    trouble = store.redis.diagnose()
    try:
        seen = store.redis.inspect()
    except StoreUnavailable:
        seen_so = trouble or Trouble("does not answer any more", "Ask again.")
        yield fail("redis", seen_so.seen, seen_so.fix)
        return
    if seen.unfit:
        yield fail("redis", seen.unfit, "See above; the service refuses to start with it.")
    else:
        yield ok("redis", f"{seen.version}, keeps every key")
        yield ok("redis", f"servers that take writes: {seen.servers}, replicas of each: {seen.replicas}")
    if seen.persists:
        yield ok("redis", "writes its append-only file")
    else:
        fix = "Set appendonly yes: after a restart without it, limits and live codes are gone."
        yield warn("redis", "keeps nothing through a restart", fix)
    yield fail("redis", trouble.seen, trouble.fix) if trouble and not seen.unfit else _rights(store)
    yield from _addresses(store, clients)


def examine_alarm(store: RedisStore, limits: GlobalFailureLimits) -> Iterator[CheckResult]:
    """Tell whether the alarm for wrong codes is on."""
    try:
        facts = AdminStore(store.redis).global_failures(limits, SystemClock().now())
    except StoreUnavailable:
        return
    if facts.level:
        seen = f"wrong codes today: {facts.wrong}, so that browsers are asked for a risk challenge"
        fix = "Somebody may be guessing: otp-service alarm, and docs/operations.md#the-wrong-code-alarm."
        yield warn("alarm", seen, fix)
    else:
        yield ok("alarm", f"wrong codes today: {facts.wrong}, which is usual")


def _rights(store: RedisStore) -> CheckResult:
    """Do what every call does, to a phone that nobody has."""
    fix = "Give the ACL user what `otp-service redis-acl` prints."
    try:
        store.check_health()
        store.read(PhoneKey(NOBODY, PhoneLimits()), "doctor", secrets.token_urlsafe(16))
    except VerificationNotFound:
        return ok("redis", "takes writes and runs the scripts")
    except StoreUnavailable:
        return fail("redis", "refuses writes or scripts", fix)
    return fail("redis", "answers like no Redis of ours", "Look at what redis.url leads to.")


def _addresses(store: RedisStore, clients: Iterable[str]) -> Iterator[CheckResult]:
    try:
        silent = store.clients_without_address(clients)
        is_unreadable = store.met_unreadable_ip()
    except StoreUnavailable:
        return
    for client in sorted(silent):
        seen = f"{client} asked for SMS without client_ip in the last seven days"
        fix = "Let its backend send the end user's address: the limits of addresses are skipped without it."
        yield warn("client_ip", seen, fix)
    if is_unreadable:
        seen = "a trusted proxy wrote no IP address into X-Forwarded-For in the last seven days"
        fix = "Correct the proxy or trusted_proxies: callers behind it share one address's limits."
        yield warn("client_ip", seen, fix)
