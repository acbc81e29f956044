"""Rules that need several settings: consistency, fitness for production, and what needs a restart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from urllib.parse import urlsplit

from otp_service.domain.clients import key_digest
from otp_service.settings.clients import ID, NAME, ClientConfig
from otp_service.settings.issues import ConfigIssue
from otp_service.settings.risk import CHINA
from otp_service.settings.routes import SANDBOX, WEBHOOK, RouteConfig
from otp_service.settings.secret_settings import forms, is_example
from otp_service.settings.settings import SENTINEL_SCHEMES, Settings

EXAMPLE_SECRET_KEY = "sk_example-key-for-reading-only-never-for-use"  # noqa: S105 - it is public
"""The secret key whose digest is in `config.example.toml`."""

_EXAMPLE_DIGEST = key_digest(EXAMPLE_SECRET_KEY)

FIXED = ("server", "metrics")
"""Tables whose changes need a restart: addresses, ports and the number of processes."""


def validate(settings: Settings) -> Iterator[ConfigIssue]:
    """Yield all issues of settings whose single values are valid."""
    yield from settings.keys.issues()
    yield from _limit_issues(settings)
    yield from _server_issues(settings)
    yield from _redis_issues(settings)
    yield from _proxy_issues(settings)
    yield from _purpose_issues(settings)
    yield from _client_issues(settings)
    yield from _route_issues(settings)
    yield from _serving_issues(settings)
    yield from _report_issues(settings)
    yield from _abuse_issues(settings)
    yield from _test_phone_issues(settings)
    yield from _shared_secrets(settings)


def _limit_issues(settings: Settings) -> Iterator[ConfigIssue]:
    limits = settings.limits
    if limits.restrict_after_failures >= limits.lock_after_failures:
        yield ConfigIssue(
            "limits.restrict_after_failures",
            "must be less than limits.lock_after_failures",
            ("limits.lock_after_failures",),
        )
    if limits.failures_per_hour > limits.failures_per_day:
        yield ConfigIssue(
            "limits.failures_per_hour",
            "must be at most limits.failures_per_day",
            ("limits.failures_per_day",),
        )
    if limits.sends_per_hour > limits.sends_per_day:
        yield ConfigIssue(
            "limits.sends_per_hour", "must be at most limits.sends_per_day", ("limits.sends_per_day",)
        )


def _server_issues(settings: Settings) -> Iterator[ConfigIssue]:
    if settings.sms.connect_timeout + settings.sms.read_timeout > settings.service.request_deadline:
        what = "must be at least the sum of the timeouts of [sms]"
        yield ConfigIssue("service.request_deadline", what, ("sms.connect_timeout", "sms.read_timeout"))
    if settings.server.stop_timeout <= settings.service.request_deadline:
        what = "must be more than service.request_deadline, so that sends are not cut off"
        yield ConfigIssue("server.stop_timeout", what, ("service.request_deadline",))
    for name in ("port", "reports_port"):
        if getattr(settings.metrics, name) == settings.server.port:
            yield ConfigIssue(
                f"metrics.{name}", "must differ from server.port, which is public", ("server.port",)
            )
    if settings.metrics.port and settings.metrics.port == settings.metrics.reports_port:
        yield ConfigIssue("metrics.reports_port", "must differ from metrics.port", ("metrics.port",))
    if settings.pool_size() < settings.server.worker_connections:
        what = "must be at least server.worker_connections, one for each request"
        yield ConfigIssue("redis.pool_size", what, ("server.worker_connections",))
    if settings.max_in_flight() >= settings.server.worker_connections:
        what = "must be less than server.worker_connections, so that sends cannot block verifications"
        yield ConfigIssue("sms.max_in_flight", what, ("server.worker_connections",))


def _redis_issues(settings: Settings) -> Iterator[ConfigIssue]:
    redis, url = settings.redis, settings.redis.url.get_secret_value()
    if redis.password_file and _has_password(url):
        what = "cannot be combined with a password in redis.url"
        yield ConfigIssue("redis.password_file", what, ("redis.url",))
    for name in ("sentinel_username", "sentinel_password_file"):
        if getattr(redis, name) and not url.startswith(SENTINEL_SCHEMES):
            yield ConfigIssue(f"redis.{name}", "is for Sentinels, but redis.url names none", ("redis.url",))
    if redis.sentinel_username and not redis.sentinel_password_file:
        what = "needs redis.sentinel_password_file"
        yield ConfigIssue("redis.sentinel_username", what, ("redis.sentinel_password_file",))
    if redis.min_replica_acks and redis.replica_ack_timeout >= redis.read_timeout:
        yield ConfigIssue(
            "redis.replica_ack_timeout", "must be less than redis.read_timeout", ("redis.read_timeout",)
        )
    if (redis.cert_file is None) != (redis.key_file is None):
        yield ConfigIssue("redis.cert_file", "and redis.key_file must be set together")
    if (redis.ca_file or redis.cert_file) and not redis.is_tls:
        where = "redis.ca_file" if redis.ca_file else "redis.cert_file"
        yield ConfigIssue(where, "is for TLS: redis.url must begin with rediss", ("redis.url",))


def _has_password(url: str) -> bool:
    return ":" in urlsplit(url).netloc.rpartition("@")[0]


def _proxy_issues(settings: Settings) -> Iterator[ConfigIssue]:
    if settings.service.trusted_proxies and settings.service.proxy_hops:
        yield ConfigIssue("service.proxy_hops", "cannot be combined with service.trusted_proxies")


def _purpose_issues(settings: Settings) -> Iterator[ConfigIssue]:
    if not settings.purposes:
        yield ConfigIssue("purposes", "needs at least one purpose")
    if not all(map(NAME.fullmatch, settings.purposes)):
        yield ConfigIssue("purposes", "has a name that is not 1 to 32 of a-z 0-9 _, beginning with a letter")


def _client_issues(settings: Settings) -> Iterator[ConfigIssue]:
    if not settings.clients:
        yield ConfigIssue("clients", "needs at least one client")
    if not all(map(ID.fullmatch, settings.clients)):
        yield ConfigIssue("clients", "has an id that is not 1 to 32 of a-z 0-9 _ -, beginning with a letter")
    for name, client in settings.clients.items():
        yield from client.issues(f"clients.{name}")
        if not set(client.purposes) <= set(settings.purposes):
            yield ConfigIssue(
                f"clients.{name}.purposes", "names a purpose that is not in [purposes]", ("purposes.<id>",)
            )
        for issue in client.limits.issues(f"clients.{name}.limits", settings.phone_limits()):
            yield issue._replace(reads=(f"limits.{issue.where.rpartition('.')[2]}.*",))
    yield from _key_issues(settings)


def _key_issues(settings: Settings) -> Iterator[ConfigIssue]:
    publishable = [client.publishable_key for client in settings.clients.values() if client.publishable_key]
    digests = [d for client in settings.clients.values() for d in client.secret_key_digests]
    if _repeated(publishable):
        yield ConfigIssue("clients", "share a publishable key")
    if _repeated(digests):
        yield ConfigIssue("clients", "share a secret key digest")
    if set(map(key_digest, publishable)) & set(digests):
        yield ConfigIssue("clients", "have a publishable key among the digests of secret keys")


_SERVING = (
    "purposes",
    "service.countries.*",
    "routes[].name",
    "routes[].provider",
    "routes[].clients.*",
    "routes[].templates",
    *(f"routes[].templates[].{name}.*" for name in ("purpose", "locale", "country")),
)
"""Settings that decide whether there is a route for an SMS."""


def _unserved(settings: Settings, name: str, client: ClientConfig) -> Iterator[ConfigIssue]:
    """Yield the purposes of the client that no route sends for."""
    routes = [route for route in settings.routes if client.takes(route.name)]
    wanted = [purpose for purpose in settings.purposes if purpose in (client.purposes or settings.purposes)]
    unserved: dict[str, list[str]] = {}
    for purpose in wanted:
        missing = [c for c in settings.service.countries if not _is_served(routes, name, purpose, c)]
        if missing:
            unserved.setdefault(", ".join(missing), []).append(purpose)
    for countries, purposes in unserved.items():
        what = f"has {', '.join(purposes)}, but no route sends to {countries} for every locale"
        yield ConfigIssue(f"clients.{name}.purposes", what, (*_SERVING, f"clients.{name}.routes.*"))


def _is_served(routes: Iterable[RouteConfig], client: str, purpose: str, country: str) -> bool:
    return any(route.serves(client, purpose, country) for route in routes)


def _route_issues(settings: Settings) -> Iterator[ConfigIssue]:
    if not settings.routes:
        yield ConfigIssue("routes", "needs at least one route")
    for number, route in enumerate(settings.routes):
        where = f"routes[{number}]"
        for issue in route.issues(where):
            yield issue._replace(reads=(*issue.reads, f"{where}.provider"))
        for issue in route.minutes_issues(where, settings.codes.ttl):
            yield issue._replace(reads=("codes.ttl", f"{where}.provider"))
        if not set(route.clients) <= set(settings.clients):
            yield ConfigIssue(
                f"{where}.clients", "names a client that is not in [clients]", ("clients.<id>",)
            )
        purposes = {template.purpose for template in route.templates} - {"*"}
        if not purposes <= set(settings.purposes):
            yield ConfigIssue(
                f"{where}.templates", "name a purpose that is not in [purposes]", ("purposes.<id>",)
            )
    if _repeated(route.name for route in settings.routes if route.name):
        yield ConfigIssue("routes", "share a name")


def _serving_issues(settings: Settings) -> Iterator[ConfigIssue]:
    """Yield clients and routes that exclude each other."""
    for name, client in settings.clients.items():
        if not set(client.routes) <= {route.name for route in settings.routes}:
            what = "names a route that is not in [[routes]]"
            yield ConfigIssue(f"clients.{name}.routes", what, ("routes[].name",))
    for number, route in enumerate(settings.routes):
        if set(route.clients) <= set(settings.clients) and not _has_takers(settings, route):
            what = "has no client left: these clients are limited to other routes"
            yield ConfigIssue(f"routes[{number}].clients", what, ("clients.<id>.routes.*", "routes[].name"))
    for name, client in settings.clients.items():
        yield from _unserved(settings, name, client)


def _has_takers(settings: Settings, route: RouteConfig) -> bool:
    named = route.clients or tuple(settings.clients)
    return not named or any(settings.clients[name].takes(route.name) for name in named)


def _report_issues(settings: Settings) -> Iterator[ConfigIssue]:
    yield from settings.reports.issues("reports")
    name = settings.reports.queue.route
    routes = [route for route in settings.routes if route.name == name]
    if name and not routes:
        yield ConfigIssue(
            "reports.queue.route", "names a route that is not in [[routes]]", ("routes[].name",)
        )
    if any(route.provider == WEBHOOK for route in routes):
        yield ConfigIssue(
            "reports.queue.route", "names a route without an Aliyun account", ("routes[].provider",)
        )


def _abuse_issues(settings: Settings) -> Iterator[ConfigIssue]:
    if not set(settings.deny.countries) <= set(settings.service.countries):
        what = "names a country that is not in service.countries"
        yield ConfigIssue("deny.countries", what, ("service.countries.*",))
    if settings.global_failures.severe_min_failures < settings.global_failures.min_failures:
        yield ConfigIssue(
            "global_failures.severe_min_failures",
            "must be at least global_failures.min_failures",
            ("global_failures.min_failures",),
        )
    if settings.ip_limits.sends_per_hour > settings.ip_limits.sends_per_day:
        what = "must be at most ip_limits.sends_per_day"
        yield ConfigIssue("ip_limits.sends_per_hour", what, ("ip_limits.sends_per_day",))


_TEST_PHONES = ("service.countries.*", "service.default_region", "service.phone_types.*", "purposes.*")
"""Settings that decide whether a test phone is valid."""


def _test_phone_issues(settings: Settings) -> Iterator[ConfigIssue]:
    today = datetime.now(CHINA).date()
    kinds, rules = settings.code_types(), settings.phone_rules()
    for number, table in enumerate(settings.test_phones):
        for issue in table.issues(f"test_phones[{number}]", rules, kinds, today):
            yield issue._replace(reads=_TEST_PHONES)
    if _repeated(table.phone for table in settings.test_phones):
        yield ConfigIssue("test_phones", "share a phone")


def _shared_secrets(settings: Settings) -> Iterator[ConfigIssue]:
    """Yield keys that are used twice: a key that leaks from one use must be worthless for another."""
    owners: dict[bytes, str] = {}
    for where, secret in settings.secrets():
        used = {owners.setdefault(form, where) for form in forms(secret) if form} - {where}
        for other in sorted(used):
            yield ConfigIssue(where, f"is the same secret as {other}")


def _repeated(values: Iterable[str]) -> bool:
    return any(count > 1 for count in Counter(values).values())


def validate_for_production(settings: Settings) -> list[ConfigIssue]:
    """Return every reason why this configuration must not be used in production."""
    return [
        *_store(settings),
        *_routes(settings),
        *_budgets(settings),
        *_hosted_pages(settings),
        *_examples(settings),
    ]


def _store(settings: Settings) -> Iterator[ConfigIssue]:
    if settings.redis.embedded:
        yield ConfigIssue(
            "redis.url", "is required in production: the embedded store loses its data when it stops"
        )


def _routes(settings: Settings) -> Iterator[ConfigIssue]:
    for number, route in enumerate(settings.routes):
        if route.provider == SANDBOX:
            yield ConfigIssue(
                f"routes[{number}].provider", "is the sandbox, which sends no SMS and shows every code"
            )


def _budgets(settings: Settings) -> Iterator[ConfigIssue]:
    if settings.service.sms_per_day is None:
        yield ConfigIssue(
            "service.sms_per_day", "is required in production: how many SMS the service may send in a day"
        )
    for name, client in settings.clients.items():
        if client.sms_per_day is None:
            yield ConfigIssue(
                f"clients.{name}.sms_per_day", "is required in production: how many SMS it may cause in a day"
            )


def _hosted_pages(settings: Settings) -> Iterator[ConfigIssue]:
    if not settings.service.public_url and any(client.return_urls for client in settings.clients.values()):
        yield ConfigIssue(
            "service.public_url", "is required in production with return_urls: the URL of hosted pages"
        )


def _examples(settings: Settings) -> Iterator[ConfigIssue]:
    for where, secret in settings.secrets():
        if is_example(secret):
            yield ConfigIssue(where, "is the secret of the example configuration, which is public")
    for number, route in enumerate(settings.routes):
        for where, secret in route.secrets(f"routes[{number}]"):
            if is_example(secret):
                yield ConfigIssue(where, "is copied from the example configuration")
    for name, client in settings.clients.items():
        if _EXAMPLE_DIGEST in client.secret_key_digests:
            where = f"clients.{name}.secret_key_digests"
            yield ConfigIssue(where, "contains the digest of the example configuration, whose key is public")


def renewed(running: Settings, fresh: Settings) -> tuple[Settings, list[ConfigIssue]]:
    """Return *fresh* with those tables of *running* that only a restart changes, and its issues."""
    kept = fresh.model_copy(update={name: getattr(running, name) for name in FIXED})
    return kept, list(validate(kept))


def waiting(running: Settings, fresh: Settings) -> list[str]:
    """Return the settings that differ and need a restart."""
    return [
        f"{table}.{name}"
        for table in FIXED
        for name, value in getattr(fresh, table)
        if getattr(getattr(running, table), name) != value
    ]
