"""The composition root: settings become parts, parts become a Flask application. Touches every room.

The only place where rooms meet. Nothing happens when it is imported.
"""

from __future__ import annotations

import atexit
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing import util
from pathlib import Path
from typing import TypedDict

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
from otp_service.sms.aliyun.mns import MessageHandler, Worker, build_worker
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
    """A service that is put together: its *app*, and *close*, which ends what the parts hold open."""

    app: Flask
    parts: ApiDependencies
    router: SmsRouter
    ledger: UsageCounters
    close: Callable[[], None]


@dataclass(frozen=True)
class _Ports:
    store: Store
    sender: SmsRouter
    ledger: UsageCounters
    challenges: ChallengeProvider | None
    clock: Clock
    events: EventLogger


AppFactory = Callable[[ChallengeProvider | None], Flask]

_worker: list[AppFactory] = []
"""In a worker process of gunicorn: makes its application with the settings that the master has validated."""


def create_app(settings: Settings | None = None, *, challenges: ChallengeProvider | None = None) -> Flask:
    """Return the service as an application of its own; *challenges* stand in for those of the settings.

    Without *settings*, they are those of the gunicorn master (`otp_service.gunicorn_conf`), or else those of
    the environment and of the file that `OTP_SERVICE_CONFIG` names.

    `app.extensions["otp_service"].close()` waits for the sends in flight; call it before the process ends.
    Without *settings*, that happens by itself.

    Raises:
        SettingsError: the settings are wrong, or not fit for production.
    """
    if settings is not None:
        return build(settings, challenges=challenges).app
    return _worker[-1](challenges) if _worker else _from_environment(challenges)


def create_apps_by(factory: AppFactory) -> None:
    """Have `create_app` without settings call *factory* in this process."""
    _worker.append(factory)


def create_blueprint(
    settings: Settings, *, redis: ExistingClient | None = None, challenges: ChallengeProvider | None = None
) -> OtpBlueprint:
    """Return the service for an application of one's own, to be registered under a prefix.

    Of *redis*, the application's own client, the server is used, on connections of our own; without it the
    server is that of the settings. Call `close()` before the process ends.

    Raises:
        TypeError: *redis* is no client of one server.
    """
    clock, closers = SystemClock(), list[Callable[[], None]]()
    events = _events_of_our_own(settings, clock, closers)
    given: _Given = {} if redis is None else _borrowed(redis, settings, clock, events, closers)
    built = build(settings, clock=clock, events=events, challenges=challenges, **given)
    closers.append(built.close)
    return OtpBlueprint(built.parts, _once(closers))


def _from_environment(challenges: ChallengeProvider | None) -> Flask:
    settings = settings_from_environment()
    if mistakes := validate_for_production(settings):
        raise SettingsError(mistakes)
    built = build(settings, challenges=challenges)
    at_exit(built.close)
    return built.app


def settings_from_environment() -> Settings:
    """Return the settings of the file that `OTP_SERVICE_CONFIG` names, if any, and of the environment.

    Raises:
        SettingsError: they are wrong.
    """
    path = os.environ.get(CONFIG_VARIABLE)
    return load(Path(path) if path else None, os.environ)


def build(
    settings: Settings,
    *,
    store: Store | None = None,
    clock: Clock | None = None,
    events: EventLogger | None = None,
    ledger: UsageCounters | None = None,
    pages: PageStore | None = None,
    challenges: ChallengeProvider | None = None,
) -> Application:
    """Put the service together; what is given stands in for that of the settings."""
    clock = clock or SystemClock()
    closers: list[Callable[[], None]] = []
    events = events or _batched_events(settings, clock, closers)
    if store is None:
        store = _store(settings, events, closers)
        ledger = ledger or _ledger(settings, store, clock, events, closers)
        pages = pages or RedisPages(store)
    if ledger is None or pages is None:
        raise ValueError("a store of one's own needs a ledger and pages of its own")
    challenges = challenges or _challenges(settings, clock)
    router = _router(settings, clock, events)
    # Late answers of a provider are booked in the store, so the router ends before it.
    closers.append(lambda: _drain(router, settings.server.stop_timeout))
    service = _service(settings, _Ports(store, router, ledger, challenges, clock, events))
    parts = ApiDependencies(
        service=service,
        pages=_hosted_pages(settings, service, pages, clock),
        clients=settings.all_clients(),
        store=store,
        route_states=lambda: [{"name": name, "state": state} for name, state in router.states().items()],
        events=events,
        clock=clock,
        report_receiver=_intake(settings, store, clock, events),
        proxy_trust=ProxyTrust(settings.service.proxy_hops, settings.proxies()),
        dialing=settings.dialing(),
        public_url=settings.service.public_url,
        global_risk_level=ledger.global_risk_level,
        address_probe=AddressProbe(settings.keyring()),
        on_unreadable_ip=OperatorWarnings(store, clock, events).unreadable_ip,
    )
    app = _app_of(parts)
    built = Application(app, parts, router, ledger, close=_once(closers))
    app.extensions[EXTENSION] = built
    return built


