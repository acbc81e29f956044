"""The composition root: builds all objects from the settings, and the Flask application from them.

Importing it has no side effects.
"""

from __future__ import annotations

import atexit
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing import util
from pathlib import Path

from flask import Flask

from otp_service.captcha import ProofOfWork
from otp_service.domain.address_probe import AddressProbe
from otp_service.observability.clock import SystemClock
from otp_service.observability.log_writer import BufferedLogWriter
from otp_service.observability.logging import JsonEventLogger, Output, install_logging_handler
from otp_service.services.delivery_reports import DeliveryReportService
from otp_service.services.hosted_pages import HostedPages
from otp_service.services.interfaces import (
    ChallengeProvider,
    Clock,
    EventLogger,
    InboundSmsForwarder,
    PageStore,
    Store,
    UsageCounters,
)
from otp_service.services.operator_warnings import OperatorWarnings
from otp_service.services.verification import VerificationService
from otp_service.settings import Settings, SettingsError, load, validate_for_production
from otp_service.settings.routes import RouteConfig
from otp_service.sms.aliyun.reports import AliyunReportParser, describe_failure
from otp_service.sms.factory import build_provider, inbound_sms_webhook
from otp_service.sms.router import Route, SmsRouter
from otp_service.store.backend import ReplicationWait
from otp_service.store.client import ExistingClient, RedisOptions, from_existing_client, from_url
from otp_service.store.counters import RedisUsageCounters
from otp_service.store.embedded import start_embedded
from otp_service.store.pages import RedisPages
from otp_service.store.verifications import RedisStore
from otp_service.web import ApiDependencies, OtpBlueprint, install_problems
from otp_service.web import create_blueprint as blueprint_of
from otp_service.web.aliyun_reports import AliyunReportEndpoint
from otp_service.web.api import request_id as request_ids
from otp_service.web.api.client_ip import ProxyTrust
from otp_service.web.api.request_log import CurrentRequestLog

CONFIG_VARIABLE = "OTP_SERVICE_CONFIG"
EXTENSION = "otp_service"


@dataclass(frozen=True)
class Application:
    """A service that has been built. *close* releases its connections and threads."""

    app: Flask
    dependencies: ApiDependencies
    router: SmsRouter
    counters: UsageCounters
    close: Callable[[], None]


AppFactory = Callable[[ChallengeProvider | None], Flask]
Closers = list[Callable[[], object]]

_worker: list[AppFactory] = []
"""In a gunicorn worker: builds the application from the settings that the master has validated."""


def create_app(settings: Settings | None = None, *, challenges: ChallengeProvider | None = None) -> Flask:
    """Return the service as a Flask application. *challenges* replaces the provider of the settings.

    Without *settings*, a gunicorn worker uses those of its master (`otp_service.gunicorn_conf`). Any other
    process reads the environment and the file that `OTP_SERVICE_CONFIG` names.

    `app.extensions["otp_service"].close()` waits for the sends in flight. Call it before the process ends.
    Without *settings* it is called automatically.

    Raises:
        SettingsError: the settings are invalid. Those from the environment must also be fit for production.
    """
    if settings is not None:
        return build(settings, challenges=challenges).app
    return _worker[-1](challenges) if _worker else _from_environment(challenges)


def set_app_factory(factory: AppFactory) -> None:
    """Make `create_app` without settings call *factory* in this process."""
    _worker.append(factory)


def create_blueprint(
    settings: Settings, *, redis: ExistingClient | None = None, challenges: ChallengeProvider | None = None
) -> OtpBlueprint:
    """Return the service as a blueprint, to register in another Flask application.

    *redis* is that application's Redis client. The service opens its own connections to the same server.
    Without *redis* it uses the server of the settings. Call `close()` of the blueprint before the process
    ends.

    Raises:
        TypeError: *redis* is not a client of a single server.
    """
    clock, closers = SystemClock(), Closers()
    events = _embedded_event_logger(settings, clock, closers)
    store = None if redis is None else _from_existing_client(redis, settings, events, closers)
    built = build(
        settings,
        store=store,
        clock=clock,
        events=events,
        counters=_counters(settings, store, clock, events, closers) if store else None,
        pages=RedisPages(store.redis) if store else None,
        challenges=challenges,
    )
    closers.append(built.close)
    return OtpBlueprint(built.dependencies, close_once(closers))


def _from_environment(challenges: ChallengeProvider | None) -> Flask:
    settings = settings_from_environment()
    if issues := validate_for_production(settings):
        raise SettingsError(issues)
    built = build(settings, challenges=challenges)
    at_exit(built.close)
    return built.app


def settings_from_environment() -> Settings:
    """Return the settings from the environment and from the file that `OTP_SERVICE_CONFIG` names, if any.

    Raises:
        SettingsError: they are invalid.
    """
    path = os.environ.get(CONFIG_VARIABLE)
    return load(Path(path) if path else None, os.environ)


