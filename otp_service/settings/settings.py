"""The settings: all tables together, and the values of the spine that are made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network

from pydantic import Field, SecretStr

from otp_service.domain.clients import Clients
from otp_service.domain.codes import CodeType
from otp_service.domain.crypto import Keyring
from otp_service.domain.limits import CodeLimits, PhoneLimits
from otp_service.domain.phone import Dialing, PhoneRules, dialing
from otp_service.domain.policy import AccessLists, Policy
from otp_service.domain.proofs import ProofSigner
from otp_service.settings.clients import DEVELOPMENT_BUDGET, ClientConfig, PurposeConfig
from otp_service.settings.keys import KeysConfig
from otp_service.settings.reports import ReportsConfig
from otp_service.settings.risk import (
    AllowConfig,
    DenyConfig,
    GlobalFailuresConfig,
    IpLimitsConfig,
    PumpingGuardConfig,
    RiskConfig,
    risk_policy,
)
from otp_service.settings.routes import RouteConfig
from otp_service.settings.tables import (
    CodesConfig,
    Config,
    LimitsConfig,
    LogConfig,
    MetricsConfig,
    RedisConfig,
    ServerConfig,
    ServiceConfig,
    SmsConfig,
)
from otp_service.settings.test_phones import MAX_PHONES, TestPhoneConfig


class Settings(Config):
    """Everything that can be configured. Made by `load`, which also checks what no single table can."""

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
    test_phones: tuple[TestPhoneConfig, ...] = Field(default=(), max_length=MAX_PHONES)
    log: LogConfig = LogConfig()
    metrics: MetricsConfig = MetricsConfig()

    def code_types(self) -> dict[str, CodeType]:
        """Return what the codes of each purpose are made of."""
        return {name: purpose.code_type for name, purpose in self.purposes.items()}

    def policy(self) -> Policy:
        """Return what holds for every request."""
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
            lists=AccessLists(deny=self.deny.entries(), allow=self.allow.entries()),
            test_phones={table.phone: table.made() for table in self.test_phones},
        )

    def phone_limits(self) -> PhoneLimits:
        """Return what one phone may receive, unless a client has limits of its own."""
        return PhoneLimits(**self.limits.model_dump(exclude={"reserved_for_known_ratio"}))

    def pool_size(self) -> int:
        """Return how many connections to Redis a worker may have: more than it has threads that ask."""
        return self.redis.pool_size or self.server.worker_connections + self.max_in_flight()

    def max_in_flight(self) -> int:
        """Return how many SMS a worker may be sending: seven of eight threads, unless told otherwise."""
        return self.sms.max_in_flight or max(1, self.server.worker_connections * 7 // 8)

    def proxies(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """Return the networks whose word about addresses is believed."""
        return tuple(ip_network(text) for text in self.service.trusted_proxies)

    def phone_rules(self) -> PhoneRules:
        """Return where the service sends."""
        return PhoneRules(
            default_region=self.service.default_region,
            countries=frozenset(self.service.countries),
            kinds=frozenset(self.service.phone_types),
        )

    def dialing(self) -> tuple[Dialing, ...]:
        """Return how numbers of each country are written, those of the default region first."""
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
        """Return the clients that *route* sends for, as its table and theirs agree; empty when that is all.

        That they never agree is an issue which `validate` reports.
        """
        takers = {name for name, client in self.clients.items() if client.takes(route.name)}
        if len(takers) == len(self.clients):
            return frozenset(route.clients)
        return frozenset(takers.intersection(route.clients or takers))

    def signers(self, clock: Callable[[], float]) -> dict[str, ProofSigner]:
        """Return who mints the proofs of each client; *clock* gives unix seconds."""
        issuer = self.service.issuer
        return {
            name: ProofSigner(issuer, name, table.signing_keys(), clock)
            for name, table in self.clients.items()
        }

    def secrets(self) -> Iterator[tuple[str, SecretStr]]:
        """List the keys of the service, of its clients and of reports, each with its place."""
        yield from self.keys.secrets()
        for name, client in self.clients.items():
            yield from client.secrets(f"clients.{name}")
        yield from self.reports.secrets("reports")
