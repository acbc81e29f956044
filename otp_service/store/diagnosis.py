"""Explains to an operator why Redis does not work, without any secret."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import NamedTuple

import redis
from redis.exceptions import (
    AuthenticationError,
    InvalidResponse,
    MaxConnectionsError,
    NoPermissionError,
    NoScriptError,
    ReadOnlyError,
)
from redis.sentinel import MasterNotFoundError

from otp_service.store import health, keys, schema
from otp_service.store.backend import RedisBackend
from otp_service.store.cluster import NoOwner
from otp_service.store.health import UnsuitableRedis


class RedisProblem(NamedTuple):
    """What is wrong with Redis, as the end of a sentence that begins with "redis.url", and how to fix it."""

    seen: str
    fix: str
    is_unsuitable: bool = False
    """Whether Redis answers but must not be used, so that the service does not start."""


_REPLIES = {
    "WRONGPASS": RedisProblem(
        "refuses the user name or the password (WRONGPASS)",
        "Compare user and password in redis.url or redis.password_file with ACL LIST.",
    ),
    "NOAUTH": RedisProblem(
        "requires a password, and none is configured (NOAUTH)",
        "Put the password into redis.password_file, or into redis.url.",
    ),
    "LOADING": RedisProblem("is still loading its data (LOADING)", "Wait until it is finished."),
    "READONLY": RedisProblem("is a replica, which rejects writes (READONLY)", "Connect to its master."),
    "NOREPLICAS": RedisProblem(
        "rejects writes because it has too few replicas (NOREPLICAS)",
        "Check min-replicas-to-write of Redis.",
    ),
    "MISCONF": RedisProblem(
        "rejects writes because it cannot write to its disk (MISCONF)",
        "Check the log and the disk of Redis.",
    ),
    "OOM": RedisProblem("rejects writes because its memory is full (OOM)", "Raise maxmemory of Redis."),
    "CLUSTERDOWN": RedisProblem(
        "is a cluster that is down (CLUSTERDOWN)", "Check CLUSTER INFO on its servers."
    ),
    "MASTERDOWN": RedisProblem(
        "is a replica that has lost its master (MASTERDOWN)", "Connect to a master, or wait for a failover."
    ),
    "DENIED": RedisProblem(
        "is in protected mode and accepts only local connections (DENIED)",
        "Set a password for its users, and bind it to a network address.",
    ),
}
"""Keyed by the first word of an error."""

_NO_PASSWORD_SET = RedisProblem(
    "has no password for this user, but one is configured",
    "Set the password in Redis, or remove it from redis.url or redis.password_file.",
)
_FULL = RedisProblem(
    "accepts no more connections (max number of clients reached)", "Raise maxclients of Redis."
)
_NO_CLUSTER = RedisProblem("is not a cluster", "Use a redis.url that begins with redis:// or rediss://.")
_BAD_DATABASE = RedisProblem(
    "has no database with this number", "Correct the number at the end of redis.url."
)
_SILENT = RedisProblem(
    "does not answer in time",
    "Check the firewalls in between, redis.connect_timeout and redis.read_timeout.",
)
_HUNG_UP = RedisProblem(
    "closes the connection without an answer: perhaps it expects TLS, or is not Redis",
    "For TLS, use a redis.url that begins with rediss://.",
)
_NO_REDIS = RedisProblem("answers, but is not Redis", "Check what listens at the host and port of redis.url.")
_NO_MASTER = RedisProblem(
    "leads to Sentinels that know no master of this name",
    "Compare the name in redis.url with SENTINEL MASTERS.",
)
_NO_OWNER = RedisProblem(
    "leads to a cluster in which no server owns some of the keys", "Check CLUSTER INFO on its servers."
)
_TEXTS = (
    ("max number of clients", _FULL),
    ("without any password configured", _NO_PASSWORD_SET),
    ("cluster support disabled", _NO_CLUSTER),
    ("db index is out of range", _BAD_DATABASE),
)
_SCRIPT = ("EVAL", "return redis.call('GET', KEYS[1])", 1)
_UNKNOWN_SCRIPT = ("EVALSHA", "0" * 40, 1)
_COMMAND = re.compile(r"the '([a-z|-]{1,40})' command")


def diagnose(backend: RedisBackend, replicas: int) -> RedisProblem | None:
    """Use *backend* as the service does, and return what is wrong, or None.

    Each server must have *replicas* replicas.
    """
    key = keys.probe(0)
    try:
        health.check(backend, replicas)
        # An unknown script shows whether EVALSHA is allowed: NOSCRIPT means that it is.
        script, no_script = backend.node_for(key).execute([(*_SCRIPT, key), (*_UNKNOWN_SCRIPT, key)]).replies
        for reply in (script, no_script):
            if isinstance(reply, redis.RedisError) and not isinstance(reply, NoScriptError):
                return explain(reply)
        return schema_problem(backend)
    except UnsuitableRedis as error:
        return RedisProblem(
            error.reason, "See above: the service refuses to start with this Redis.", is_unsuitable=True
        )
    except redis.RedisError as error:
        return explain(error)


def schema_problem(backend: RedisBackend) -> RedisProblem | None:
    """Return a problem if a newer release uses Redis and this one cannot read its data, else None.

    It does not declare that this release is in use.

    Raises:
        redis.RedisError: Redis fails.
    """
    (in_use,) = backend.execute([("GET", keys.schema())]).raise_errors()
    newer = schema.newer_version(in_use)
    if newer is None:
        return None
    version = "unknown" if newer == schema.UNKNOWN else newer.version
    return RedisProblem(
        f"leads to a Redis that a newer release uses (store_schema_newer: schema {version}, ours is "
        f"{schema.STORE_SCHEMA})",
        "Upgrade this instance; after a rollback delete otp:schema, see docs/upgrading.md#roll-back.",
    )


def explain(error: redis.RedisError) -> RedisProblem:
    """Return the cause of *error*."""
    if isinstance(error, MasterNotFoundError) and isinstance(error.__cause__, redis.RedisError):
        problem = explain(error.__cause__)
        return RedisProblem(
            f"leads to Sentinels that cannot be queried; one of them {problem.seen}", problem.fix
        )
    if isinstance(error.__context__, ReadOnlyError):
        error = error.__context__  # redis-py reports a demoted master as a lost connection
    return next(filter(None, (explainer(error) for explainer in _EXPLAINERS)), None) or RedisProblem(
        f"fails ({type(error).__name__})", "Check the log of Redis."
    )


def _by_reply(error: redis.RedisError) -> RedisProblem | None:
    text = str(error)
    if isinstance(error, NoPermissionError) or text.startswith("NOPERM"):
        found = _COMMAND.search(text)
        what = f"to run {found[1].upper()}" if found else "to use the keys of this service"
        fix = "Give the ACL user what `otp-service redis-acl` prints."
        return RedisProblem(f"does not allow its user {what} (NOPERM)", fix)
    code = getattr(error, "status_code", None) or text.partition(" ")[0].lstrip("-")
    return _REPLIES.get(code) or next((problem for part, problem in _TEXTS if part in text.lower()), None)


def _by_type(error: redis.RedisError) -> RedisProblem | None:
    if isinstance(error, MasterNotFoundError):
        return _NO_MASTER
    if isinstance(error, NoOwner):
        return _NO_OWNER
    if isinstance(error, MaxConnectionsError):
        return RedisProblem("has no free connection in our pool", "Raise redis.pool_size.")
    if isinstance(error, AuthenticationError):  # not a reply: the password file could not be read
        return RedisProblem("has a password in a file that cannot be read", "Check redis.password_file.")
    return None


def _by_connection(error: redis.RedisError) -> RedisProblem | None:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return RedisProblem(
                f"has an invalid certificate: {cause.verify_message}",
                "Check redis.ca_file, and the names in the certificate of Redis.",
            )
        if isinstance(cause, ssl.SSLError):
            return RedisProblem(
                f"fails in the TLS handshake ({cause.reason or 'no TLS'})",
                "Without TLS, use a redis.url that begins with redis://. If Redis requires a client "
                "certificate, set redis.cert_file.",
            )
        if isinstance(cause, socket.gaierror):
            return RedisProblem(
                "names a host that has no address (DNS)", "Correct the host in redis.url, or the resolver."
            )
        if isinstance(cause, ConnectionRefusedError):
            return RedisProblem(
                "names a host and port where nothing listens (connection refused)",
                "Start Redis, or correct the port in redis.url.",
            )
        if isinstance(cause, FileNotFoundError):
            return RedisProblem(
                "names a socket that does not exist", "Start Redis, or correct the path in redis.url."
            )
        if isinstance(cause, PermissionError):
            return RedisProblem(
                "names a socket that this user may not open", "Check unixsocketperm of Redis."
            )
    return None


def _by_silence(error: redis.RedisError) -> RedisProblem | None:
    if isinstance(error, redis.TimeoutError) or any(
        isinstance(c, TimeoutError | BlockingIOError) for c in _causes(error)
    ):
        return _SILENT
    if isinstance(error, InvalidResponse) or "Protocol error" in str(error):
        return _NO_REDIS
    for cause in _causes(error):
        if isinstance(cause, ConnectionResetError | BrokenPipeError):
            return _HUNG_UP
        if isinstance(cause, OSError):
            return RedisProblem(
                f"cannot be reached ({type(cause).__name__})", "Check the network between here and Redis."
            )
    return _HUNG_UP if isinstance(error, redis.ConnectionError) else None


_EXPLAINERS: tuple[Callable[[redis.RedisError], RedisProblem | None], ...] = (
    _by_reply,
    _by_type,
    _by_connection,
    _by_silence,
)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield *error* and its causes, the latest first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