def build(
    settings: Settings,
    *,
    store: Store | None = None,
    clock: Clock | None = None,
    events: EventLogger | None = None,
    counters: UsageCounters | None = None,
    pages: PageStore | None = None,
    challenges: ChallengeProvider | None = None,
) -> Application:
    """Build the service. Arguments replace what would be built from *settings*.

    Raises:
        ValueError: *store* is given without *counters* or *pages*.
    """
    clock = clock or SystemClock()
    closers: Closers = []
    events = events or _event_logger(settings, clock, closers)
    if store is None:
        store = _store(settings, events, closers)
        counters = counters or _counters(settings, store, clock, events, closers)
        pages = pages or RedisPages(store.redis)
    if counters is None or pages is None:
        raise ValueError("a store must be given together with counters and pages")
    challenges = challenges or _challenges(settings, clock)
    router = _router(settings, clock, events)
    # Sends in flight still write their results to the store, so the router is closed first.
    closers.append(lambda: router.close(settings.server.stop_timeout))
    service = VerificationService(
        policy=settings.policy(),
        keyring=settings.keyring(),
        signers=settings.signers(clock.now),
        store=store,
        sender=router,
        counters=counters,
        challenges=challenges,
        clock=clock,
        events=events,
        log_context=CurrentRequestLog(),
    )
    dependencies = ApiDependencies(
        service=service,
        pages=_hosted_pages(settings, service, pages, clock),
        clients=settings.all_clients(),
        store=store,
        describe_failure=describe_failure,
        route_states=lambda: [{"name": name, "state": state} for name, state in router.states().items()],
        events=events,
        clock=clock,
        report_receiver=_intake(settings, store, clock, events),
        proxy_trust=ProxyTrust(settings.service.proxy_hops, settings.proxies()),
        dialing=settings.dialing(),
        public_url=settings.service.public_url,
        global_risk_level=counters.global_risk_level,
        address_probe=AddressProbe(settings.keyring()),
        on_unreadable_ip=OperatorWarnings(store, clock, events).unreadable_ip,
    )
    app = _app_of(dependencies)
    built = Application(app, dependencies, router, counters, close=close_once(closers))
    app.extensions[EXTENSION] = built
    return built


def try_build(settings: Settings) -> None:
    """Build the service as a worker does, and close it again, without starting threads or sending anything.

    Errors in the settings that validation cannot detect are raised here.
    """
    clock, events = SystemClock(), _NullEventLogger()
    store = open_store(settings, events)
    limits = settings.policy().risk.global_failures
    counters = RedisUsageCounters(store.redis.run_scripts, limits=limits, clock=clock, events=events)
    build(
        settings, store=store, clock=clock, events=events, counters=counters, pages=RedisPages(store.redis)
    ).close()
    store.close()


class _NullEventLogger:
    """Implements `interfaces.EventLogger`: drops all events."""

    def emit(self, event: str, **facts: object) -> None:
        """Drop the event."""


def create_event_logger(settings: Settings, clock: Clock, output: Output) -> JsonEventLogger:
    """Return a logger that writes events and the log records of libraries to *output*."""
    events = JsonEventLogger(
        output,
        level=settings.log.level,
        clock=clock.now,
        request_id=request_ids.current,
    )
    install_logging_handler(events)
    return events


def open_store(settings: Settings, events: EventLogger, job: str = "") -> RedisStore:
    """Return the store of the settings without connecting to it yet. *job*: see `RedisStore`."""
    backend = from_url(settings.redis.url.get_secret_value(), _redis_options(settings))
    return RedisStore(backend, events, wait=_wait(settings), job=job)


def _wait(settings: Settings) -> ReplicationWait | None:
    redis = settings.redis
    return (
        ReplicationWait(redis.min_replica_acks, redis.replica_ack_timeout) if redis.min_replica_acks else None
    )


def _redis_options(settings: Settings) -> RedisOptions:
    redis = settings.redis
    return RedisOptions(
        pool_size=settings.pool_size(),
        connect_timeout=redis.connect_timeout,
        read_timeout=redis.read_timeout,
        password_file=redis.password_file,
        sentinel_username=redis.sentinel_username,
        sentinel_password_file=redis.sentinel_password_file,
        ca_file=redis.ca_file,
        cert_file=redis.cert_file,
        key_file=redis.key_file,
    )


def _store(settings: Settings, events: EventLogger, closers: Closers) -> RedisStore:
    if not settings.redis.embedded:
        store = open_store(settings, events)
        closers.append(store.close)
        return store
    embedded = start_embedded()
    closers.append(embedded.close)
    return RedisStore(embedded.client(), events, shebang=embedded.shebang)


