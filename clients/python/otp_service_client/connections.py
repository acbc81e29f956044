"""A client's connections, which are kept open between calls and never shared with a forked process.

A child that used a connection of its parent could read responses to calls of the parent or of another child.
Connections therefore belong to one process, and each process opens its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import Empty, Full
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool


class Connections:
    """The requests session of each process, configured by *configure*.

    Thread-safe, without a lock: a lock that another thread holds during a fork would stay locked in the child
    forever.
    """

    def __init__(self, configure: Callable[[requests.Session], None]) -> None:
        self._configure = configure
        self._current: tuple[int, requests.Session, list[_Idle]] = self._new()

    def session(self) -> requests.Session:
        """Return the session of this process."""
        owner, session, idle = self._current
        if owner == os.getpid():
            return session
        self._current = self._new()
        _close(idle)
        return self._current[1]

    def drop(self) -> None:
        """Close the idle connections. Calls in progress are not affected."""
        _, _, idle = self._current
        self._current = self._new()
        _close(idle)

    def __reduce__(self) -> tuple[type[Connections], tuple[Callable[[requests.Session], None]]]:
        """Pickle only the configuration: open connections stay in this process."""
        return Connections, (self._configure,)

    def _new(self) -> tuple[int, requests.Session, list[_Idle]]:
        session, idle = requests.Session(), list[_Idle]()
        for scheme in ("https://", "http://"):
            session.mount(scheme, _Adapter(idle))
        self._configure(session)
        return os.getpid(), session, idle


def _close(pools: list[_Idle]) -> None:
    """Close idle connections, or this process's copies of them.

    Closing a copy sends nothing, so the parent's connections stay usable. This holds for TLS too, where only
    `unwrap` sends an alert. The session itself is not closed, because in a child its locks may be held by
    threads that do not exist there.
    """
    for idle in pools:
        idle.close()


class _Idle:
    """Idle connections: the interface of `queue.LifoQueue` that urllib3 uses, without its locks.

    `list.pop` and `list.append` are atomic.
    """

    def __init__(self, maxsize: int) -> None:
        self._maxsize = maxsize
        self._connections: list[Any] = []
        self._is_closed = False

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: ARG002, FBT001, FBT002
        try:
            return self._connections.pop()
        except IndexError:
            raise Empty from None

    def put(self, connection: Any, block: bool = True) -> None:  # noqa: ARG002, FBT001, FBT002
        if connection is None:  # urllib3 puts None in place of a closed connection
            return
        if self._is_closed:
            connection.close()
            return
        if len(self._connections) >= self._maxsize:
            raise Full
        self._connections.append(connection)

    def qsize(self) -> int:
        return len(self._connections)

    def close(self) -> None:
        self._is_closed = True
        with suppress(Empty):
            while True:
                self.get().close()


class _Pool(HTTPConnectionPool):
    """A connection pool for one host, which also adds its idle connections to *known*."""

    def __init__(self, host: str, port: int | None = None, *, known: list[_Idle], **kwargs: Any) -> None:
        super().__init__(host, port, **kwargs)
        idle: Any = _Idle(kwargs.get("maxsize", 1))
        self.pool = idle
        known.append(idle)


class _TlsPool(_Pool, HTTPSConnectionPool):
    """The same for TLS."""


class _Adapter(HTTPAdapter):
    """requests' adapter with these pools."""

    def __init__(self, idle: list[_Idle]) -> None:
        self._pools = {"http": partial(_Pool, known=idle), "https": partial(_TlsPool, known=idle)}
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):  # those have pools of their own
            manager.pool_classes_by_scheme = self._pools
        return manager
