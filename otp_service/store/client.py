"""Connects to Redis with redis-py: makes clients and backends from URLs and from existing clients.

By default, redis-py sends a command up to ten times if its reply is lost. Here a command is sent at most
once, and its complete reply must arrive within the read timeout.
"""

from __future__ import annotations

import socket
import ssl
import time
import weakref
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.connection import DefaultParser
from redis.credentials import CredentialProvider
from redis.retry import Retry
from redis.sentinel import (
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)

from otp_service.store.backend import MasterFinder, RedisBackend, RedisNode, SentinelNode
from otp_service.store.cluster import ClusterBackend
from otp_service.store.url import BadRedisUrl, Endpoint, Kind, RedisUrl, parse

ExistingClient = redis.Redis
"""An application's client, whose server this service can use."""

_Parser: Any = DefaultParser
_Mixin: Any = object
"""The base of classes that are mixed into redis-py's connections."""

_BORROWED = ("host", "port", "path", "db", "username", "password", "credential_provider")
"""The options that are taken from an existing client, besides its TLS options."""


@dataclass(frozen=True, slots=True)
class RedisOptions:
    """Options of every connection. Timeouts in seconds; *pool_size* is the maximum for each server.

    *password_file* replaces the password in the URL. *sentinel_username* is the user name at Sentinels.
    """

    pool_size: int = 256
    connect_timeout: float = 0.5
    read_timeout: float = 0.5
    password_file: Path | None = None
    sentinel_username: str = ""
    sentinel_password_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None


class FileCredentials(CredentialProvider):
    """Reads the password from a file for every connection, so that it can change without a restart."""

    def __init__(self, username: str, file: Path) -> None:
        self._username = username
        self._file = file

    def get_credentials(self) -> tuple[str, ...]:  # type: ignore[override]
        """Return the arguments of AUTH.

        Raises:
            redis.AuthenticationError: the file cannot be read.
        """
        try:
            password = self._file.read_text(encoding="utf-8-sig").strip()
        except (OSError, ValueError):
            raise redis.AuthenticationError("the password file cannot be read") from None
        return (self._username, password) if self._username else (password,)


# ── connections ──


class _DeadlineParser(_Parser):  # type: ignore[misc]
    """Reads until the deadline of its connection.

    A socket timeout restarts with every piece of a reply, so a server that sends one byte at a time could
    block a call indefinitely.
    """

    def on_connect(self, connection: Any, **options: Any) -> None:
        """Start reading from a newly connected *connection*."""
        super().on_connect(connection, **options)
        self.connection = weakref.proxy(connection)

    def read_from_socket(self, *_: Any, **__: Any) -> Any:
        """Read the next piece of a reply.

        Raises:
            redis.TimeoutError: the deadline has passed.
        """
        remaining = self.connection.deadline - time.monotonic()
        if remaining <= 0:
            raise redis.TimeoutError("Timeout reading from socket")
        return super().read_from_socket(timeout=remaining)


class _DeadlineConnection(_Mixin):  # type: ignore[misc]
    """Waits for replies no longer than its timeout, counted from the last send."""

    def __init__(self, **options: Any) -> None:
        self.has_sent = False
        self.deadline = 0.0  # on the monotonic clock
        super().__init__(**options, parser_class=_DeadlineParser)

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002
        """Send *command* and set the deadline of its replies."""
        super().send_packed_command(command, check_health)
        self.has_sent = True
        self.deadline = time.monotonic() + (self.socket_timeout or 0)

    def can_read(self, timeout: float = 0) -> bool:
        """Return whether unread data is left; the pool then replaces the connection.

        Before the first command, such data is not an old reply, so it does not count. It is a TLS session
        ticket, or an error with which the server refuses the connection and which the first command reads.
        """
        return self.has_sent and bool(super().can_read(timeout))

    def disconnect(self, *arguments: Any, **options: Any) -> None:
        """Close the connection."""
        self.has_sent = False
        super().disconnect(*arguments, **options)

    def read_response(self, *arguments: Any, disconnect_on_error: bool = True, **options: Any) -> Any:
        """Read a reply; after any error the connection is closed, on redis-py's Sentinel connections too."""
        return super().read_response(*arguments, disconnect_on_error=disconnect_on_error, **options)


class _OwnAuthority(_Mixin):  # type: ignore[misc]
    """Trusts the given CA file instead of the system's CAs.

    redis-py 8.1 begins with `ssl.create_default_context()`, which loads the system's CAs. Its options can
    only add to them, and none takes an `SSLContext`, so there is no public way. This overrides a private
    method. A later redis-py might not call it, so nothing is sent unless it was called.
    """

    has_own_context = False

    def _wrap_socket_with_ssl(self, sock: socket.socket) -> ssl.SSLSocket:
        self.has_own_context = True
        context = ssl.create_default_context(cafile=self.ca_certs)
        if self.certfile:
            context.load_cert_chain(self.certfile, self.keyfile)
        return context.wrap_socket(sock, server_hostname=self.host)

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002
        """Send *command*.

        Raises:
            redis.ConnectionError: redis-py has created the TLS context itself.
        """
        if not self.has_own_context:
            raise redis.ConnectionError("redis-py trusts more than the CA file")
        super().send_packed_command(command, check_health)


class TcpConnection(_DeadlineConnection, redis.Connection):
    """A TCP connection."""


