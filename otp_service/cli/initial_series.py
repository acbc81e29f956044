"""Initial series: what the metrics of a configuration show before the first call.

Prometheus never sees the increase of a counter that appears with 1, so each series whose labels are known
starts at 0. Of what only a provider or a fault can name, such as a provider's code, one series stands in.
"""

from __future__ import annotations

from itertools import product

from otp_service.domain.limits import rate_limit_policies
from otp_service.domain.policy import CONVERSION_SCOPES
from otp_service.observability.logging import EVENTS
from otp_service.observability.metrics import Metrics
from otp_service.services.dispatch import TEST_ROUTE
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
"""Names of the driver's errors that are common; another one begins its series when it comes."""

_PAGE_LIMITS = (
    "address_new_pages_per_10_minutes",
    "address_pages_per_10_minutes",
    "client_new_pages_per_10_minutes",
    "client_pages_per_10_minutes",
    "page_verifications",
)
_NO_CHALLENGE = "address_misses_per_10_minutes"
_SUSPICIONS = ("phone_slow_lane", "service_wrong_codes", "risk_solution_used")

_QUEUES = {"report_queue": "SmsReport", "inbound_queue": "SmsUp"}
"""Settings of queues, and what the report worker calls each queue."""


def start_service(metrics: Metrics, settings: Settings) -> None:
    """Let every known series of `serve` exist."""
    _start_every_process(metrics, settings)
    _start_sends(metrics, settings)
    _start_calls(metrics, settings)
    _start_guard(metrics, settings)


def start_report_worker(metrics: Metrics, settings: Settings) -> None:
    """Let every known series of `consume-reports` exist."""
    _start_every_process(metrics, settings)
    named = [name for setting, name in _QUEUES.items() if getattr(settings.reports.queue, setting)]
    for labels in product(named, READ_RESULTS):
        metrics.queue_reads.labels(*labels)


def _start_every_process(metrics: Metrics, settings: Settings) -> None:
    metrics.preinitialize_events(EVENTS)
    for kind in REDIS_ERRORS:
        metrics.redis_errors.labels(kind)
    for labels in product(_routes(settings), DELIVERIES):
        metrics.sms_deliveries.labels(*labels)
    for result in REPORT_RESULTS:
        metrics.report_items.labels(result)


def _start_sends(metrics: Metrics, settings: Settings) -> None:
    for route in _routes(settings):
        metrics.time_to_verify.labels(route)
        for outcome in SEND_OUTCOMES:
            metrics.sms_sends.labels(route, outcome, "OK" if outcome == "accepted" else "")
        for country in settings.service.countries:
            metrics.sms_billable.labels(route, country)
            metrics.verifications_approved.labels(route, country)


def _start_calls(metrics: Metrics, settings: Settings) -> None:
    for endpoint, code in endpoint_outcomes():
        metrics.http_requests.labels(endpoint, code)
        metrics.http_request_duration.labels(endpoint)
    for limit in (*_limits(settings), *_PAGE_LIMITS):
        metrics.limits_hit.labels(limit)
    for client in settings.clients:
        metrics.lookup_misses.labels(client)


def _start_guard(metrics: Metrics, settings: Settings) -> None:
    scopes = [f"guard_{scope}" for scope in CONVERSION_SCOPES]
    at_address = [name for name in _limits(settings) if name.startswith("address_") and name != _NO_CHALLENGE]
    for labels in product(CONVERSION_SCOPES, GUARD_ACTIONS, GUARD_MODES):
        metrics.pumping_guard_transitions.labels(*labels)
    for reason in scopes:
        metrics.pumping_guard_blocks.labels(reason)
    for reason in (*scopes, *_SUSPICIONS, *at_address):
        metrics.risk_challenges.labels(reason)


def _limits(settings: Settings) -> list[str]:
    policy = settings.policy()
    return list(rate_limit_policies(policy.phone_limits, policy.code_limits, policy.risk.ip_limits, 0, 0))


def _routes(settings: Settings) -> list[str]:
    names = [route.name for route in settings.routes]
    return [*names, TEST_ROUTE] if settings.test_phones else names
