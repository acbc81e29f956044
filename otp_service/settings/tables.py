"""The tables of the configuration that stand alone: their settings, defaults and ranges.

A missing or wrong value never stops the reading of the others: every setting has a default, and what is
required is asked for afterwards, so that all mistakes are told together.
"""

from __future__ import annotations

import re
from functools import partial
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from otp_service.domain.limits import MAX_CONSECUTIVE_FAILURES
from otp_service.settings.countries import Country
from otp_service.settings.issues import checked
from otp_service.settings.secret_text import text_issue
from otp_service.settings.urls import webhook_url_issue

EMBEDDED = "embedded://"
"""The store that the process starts for itself; it forgets everything when it stops."""

SENTINEL_SCHEMES = ("redis+sentinel://", "rediss+sentinel://")
REDIS_SCHEMES = (
    "redis://",
    "rediss://",
    "unix://",
    *SENTINEL_SCHEMES,
    "redis+cluster://",
    "rediss+cluster://",
)


class Config(BaseModel):
    """A table of settings: frozen, and a key it does not know is an issue."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False, validate_default=True
    )


Secret = Annotated[SecretStr, checked(text_issue)]
"""A text that is never shown, without quotes, white space or anything that cannot be seen."""

Phrase = Annotated[SecretStr, checked(partial(text_issue, may_have_spaces=True))]
"""A secret that may hold spaces between words."""

Name = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=1)]


def _host_issue(host: str) -> str:
    try:
        ip_address(host)
    except ValueError:
        if not _HOST_NAME.fullmatch(host) or _DOTTED.fullmatch(host):
            return "must be an address or a host name, like 0.0.0.0 or ::1, without scheme, port and brackets"
    return ""


_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?:\.(?!-)[A-Za-z0-9-]{1,63})*")
_DOTTED = re.compile(r"[0-9.]+")

Host = Annotated[str, checked(_host_issue)]


def _network_issue(text: str) -> str:
    try:
        ip_network(text)
    except ValueError:
        return "is no address and no CIDR range without host bits"
    return ""


Network = Annotated[str, checked(_network_issue)]
"""An address or a range of them."""


def _redis_issue(url: str) -> str:
    if not url.startswith((EMBEDDED, *REDIS_SCHEMES)):
        return f"must begin with {', '.join(REDIS_SCHEMES)}, or be {EMBEDDED}"
    return "holds a placeholder: put the real value in its place" if "<" in url else ""


RedisUrl = Annotated[Secret, checked(_redis_issue)]


class ServiceConfig(Config):
    """`[service]`: what holds for every request. *proof_ttl* and *request_deadline* in seconds."""

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
    """`[server]`: how `otp-service serve` listens. *worker_connections* are per worker process."""

    host: Host = "127.0.0.1"
    port: int = Field(default=8080, ge=1, le=65_535)
    workers: int = Field(default=1, ge=1, le=256)
    worker_connections: int = Field(default=64, ge=2, le=1_024)
    backlog: int = Field(default=1_024, ge=128, le=65_535)
    stop_timeout: int = Field(default=10, ge=1, le=600)


class RedisConfig(Config):
    """`[redis]`: the store. Time-outs in seconds; *pool_size* connections per worker process and server."""

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
        """Whether the process starts its own store."""
        return self.url.get_secret_value() == EMBEDDED

    @property
    def is_tls(self) -> bool:
        """Whether its connections are."""
        return self.url.get_secret_value().startswith("rediss")


class CodesConfig(Config):
    """`[codes]`: one verification. *ttl* in seconds."""

    ttl: int = Field(default=300, ge=60, le=600)
    max_attempts: int = Field(default=5, ge=1, le=10)
    max_sends: int = Field(default=4, ge=1, le=10)


class LimitsConfig(Config):
    """`[limits]`: what one phone may receive, and how often its codes may be guessed wrong."""

    cooldown: tuple[Annotated[int, Field(ge=60, le=86_400)], ...] = Field(
        default=(60, 60, 120, 300), min_length=1
    )
    sends_per_hour: int = Field(default=5, ge=1, le=5)
    sends_per_day: int = Field(default=10, ge=1, le=10)
    sends_per_requester_per_hour: int = Field(default=4, ge=1, le=5)
    failures_per_hour: int = Field(default=10, ge=1, le=MAX_CONSECUTIVE_FAILURES)
    failures_per_day: int = Field(default=20, ge=1, le=MAX_CONSECUTIVE_FAILURES)
    restrict_after_failures: int = Field(default=50, ge=1, le=MAX_CONSECUTIVE_FAILURES)
    lock_after_failures: int = Field(default=MAX_CONSECUTIVE_FAILURES, ge=1, le=MAX_CONSECUTIVE_FAILURES)
    untrusted_send_ratio: float = Field(default=0.8, gt=0, le=1)
    untrusted_failure_ratio: float = Field(default=0.7, gt=0, le=1)
    reserved_for_known_ratio: float = Field(default=0.2, ge=0, le=0.5)


class SmsConfig(Config):
    """`[sms]`: sending, whatever the route. Time-outs in seconds; *max_in_flight* per worker process."""

    max_in_flight: Count | None = None
    connect_timeout: float = Field(default=1.0, gt=0, le=10)
    read_timeout: float = Field(default=4.0, gt=0, le=20)


class MetricsConfig(Config):
    """`[metrics]`: for Prometheus, at `http://host:port/metrics`; nobody listens without a *port*.

    *reports_port* is that of `otp-service consume-reports`, a process of its own.
    """

    host: Host = "127.0.0.1"
    port: int | None = Field(default=None, ge=1, le=65_535)
    reports_port: int | None = Field(default=None, ge=1, le=65_535)


class LogConfig(Config):
    """`[log]`: JSON lines on standard output from *level* upwards."""

    level: Literal["debug", "info", "warning", "error"] = "info"