class UnixConnection(_DeadlineConnection, redis.UnixDomainSocketConnection):
    """A connection to a Unix socket."""


class TlsConnection(_OwnAuthority, _DeadlineConnection, redis.SSLConnection):
    """A TLS connection."""


class SentinelTcpConnection(_DeadlineConnection, SentinelManagedConnection):  # type: ignore[misc]
    """A TCP connection to the master that Sentinels name."""


class SentinelTlsConnection(  # type: ignore[misc]
    _OwnAuthority, _DeadlineConnection, SentinelManagedSSLConnection
):
    """A TLS connection to the master that Sentinels name."""


# ── clients ──


def create_client(connection_class: type, options: RedisOptions, **where: Any) -> redis.Redis:
    """Return a client; *where* are redis-py's options for the address, login and TLS."""
    pool = redis.ConnectionPool(connection_class=connection_class, **_pool_options(options), **where)
    return redis.Redis.from_pool(pool)


def client_from_url(url: str, options: RedisOptions | None = None) -> redis.Redis:
    """Return a client of the single server at *url*; it connects at its first command.

    Raises:
        BadRedisUrl: *url* does not name a single Redis, or sets unsupported options.
    """
    target = parse(url)
    if target.kind is not Kind.SERVER:
        raise BadRedisUrl
    return _server_client(target, options or RedisOptions())


def from_url(url: str, options: RedisOptions) -> RedisBackend:
    """Return the backend at *url*; it connects at its first command.

    Raises:
        BadRedisUrl: *url* does not name a Redis, or sets unsupported options.
    """
    target = parse(url)
    if target.kind is Kind.SERVER:
        return RedisNode(_server_client(target, options))
    if target.kind is Kind.CLUSTER:
        return ClusterBackend(target.hosts, partial(_cluster_node, target, options))
    return _sentinel_node(target, options)


def from_existing_client(client: ExistingClient, options: RedisOptions) -> redis.Redis:
    """Return a client of the server that *client* speaks to, on connections of its own.

    *client* may retry, decode and wait as its application likes, so only its address, database, user and TLS
    options are used.

    Raises:
        TypeError: it is not a client of one server.
    """
    given: object = client
    if not isinstance(given, ExistingClient) or isinstance(client.connection_pool, SentinelConnectionPool):
        raise TypeError("redis must be a redis.Redis of one server; name Sentinels and clusters in redis.url")
    pool = client.connection_pool
    where = {
        name: value
        for name, value in pool.connection_kwargs.items()
        if name in _BORROWED or name.startswith("ssl_")
    }
    connection_class: type = TcpConnection
    if issubclass(pool.connection_class, redis.UnixDomainSocketConnection):
        connection_class = UnixConnection
    elif issubclass(pool.connection_class, redis.SSLConnection):
        # A class of the application may check certificates in its own way.
        connection_class = type("TlsConnection", (_DeadlineConnection, pool.connection_class), {})
    return create_client(connection_class, options, **where)


def _server_client(target: RedisUrl, options: RedisOptions) -> redis.Redis:
    login = _login(target, options)
    if target.path:
        return create_client(UnixConnection, options, path=target.path, db=target.db, **login)
    return _host_client(target.hosts[0], target, options, db=target.db, **login)


def _cluster_node(target: RedisUrl, options: RedisOptions, endpoint: Endpoint) -> RedisNode:
    return RedisNode(_host_client(endpoint, target, options, **_login(target, options)))


def _sentinel_node(target: RedisUrl, options: RedisOptions) -> SentinelNode:
    login: dict[str, Any] = {}
    if options.sentinel_password_file:
        credentials = FileCredentials(options.sentinel_username, options.sentinel_password_file)
        login["credential_provider"] = credentials
    finder = MasterFinder([_host_client(host, target, options, **login) for host in target.hosts])
    client: redis.Redis = finder.master_for(  # type: ignore[no-untyped-call]
        target.master,
        connection_class=SentinelTlsConnection if target.is_tls else SentinelTcpConnection,
        db=target.db,
        **_login(target, options),
        **_tls_files(target, options),
        **_pool_options(options),
    )
    return SentinelNode(client)


def _host_client(endpoint: Endpoint, target: RedisUrl, options: RedisOptions, **more: Any) -> redis.Redis:
    host, port = endpoint
    connection_class = TlsConnection if target.is_tls else TcpConnection
    files = _tls_files(target, options)
    return create_client(connection_class, options, host=host, port=port, **files, **more)


def _login(target: RedisUrl, options: RedisOptions) -> dict[str, Any]:
    if options.password_file:
        return {"credential_provider": FileCredentials(target.username, options.password_file)}
    return {"username": target.username or None, "password": target.password or None}


def _tls_files(target: RedisUrl, options: RedisOptions) -> dict[str, Any]:
    if not target.is_tls:
        return {}
    return {
        "ssl_ca_certs": options.ca_file,
        "ssl_certfile": options.cert_file,
        "ssl_keyfile": options.key_file,
    }


def _pool_options(options: RedisOptions) -> dict[str, Any]:
    return {
        "max_connections": options.pool_size,
        "socket_connect_timeout": options.connect_timeout,
        "socket_timeout": options.read_timeout,
        "retry": Retry(NoBackoff(), 0),
        # RESP2 without driver information needs neither HELLO nor CLIENT SETINFO.
        "protocol": 2,
        "driver_info": None,
    }
