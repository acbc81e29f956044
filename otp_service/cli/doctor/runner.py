"""The examination: all checks in their order. Touches what the checks touch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from otp_service.cli.doctor.account import Account
from otp_service.cli.doctor.api_probe import ApiProbe
from otp_service.cli.doctor.check_result import CheckResult, fail, ok, warn
from otp_service.cli.doctor.connectivity import reach
from otp_service.cli.doctor.pnvs_account import PnvsAccount
from otp_service.cli.doctor.public_address import examine_address
from otp_service.cli.doctor.redis import examine_alarm, examine_store
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
"""Characters of an access key's id that may be shown."""


def run_checks(
    settings: Settings,
    mistakes: Iterable[ConfigIssue],
    store: RedisStore | None,
    route: str = "",
    warnings: Iterable[ConfigIssue] = (),
    *,
    url: str = "",
) -> Iterator[CheckResult]:
    """Tell everything, of one *route* or of all, and what is seen through the public *url*, if given.

    A check that raises an exception yields a warning.
    """
    yield from _guarded("settings", lambda: _settings(mistakes, warnings))
    if store is not None:
        yield from _guarded("redis", lambda: examine_store(store, settings.clients))
        yield from _guarded("alarm", lambda: examine_alarm(store, settings.policy().risk.global_failures))
    if url:
        yield from _guarded("address", lambda: examine_address(url, AddressProbe(settings.keyring())))
    for table in settings.routes:
        if route in ("", table.name):
            yield from _guarded("route", lambda table=table: _route(settings, table))  # type: ignore[misc]


def _guarded(name: str, check: Check) -> Iterator[CheckResult]:
    try:
        yield from check()
    except Exception as error:  # noqa: BLE001 - one sick check must not silence the others
        kind = type(error).__name__
        yield warn(name, f"could not be looked at ({kind})", "Mend what is told above, and ask again.")


def _settings(mistakes: Iterable[ConfigIssue], warnings: Iterable[ConfigIssue]) -> Iterator[CheckResult]:
    told = list(mistakes)
    for mistake in told:
        fix = "See docs/settings.md for this setting."
        yield fail("settings", str(mistake), fix)
    for warning in warnings:
        fix = "See docs/settings.md for this setting, and for what is kept in files."
        yield warn("settings", str(warning), fix)
    if not told:
        yield ok("settings", "are fit for production")


def _route(settings: Settings, table: RouteConfig) -> Iterator[CheckResult]:
    url = table.url if table.provider == WEBHOOK else table.endpoint
    if not url:
        return
    yield from reach(url, table.name)
    if table.provider == WEBHOOK:
        yield ok("webhook", "only a real SMS shows whether it is taken: otp-service send-test", table.name)
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
        entrance = ApiProbe(api, route=table.name, key_name=f"{key[0][:SHOWN]}…", lookup=explain)
        try:
            yield from _account(entrance, table, settings.codes.ttl)
        finally:
            api.close()


def _account(entrance: ApiProbe, table: RouteConfig, ttl: int) -> Iterator[CheckResult]:
    templates = table.all_templates()
    if not templates or not table.sign_name:
        return  # the settings are told about already
    if table.provider == ALIYUN_PNVS:
        yield from PnvsAccount(entrance).examine(table.sign_name, templates[0])
    else:
        yield from Account(entrance).examine(table.sign_name, templates, ttl)
