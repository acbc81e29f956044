"""Runs all checks, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from otp_service.cli.doctor.account import PnvsAccountChecks, SmsAccountChecks
from otp_service.cli.doctor.api_probe import ApiProbe
from otp_service.cli.doctor.check_result import CheckResult, fail, ok, warn
from otp_service.cli.doctor.connectivity import check_connectivity
from otp_service.cli.doctor.public_address import check_forwarded_headers
from otp_service.cli.doctor.redis import check_alarm, check_redis
from otp_service.domain.address_probe import AddressProbe
from otp_service.observability.clock import SystemClock
from otp_service.settings import ConfigIssue, Settings
from otp_service.settings.routes import ALIYUN_PNVS, WEBHOOK, RouteConfig
from otp_service.sms.aliyun.api import AliyunApi
from otp_service.sms.aliyun.pnvs import VERSION as PNVS_VERSION
from otp_service.sms.aliyun.pnvs import lookup_pnvs
from otp_service.sms.aliyun.protocol.codes import lookup
from otp_service.sms.aliyun.signed_request import AccessKey, Signature
from otp_service.sms.aliyun.sms import VERSION
from otp_service.sms.http import HttpClient
from otp_service.store.verifications import RedisStore

Check = Callable[[], Iterable[CheckResult]]

SHOWN = 4
"""How many characters of an access key id may be shown."""


def run_checks(
    settings: Settings,
    issues: Iterable[ConfigIssue],
    store: RedisStore | None,
    route: str = "",
    warnings: Iterable[ConfigIssue] = (),
    *,
    url: str = "",
) -> Iterator[CheckResult]:
    """Run all checks, of one *route* or all routes, and those through the public *url* if it is given.

    A check that raises an exception yields a warning.
    """
    yield from _run("settings", lambda: _settings(issues, warnings))
    if store is not None:
        yield from _run("redis", lambda: check_redis(store, settings.clients))
        yield from _run("alarm", lambda: check_alarm(store, settings.policy().risk.global_failures))
    if url:
        yield from _run("address", lambda: check_forwarded_headers(url, AddressProbe(settings.keyring())))
    for table in settings.routes:
        if route in ("", table.name):
            yield from _run("route", lambda table=table: _route(settings, table))  # type: ignore[misc]


def _run(name: str, check: Check) -> Iterator[CheckResult]:
    try:
        yield from check()
    except Exception as error:  # noqa: BLE001 - a bug in one check must not stop the others
        kind = type(error).__name__
        yield warn(name, f"could not be checked ({kind})", "Fix the problems above, and try again.")


def _settings(issues: Iterable[ConfigIssue], warnings: Iterable[ConfigIssue]) -> Iterator[CheckResult]:
    found = list(issues)
    for issue in found:
        fix = "See docs/settings.md for this setting."
        yield fail("settings", str(issue), fix)
    for warning in warnings:
        fix = "See docs/settings.md for this setting and for the permissions of files."
        yield warn("settings", str(warning), fix)
    if not found:
        yield ok("settings", "are fit for production")


def _route(settings: Settings, table: RouteConfig) -> Iterator[CheckResult]:
    url = table.url if table.provider == WEBHOOK else table.endpoint
    if not url:
        return
    yield from check_connectivity(url, table.name)
    if table.provider == WEBHOOK:
        yield ok("webhook", "only a real SMS shows whether it works: otp-service send-test", table.name)
    else:
        yield from _accounts(settings, table)


def _accounts(settings: Settings, table: RouteConfig) -> Iterator[CheckResult]:
    is_pnvs = table.provider == ALIYUN_PNVS
    for key in table.access_keys():
        http = HttpClient(max_connections=1)
        api = AliyunApi(
            keys=[AccessKey(*key)],
            version=PNVS_VERSION if is_pnvs else VERSION,
            endpoint=table.endpoint,
            http=http,
            clock=SystemClock(),
            signature=Signature(table.signature),
        )
        explain = lookup_pnvs if is_pnvs else lookup
        probe = ApiProbe(api, route=table.name, key_name=f"{key[0][:SHOWN]}…", lookup=explain)
        try:
            yield from _account(probe, table, settings.codes.ttl)
        finally:
            api.close()


def _account(probe: ApiProbe, table: RouteConfig, ttl: int) -> Iterator[CheckResult]:
    templates = table.all_templates()
    if not templates or not table.sign_name:
        return  # reported as an issue of the settings
    if table.provider == ALIYUN_PNVS:
        yield from PnvsAccountChecks(probe).run(table.sign_name, templates[0])
    else:
        yield from SmsAccountChecks(probe).run(table.sign_name, templates, ttl)
