"""The connections of a client: kept open between calls, and never shared with a forked process.

A child that used a connection of its parent would read answers to the parent's calls, or to those of another
child. So the connections belong to one process, and a process that finds those of another makes its own.
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
    """The session of the process that asks for it; *make* configures a new one.

    Threads share it. There is no lock: a lock that another thread holds while the process forks stays locked
    in the child for good.
    """

    def __init__(self, make: Callable[[requests.Session], None]) -> None:
        self._make = make
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
        """Close the idle connections; the next call makes a new one, and calls under way end as they are."""
        _, _, idle = self._current
        self._current = self._new()
        _close(idle)

    def __reduce__(self) -> tuple[type[Connections], tuple[Callable[[requests.Session], None]]]:
        """Pickle how connections are made: those that exist stay in this process."""
        return Connections, (self._make,)

    def _new(self) -> tuple[int, requests.Session, list[_Idle]]:
        session, idle = requests.Session(), list[_Idle]()
        for scheme in ("https://", "http://"):
            session.mount(scheme, _Adapter(idle))
        self._make(session)
        return os.getpid(), session, idle


def _close(given_up: list[_Idle]) -> None:
    """Close idle connections, or this process's copies of them.

    Closing a copy sends nothing: the parent's connections go on, over TLS too, where only `unwrap` would send
    an alert. The session itself is not closed: in a child its locks may be held by threads that do not exist.
    """
    for idle in given_up:
        idle.close()


class _Idle:
    """Idle connections, as urllib3 asks a `queue.LifoQueue` for them, without its locks.

    Taking from a list and adding to one are each one step.
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
        if connection is None:  # urllib3's stand-in for a connection that it has closed
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
    """Connections to one host, whose idle ones are listed in *known*, too."""

    def __init__(self, host: str, port: int | None = None, *, known: list[_Idle], **kwargs: Any) -> None:
        super().__init__(host, port, **kwargs)
        idle: Any = _Idle(kwargs.get("maxsize", 1))
        self.pool = idle
        known.append(idle)


class _TlsPool(_Pool, HTTPSConnectionPool):
    """The same over TLS."""


class _Adapter(HTTPAdapter):
    """requests' adapter with our pools."""

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