def _from_existing_client(
    redis: ExistingClient, settings: Settings, events: EventLogger, closers: Closers
) -> RedisStore:
    store = RedisStore(from_existing_client(redis, _redis_options(settings)), events, wait=_wait(settings))
    closers.append(store.close)
    return store


def _counters(
    settings: Settings,
    store: RedisStore,
    clock: Clock,
    events: EventLogger,
    closers: Closers,
) -> UsageCounters:
    risk = settings.policy().risk
    counters = RedisUsageCounters(
        store.redis.run_counter_scripts,
        limits=risk.global_failures,
        guard_mode=risk.pumping_guard_mode,
        clock=clock,
        events=events,
    )
    counters.start()
    closers.append(counters.close)
    return counters


def _event_logger(settings: Settings, clock: Clock, closers: Closers) -> JsonEventLogger:
    lines = BufferedLogWriter()
    closers.append(lines.drain)
    return create_event_logger(settings, clock, lines)


def _embedded_event_logger(settings: Settings, clock: Clock, closers: Closers) -> JsonEventLogger:
    """Return a logger that writes to standard output and leaves the application's logging alone."""
    lines = BufferedLogWriter()
    closers.append(lines.close)
    return JsonEventLogger(lines, level=settings.log.level, clock=clock.now, request_id=request_ids.current)


def _challenges(settings: Settings, clock: Clock) -> ChallengeProvider | None:
    if settings.risk.challenge == "off":
        return None
    return ProofOfWork(settings.keyring(), clock, ttl=settings.risk.ttl)


def _router(settings: Settings, clock: Clock, events: EventLogger) -> SmsRouter:
    in_flight = settings.max_in_flight()
    routes = [
        replace(open_route(table, settings, clock), clients=settings.clients_of(table))
        for table in settings.routes
    ]
    return SmsRouter(routes=routes, clock=clock, events=events, max_in_flight=in_flight)


def open_route(table: RouteConfig, settings: Settings, clock: Clock | None = None) -> Route:
    """Return the route that *table* configures. The caller must close its provider."""
    clock = clock or SystemClock()
    provider = build_provider(
        table,
        code_seconds=settings.codes.ttl,
        clock=clock,
        max_in_flight=settings.max_in_flight(),
        connect_seconds=settings.sms.connect_timeout,
        read_seconds=settings.sms.read_timeout,
    )
    return Route(
        name=table.name,
        provider=provider,
        templates=table.all_templates(),
        clients=frozenset(table.clients),
    )


def _hosted_pages(
    settings: Settings, service: VerificationService, store: PageStore, clock: Clock
) -> HostedPages:
    return HostedPages(
        service=service,
        clients=settings.all_clients(),
        store=store,
        keyring=settings.keyring(),
        clock=clock,
        deadline=settings.service.request_deadline,
        draw=secrets.token_bytes,
    )


def _intake(
    settings: Settings, store: Store, clock: Clock, events: EventLogger
) -> AliyunReportEndpoint | None:
    secret = settings.reports.secret
    if secret is None:
        return None
    reports = build_delivery_reports(settings, store, clock, events)
    return AliyunReportEndpoint(secret.get_secret_value().encode(), reports, clock)


def build_delivery_reports(
    settings: Settings, store: Store, clock: Clock, events: EventLogger
) -> DeliveryReportService:
    """Return the service that processes delivery reports and inbound SMS."""
    return DeliveryReportService(
        keyring=settings.keyring(),
        store=store,
        clock=clock,
        events=events,
        parser=AliyunReportParser(),
        forwarder=_inbound_sms_forwarder(settings, clock, events),
    )


def _inbound_sms_forwarder(
    settings: Settings, clock: Clock, events: EventLogger
) -> InboundSmsForwarder | None:
    reports = settings.reports
    if reports.inbound_sms_webhook_secret is None:
        return None
    return inbound_sms_webhook(
        url=reports.inbound_sms_webhook_url,
        secret=reports.inbound_sms_webhook_secret.get_secret_value(),
        events=events,
        clock=clock,
        max_in_flight=settings.max_in_flight(),
        connect_seconds=settings.sms.connect_timeout,
        read_seconds=settings.sms.read_timeout,
    )


def _app_of(dependencies: ApiDependencies) -> Flask:
    app = Flask("otp_service", static_folder=None, template_folder=None)
    app.register_blueprint(blueprint_of(dependencies))
    install_problems(app, dependencies)
    return app


def close_once(closers: Closers) -> Callable[[], None]:
    """Return a function whose first call runs *closers* in reverse order. Later calls do nothing."""

    def close() -> None:
        while closers:
            closers.pop()()

    return close


def at_exit(close: Callable[[], None]) -> None:
    """Call *close* when this process exits, even if multiprocessing started it."""
    atexit.register(close)
    util.Finalize(None, close, exitpriority=10)
