"""Creates the metric series of a configuration before the first call.

Prometheus does not see the increase of a counter that first appears with the value 1, so every series with
known labels starts at 0. A label that is known only later, such as a provider's error code, starts empty.
"""

from __future__ import annotations

from itertools import product

from otp_service.domain.limits import rate_limit_policies
from otp_service.domain.policy import CONVERSION_SCOPES, TEST_ROUTE
from otp_service.observability.logging import EVENTS
from otp_service.observability.metrics import Metrics
from otp_service.settings import Settings
from otp_service.web import endpoint_outcomes

SEND_OUTCOMES = ("accepted", "unknown", "withdrawn", "rejected", "throttled")
DELIVERIES = ("delivered", "undelivered")
GUARD_ACTIONS = ("none", "strict", "stricter", "challenge", "block")
GUARD_MODES = ("record_only", "enforce")
READ_RESULTS = ("ok", "failed")
REPORT_RESULTS = (
    *("updated", "repeated", "expired", "unrecognized", "malformed", "forwarded", "dropped", "must_retry"),
)
REDIS_ERRORS = (
    *("AuthenticationError", "AuthorizationError", "BusyLoadingError", "ClusterDownError", "ConnectionError"),
    *("MaxConnectionsError", "NoPermissionError", "NotReplicated", "OutOfMemoryError", "ReadOnlyError"),
    *("ResponseError", "TimeoutError"),
)
"""Common errors of redis-py. Any other error gets its series when it first occurs."""

_PAGE_LIMITS = (
    "address_new_pages_per_10_minutes",
    "address_pages_per_10_minutes",
    "client_new_pages_per_10_minutes",
    "client_pages_per_10_minutes",
    "page_verifications",
)
_NEVER_CHALLENGED = "address_misses_per_10_minutes"
_RISK_REASONS = ("phone_slow_lane", "service_wrong_codes", "risk_solution_used")

_QUEUES = {"report_queue": "SmsReport", "inbound_queue": "SmsUp"}
"""Name of each queue in the metrics, by its setting."""


def create_service_series(metrics: Metrics, settings: Settings) -> None:
    """Create the series of `serve`."""
    _create_common(metrics, settings)
    _create_sends(metrics, settings)
    _create_requests(metrics, settings)
    _create_guard(metrics, settings)


def create_report_series(metrics: Metrics, settings: Settings) -> None:
    """Create the series of `consume-reports`."""
    _create_common(metrics, settings)
    named = [name for setting, name in _QUEUES.items() if getattr(settings.reports.queue, setting)]
    for labels in product(named, READ_RESULTS):
        metrics.queue_reads.labels(*labels)


def _create_common(metrics: Metrics, settings: Settings) -> None:
    metrics.preinitialize_events(EVENTS)
    for kind in REDIS_ERRORS:
        metrics.redis_errors.labels(kind)
    for labels in product(_routes(settings), DELIVERIES):
        metrics.sms_deliveries.labels(*labels)
    for result in REPORT_RESULTS:
        metrics.report_items.labels(result)


def _create_sends(metrics: Metrics, settings: Settings) -> None:
    for route in _routes(settings):
        metrics.time_to_verify.labels(route)
        for outcome in SEND_OUTCOMES:
            metrics.sms_sends.labels(route, outcome, "OK" if outcome == "accepted" else "")
        for country in settings.service.countries:
            metrics.sms_billable.labels(route, country)
            metrics.verifications_approved.labels(route, country)


def _create_requests(metrics: Metrics, settings: Settings) -> None:
    for endpoint, code in endpoint_outcomes():
        metrics.http_requests.labels(endpoint, code)
        metrics.http_request_duration.labels(endpoint)
    for limit in (*_limits(settings), *_PAGE_LIMITS):
        metrics.limits_hit.labels(limit)
    for client in settings.clients:
        metrics.lookup_misses.labels(client)


def _create_guard(metrics: Metrics, settings: Settings) -> None:
    scopes = [f"guard_{scope}" for scope in CONVERSION_SCOPES]
    ip_limits = [
        name for name in _limits(settings) if name.startswith("address_") and name != _NEVER_CHALLENGED
    ]
    for labels in product(CONVERSION_SCOPES, GUARD_ACTIONS, GUARD_MODES):
        metrics.pumping_guard_transitions.labels(*labels)
    for reason in scopes:
        metrics.pumping_guard_blocks.labels(reason)
    for reason in (*scopes, *_RISK_REASONS, *ip_limits):
        metrics.risk_challenges.labels(reason)


def _limits(settings: Settings) -> list[str]:
    policy = settings.policy()
    return list(rate_limit_policies(policy.phone_limits, policy.code_limits, policy.risk.ip_limits, 0, 0))


def _routes(settings: Settings) -> list[str]:
    names = [route.name for route in settings.routes]
    return [*names, TEST_ROUTE] if settings.test_phones else names
