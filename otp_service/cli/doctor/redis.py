"""Checks whether Redis is suitable, persistent and usable, and what the service has recorded in it."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator

from otp_service.cli.doctor.check_result import CheckResult, fail, ok, warn
from otp_service.domain.errors import StoreUnavailable, VerificationNotFound
from otp_service.domain.limits import GlobalFailureLimits, PhoneLimits
from otp_service.domain.risk import PhoneKey
from otp_service.observability.clock import SystemClock
from otp_service.store.admin import AdminStore
from otp_service.store.diagnosis import RedisProblem
from otp_service.store.verifications import RedisStore

UNUSED_PHONE_HASH = "-" * 16
"""The hash of no phone."""


def check_redis(store: RedisStore, clients: Iterable[str]) -> Iterator[CheckResult]:
    """Check the servers, the permissions of the user, and whether *clients* send `client_ip`."""
    problem = store.redis.diagnose()
    try:
        info = store.redis.inspect()
    except StoreUnavailable:
        failure = problem or RedisProblem("stopped responding", "Try again.")
        yield fail("redis", failure.seen, failure.fix)
        return
    if info.unsuitability:
        yield fail("redis", info.unsuitability, "The service refuses to start until this is fixed.")
    else:
        yield ok("redis", f"{info.version}, never evicts keys")
        yield ok("redis", f"servers that accept writes: {info.servers}, replicas of each: {info.replicas}")
    if info.persists:
        yield ok("redis", "writes an append-only file")
    else:
        fix = "Set appendonly yes. Without it, a restart loses limits and valid codes."
        yield warn("redis", "loses all data in a restart", fix)
    yield (
        fail("redis", problem.seen, problem.fix)
        if problem and not info.unsuitability
        else _check_permissions(store)
    )
    if _is_readable(store):
        yield from _check_client_ips(store, clients)


def check_alarm(store: RedisStore, limits: GlobalFailureLimits) -> Iterator[CheckResult]:
    """Check whether the alarm for wrong codes is on."""
    if not _is_readable(store):
        return
    try:
        facts = AdminStore(store.redis).global_failures(limits, SystemClock().now())
    except StoreUnavailable:
        return
    if facts.level:
        message = f"wrong codes today: {facts.wrong}, so browsers must solve a risk challenge"
        fix = "Someone may be guessing. Run otp-service alarm, see docs/operations.md#the-wrong-code-alarm."
        yield warn("alarm", message, fix)
    else:
        yield ok("alarm", f"wrong codes today: {facts.wrong}, below the alarm")


def _is_readable(store: RedisStore) -> bool:
    """Return whether this release can read what is stored. `check_redis` reports it if not."""
    try:
        return store.redis.schema_problem() is None
    except StoreUnavailable:
        return False


def _check_permissions(store: RedisStore) -> CheckResult:
    """Do what every call does, for a phone that does not exist."""
    fix = "Give the ACL user what `otp-service redis-acl` prints."
    try:
        store.redis.check_servers()  # `check_health` would declare that this release is in use
        store.read(PhoneKey(UNUSED_PHONE_HASH, PhoneLimits()), "doctor", secrets.token_urlsafe(16))
    except VerificationNotFound:
        return ok("redis", "accepts writes and runs the scripts")
    except StoreUnavailable:
        return fail("redis", "refuses writes or scripts", fix)
    return fail("redis", "does not behave like Redis", "Check which server redis.url points to.")


def _check_client_ips(store: RedisStore, clients: Iterable[str]) -> Iterator[CheckResult]:
    try:
        silent = store.clients_without_ip(clients)
        is_unreadable = store.met_unreadable_ip()
    except StoreUnavailable:
        return
    for client in sorted(silent):
        message = f"{client} requested SMS without client_ip in the last 7 days"
        fix = "Send the end user's IP address from its backend. Without it, limits per address do not apply."
        yield warn("client_ip", message, fix)
    if is_unreadable:
        message = (
            "a trusted proxy wrote something other than an IP address into X-Forwarded-For in the last 7 days"
        )
        fix = "Correct the proxy or trusted_proxies: all callers behind it share the limits of one address."
        yield warn("client_ip", message, fix)
