"""The root model of the settings, its plain tables, and the domain objects that are made from them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from otp_service.domain.clients import Clients
from otp_service.domain.codes import CodeType
from otp_service.domain.crypto import Keyring
from otp_service.domain.limits import MAX_CONSECUTIVE_FAILURES, CodeLimits, PhoneLimits
from otp_service.domain.phone import Dialing, PhoneRules, dialing
from otp_service.domain.policy import AccessLists, Policy
from otp_service.domain.proofs import ProofSigner
from otp_service.settings.clients import DEVELOPMENT_BUDGET, ClientConfig, Cooldown, PurposeConfig
from otp_service.settings.fields import Config, Count, Country, Host, Name, Network, Secret, webhook_url_issue
from otp_service.settings.issues import ConfigIssue, checked
from otp_service.settings.reports import ReportsConfig
from otp_service.settings.risk import (
    MAX_TEST_PHONES,
    AllowConfig,
    DenyConfig,
    GlobalFailuresConfig,
    IpLimitsConfig,
    PumpingGuardConfig,
    RiskConfig,
    TestPhoneConfig,
    risk_policy,
)
from otp_service.settings.routes import RouteConfig
from otp_service.settings.secret_settings import decoded, key_issues

EMBEDDED = "embedded://"
"""The URL of the embedded store: a private server that loses its data when the process stops."""

SENTINEL_SCHEMES = ("redis+sentinel://", "rediss+sentinel://")
REDIS_SCHEMES = (
    "redis://",
    "rediss://",
    "unix://",
    *SENTINEL_SCHEMES,
    "redis+cluster://",
    "rediss+cluster://",
)


def _redis_issue(url: str) -> str:
    if not url.startswith((EMBEDDED, *REDIS_SCHEMES)):
        return f"must begin with {', '.join(REDIS_SCHEMES)}, or be {EMBEDDED}"
    return "contains a placeholder: replace it with the real value" if "<" in url else ""


RedisUrl = Annotated[Secret, checked(_redis_issue)]


class ServiceConfig(Config):
    """`[service]`: what applies to every request. *proof_ttl* and *request_deadline* in seconds."""

    issuer: Name = "otp_service"
    default_region: Country = "CN"
    countries: tuple[Country, ...] = Field(default=("CN",), min_length=1)
    phone_types: tuple[Literal["mobile", "fixed_line"], ...] = Field(default=("mobile",), min_length=1)
    proof_ttl: int = Field(default=180, ge=30, le=300)
    request_deadline: float = Field(default=6.0, ge=1, le=30)
    sms_per_day: Count | None = None
    proxy_hops: int = Field(default=0, ge=0, le=8)
    trusted_proxies: tuple[Network, ...] = ()
    public_url: Annotated[str, checked(lambda url: webhook_url_issue(url) if url else "")] = ""


class ServerConfig(Config):
    """`[server]`: how `otp-service serve` listens. *worker_connections* is per worker process."""

    host: Host = "127.0.0.1"
    port: int = Field(default=8080, ge=1, le=65_535)
    workers: int = Field(default=1, ge=1, le=256)
    worker_connections: int = Field(default=64, ge=2, le=1_024)
    backlog: int = Field(default=1_024, ge=128, le=65_535)
    stop_timeout: int = Field(default=10, ge=1, le=600)


class RedisConfig(Config):
    """`[redis]`: the store. Timeouts in seconds; *pool_size* is per worker process and server."""

    url: RedisUrl = SecretStr(EMBEDDED)
    password_file: Path | None = None
    sentinel_username: str = ""
    sentinel_password_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    pool_size: Count | None = None
    connect_timeout: float = Field(default=0.5, gt=0, le=5)
    read_timeout: float = Field(default=0.5, gt=0, le=5)
    min_replica_acks: int = Field(default=0, ge=0, le=5)
    replica_ack_timeout: float = Field(default=0.2, ge=0.01, le=2)

    @property
    def embedded(self) -> bool:
        """Whether the process starts an embedded store."""
        return self.url.get_secret_value() == EMBEDDED

    @property
    def is_tls(self) -> bool:
        """Whether its connections use TLS."""
        return self.url.get_secret_value().startswith("rediss")


_CODE, _PHONE = CodeLimits(), PhoneLimits()
"""The defaults of the settings."""


class CodesConfig(Config):
    """`[codes]`: the limits of one verification. *ttl* in seconds."""

    ttl: int = Field(default=_CODE.ttl, ge=60, le=600)
    max_attempts: int = Field(default=_CODE.max_attempts, ge=1, le=10)
    max_sends: int = Field(default=_CODE.max_sends, ge=1, le=10)


class LimitsConfig(Config):
    """`[limits]`: SMS and wrong codes per phone. *cooldown* in seconds."""

    cooldown: Cooldown = _PHONE.cooldown
    sends_per_hour: int = Field(default=_PHONE.sends_per_hour, ge=1, le=5)
    sends_per_day: int = Field(default=_PHONE.sends_per_day, ge=1, le=10)
    sends_per_requester_per_hour: int = Field(default=_PHONE.sends_per_requester_per_hour, ge=1, le=5)
    failures_per_hour: int = Field(default=_PHONE.failures_per_hour, ge=1, le=MAX_CONSECUTIVE_FAILURES)
    failures_per_day: int = Field(default=_PHONE.failures_per_day, ge=1, le=MAX_CONSECUTIVE_FAILURES)
    restrict_after_failures: int = Field(
        default=_PHONE.restrict_after_failures, ge=1, le=MAX_CONSECUTIVE_FAILURES
    )
    lock_after_failures: int = Field(default=_PHONE.lock_after_failures, ge=1, le=MAX_CONSECUTIVE_FAILURES)
    untrusted_send_ratio: float = Field(default=_PHONE.untrusted_send_ratio, gt=0, le=1)
    untrusted_failure_ratio: float = Field(default=_PHONE.untrusted_failure_ratio, gt=0, le=1)
    reserved_for_known_ratio: float = Field(default=0.2, ge=0, le=0.5)


class SmsConfig(Config):
    """`[sms]`: sending over any route. Timeouts in seconds; *max_in_flight* is per worker process."""

    max_in_flight: Count | None = None
    connect_timeout: float = Field(default=1.0, gt=0, le=10)
    read_timeout: float = Field(default=4.0, gt=0, le=20)


class MetricsConfig(Config):
    """`[metrics]`: metrics for Prometheus at `http://host:port/metrics`; disabled without a *port*.

    *reports_port* is the port of `otp-service consume-reports`, which is a separate process.
    """

    host: Host = "127.0.0.1"
    port: int | None = Field(default=None, ge=1, le=65_535)
    reports_port: int | None = Field(default=None, ge=1, le=65_535)


class LogConfig(Config):
    """`[log]`: JSON lines on standard output, from *level* upwards."""

    level: Literal["debug", "info", "warning", "error"] = "info"


_KID = re.compile(r"[a-z0-9][a-z0-9_-]{0,15}")


class KeysConfig(Config):
    """`[keys]`: the keys of the service. The active root makes new codes; all roots verify."""

    active_kid: str = ""
    pseudonym_key: Secret = SecretStr("")
    roots: Mapping[str, Secret] = {}

    def keyring(self) -> Keyring:
        """Return the keyring; the table must be valid."""
        roots = {kid: decoded(root) for kid, root in self.roots.items()}
        return Keyring(roots, self.active_kid, decoded(self.pseudonym_key))

    def secrets(self) -> Iterator[tuple[str, SecretStr]]:
        """Yield every secret with its path."""
        yield "keys.pseudonym_key", self.pseudonym_key
        for kid, root in self.roots.items():
            yield f"keys.roots.{kid}", root

    def issues(self) -> Iterator[ConfigIssue]:
        """Yield the issues of this table alone."""
        if not self.roots:
            yield ConfigIssue("keys.roots", "needs at least one root secret")
        if not self.active_kid:
            yield ConfigIssue("keys.active_kid", "is required")
        elif self.active_kid not in self.roots:
            yield ConfigIssue("keys.active_kid", "names a root that is not in keys.roots", ("keys.roots.*",))
        for kid in self.roots:
            if not _KID.fullmatch(kid):
                yield ConfigIssue("keys.roots", "has a key id that is not 1 to 16 of a-z 0-9 _ -")
        for where, secret in self.secrets():
            for issue in key_issues(secret, decoded):
                yield ConfigIssue(where, issue)


class Settings(Config):
    """All settings. `load` creates them and also applies the rules that need several tables."""

    service: ServiceConfig = ServiceConfig()
    server: ServerConfig = ServerConfig()
    redis: RedisConfig = RedisConfig()
    codes: CodesConfig = CodesConfig()
    limits: LimitsConfig = LimitsConfig()
    keys: KeysConfig = KeysConfig()
    purposes: Mapping[str, PurposeConfig] = {}
    clients: Mapping[str, ClientConfig] = {}
    sms: SmsConfig = SmsConfig()
    routes: tuple[RouteConfig, ...] = ()
    reports: ReportsConfig = ReportsConfig()
    risk: RiskConfig = RiskConfig()
    ip_limits: IpLimitsConfig = IpLimitsConfig()
    pumping_guard: PumpingGuardConfig = PumpingGuardConfig()
    global_failures: GlobalFailuresConfig = GlobalFailuresConfig()
    deny: DenyConfig = DenyConfig()
    allow: AllowConfig = AllowConfig()
    test_phones: tuple[TestPhoneConfig, ...] = Field(default=(), max_length=MAX_TEST_PHONES)
    log: LogConfig = LogConfig()
    metrics: MetricsConfig = MetricsConfig()

    def code_types(self) -> dict[str, CodeType]:
        """Return the code type of each purpose."""
        return {name: purpose.code_type for name, purpose in self.purposes.items()}

    def policy(self) -> Policy:
        """Return the policy that applies to every request."""
        return Policy(
            phones=self.phone_rules(),
            purposes=self.code_types(),
            phone_limits=self.phone_limits(),
            code_limits=CodeLimits(**self.codes.model_dump()),
            sms_per_day=self.service.sms_per_day or DEVELOPMENT_BUDGET,
            reserved_for_known_ratio=self.limits.reserved_for_known_ratio,
            deadline=self.service.request_deadline,
            proof_ttl=self.service.proof_ttl,
            risk=risk_policy(self.ip_limits, self.pumping_guard, self.global_failures),
            access_lists=AccessLists(deny=self.deny.entries(), allow=self.allow.entries()),
            test_phones={table.phone: table.made() for table in self.test_phones},
        )

    def phone_limits(self) -> PhoneLimits:
        """Return the limits per phone for clients without limits of their own."""
        return PhoneLimits(**self.limits.model_dump(exclude={"reserved_for_known_ratio"}))

    def pool_size(self) -> int:
        """Return the number of Redis connections per worker; by default one per request and per send."""
        return self.redis.pool_size or self.server.worker_connections + self.max_in_flight()

    def max_in_flight(self) -> int:
        """Return how many SMS a worker may send at a time; by default 7/8 of *worker_connections*."""
        return self.sms.max_in_flight or max(1, self.server.worker_connections * 7 // 8)

    def proxies(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """Return the networks of the trusted proxies."""
        return tuple(ip_network(text) for text in self.service.trusted_proxies)

    def phone_rules(self) -> PhoneRules:
        """Return which phone numbers the service sends to."""
        return PhoneRules(
            default_region=self.service.default_region,
            countries=frozenset(self.service.countries),
            kinds=frozenset(self.service.phone_types),
        )

    def dialing(self) -> tuple[Dialing, ...]:
        """Return how numbers of each country are written, the default region first."""
        first = self.service.default_region
        return tuple(map(dialing, sorted(self.service.countries, key=lambda country: country != first)))

    def keyring(self) -> Keyring:
        """Return the keys of the service."""
        return self.keys.keyring()

    def all_clients(self) -> Clients:
        """Return the clients with their keys and budgets."""
        usual = self.phone_limits()
        return Clients(table.client(name, self.purposes, usual) for name, table in self.clients.items())

    def clients_of(self, route: RouteConfig) -> frozenset[str]:
        """Return the clients that *route* sends for, which both sides restrict; empty if it sends for all.

        `validate` reports a route that sends for none.
        """
        takers = {name for name, client in self.clients.items() if client.takes(route.name)}
        if len(takers) == len(self.clients):
            return frozenset(route.clients)
        return frozenset(takers.intersection(route.clients or takers))

    def signers(self, clock: Callable[[], float]) -> dict[str, ProofSigner]:
        """Return the signer of proofs for each client; *clock* returns unix seconds."""
        issuer = self.service.issuer
        return {
            name: ProofSigner(issuer, name, table.signing_keys(), clock)
            for name, table in self.clients.items()
        }

    def secrets(self) -> Iterator[tuple[str, SecretStr]]:
        """Yield the secrets of the service, its clients and its reports, each with its path."""
        yield from self.keys.secrets()
        for name, client in self.clients.items():
            yield from client.secrets(f"clients.{name}")
        yield from self.reports.secrets("reports")