def rehearse(settings: Settings) -> None:
    """Put the service together as a worker does, and take it apart again: no thread starts, nothing is sent.

    What is wrong with the settings that nothing else has found is raised here.
    """
    clock, events = SystemClock(), _Unheard()
    store = open_store(settings, events)
    limits = settings.policy().risk.global_failures
    ledger = RedisUsageCounters(store.flush, limits=limits, clock=clock, events=events)
    build(settings, store=store, clock=clock, events=events, ledger=ledger, pages=RedisPages(store)).close()
    store.close()


class _Unheard:
    """Events that nobody hears."""

    def emit(self, event: str, **facts: object) -> None:
        """Drop the event."""


def build_report_worker(settings: Settings, events: EventLogger) -> Worker:
    """Put together what collects reports from the queues of the settings, which must name one."""
    clock = SystemClock()
    queues = settings.reports.queue
    account = next(route for route in settings.routes if route.name == queues.route)
    reports = _reports(settings, open_store(settings, events, job="reports"), clock, events)
    take = MessageHandler(take=reports.process, clock=clock, events=events)
    return build_worker(queues, account, take=take, clock=clock, events=events)


def standard_events(settings: Settings, clock: Clock, output: Output) -> JsonEventLogger:
    """Return events as JSON lines on *output*, the logging of other libraries among them."""
    events = JsonEventLogger(
        output,
        level=settings.log.level,
        clock=clock.now,
        request_id=request_ids.current,
    )
    install_logging_handler(events)
    return events


def open_store(settings: Settings, events: EventLogger, job: str = "") -> RedisStore:
    """Return the store that the settings name; nothing is sent to it yet. *job*: see `RedisStore`."""
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


def _store(settings: Settings, events: EventLogger, closers: list[Callable[[], None]]) -> RedisStore:
    if not settings.redis.embedded:
        store = open_store(settings, events)
        closers.append(store.close)
        return store
    embedded = start_embedded()
    closers.append(embedded.close)
    return RedisStore(embedded.client(), events, shebang=embedded.shebang)


class _Given(TypedDict, total=False):
    store: Store
    ledger: UsageCounters
    pages: PageStore


def _borrowed(
    redis: ExistingClient,
    settings: Settings,
    clock: Clock,
    events: EventLogger,
    closers: list[Callable[[], None]],
) -> _Given:
    store = RedisStore(from_existing_client(redis, _redis_options(settings)), events, wait=_wait(settings))
    closers.append(store.close)
    ledger = _ledger(settings, store, clock, events, closers)
    return {"store": store, "ledger": ledger, "pages": RedisPages(store)}


def _ledger(
    settings: Settings,
    store: RedisStore,
    clock: Clock,
    events: EventLogger,
    closers: list[Callable[[], None]],
) -> UsageCounters:
    risk = settings.policy().risk
    ledger = RedisUsageCounters(
        store.flush_ledger,
        limits=risk.global_failures,
        guard_mode=risk.guard_mode,
        clock=clock,
        events=events,
    )
    ledger.start()
    closers.append(ledger.close)
    return ledger


def _batched_events(settings: Settings, clock: Clock, closers: list[Callable[[], None]]) -> JsonEventLogger:
    lines = BufferedLogWriter()
    closers.append(lines.drain)
    return standard_events(settings, clock, lines)


def _events_of_our_own(
    settings: Settings, clock: Clock, closers: list[Callable[[], None]]
) -> JsonEventLogger:
    """Return events as JSON lines on standard output; how the process logs otherwise is not our affair."""
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
    """Return the route that *table* describes; its provider must be closed."""
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


def _service(settings: Settings, ports: _Ports) -> VerificationService:
    return VerificationService(
        policy=settings.policy(),
        keyring=settings.keyring(),
        signers=settings.signers(ports.clock.now),
        store=ports.store,
        sender=ports.sender,
        counters=ports.ledger,
        challenges=ports.challenges,
        clock=ports.clock,
        events=ports.events,
        log_context=CurrentRequestLog(),
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
    reports = _reports(settings, store, clock, events)
    return AliyunReportEndpoint(secret.get_secret_value().encode(), reports, clock)


def _reports(settings: Settings, store: Store, clock: Clock, events: EventLogger) -> DeliveryReportService:
    return DeliveryReportService(
        keyring=settings.keyring(),
        store=store,
        clock=clock,
        events=events,
        uplinks=_uplinks(settings, clock, events),
    )


def _uplinks(settings: Settings, clock: Clock, events: EventLogger) -> InboundSmsForwarder | None:
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


def _app_of(parts: ApiDependencies) -> Flask:
    app = Flask("otp_service", static_folder=None, template_folder=None)
    app.register_blueprint(blueprint_of(parts))
    install_problems(app, parts)
    return app


def _drain(router: SmsRouter, seconds: float) -> None:
    router.close(seconds)


def _once(closers: list[Callable[[], None]]) -> Callable[[], None]:
    """Return what runs *closers*, the newest first, the first time it is called."""

    def close() -> None:
        while closers:
            closers.pop()()

    return close


def at_exit(close: Callable[[], None]) -> None:
    """Have *close* called at the end of this process, also of one that multiprocessing has started."""
    atexit.register(close)
    util.Finalize(None, close, exitpriority=10)
