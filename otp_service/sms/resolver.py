"""The addresses behind a host's name, which the system lets nobody stop asking for; touches threads, sockets.

`getaddrinfo` knows no time-out, and with a dead name server it takes as long as the system's configuration
says. So it runs in a thread of its own, and whoever waits for it may leave.
"""

from __future__ import annotations

import copy
import ipaddress
import socket
import threading
import time

from urllib3.util.connection import allowed_gai_family

MAX_LOOKUPS = 4
SHARED_SECONDS = 1.0
"""So young a look-up is as good as a new one: a burst of calls asks once."""


class Resolver:
    """Finds the addresses of one *host*; threads share it, and the look-ups that are under way.

    Nothing is kept once a look-up has ended: how long a name is good for is the system's to know.
    """

    def __init__(self, host: str) -> None:
        self._host = host.strip("[]")
        self._is_name = not _is_address(self._host)
        self._lock = threading.Lock()
        self._lookups: list[_Lookup] = []

    def addresses(self, seconds: float) -> list[str]:
        """Return the addresses, in the order in which they should be tried, after *seconds* at most.

        Raises:
            TimeoutError: they are not known yet.
            OSError: there are none.
        """
        if not self._is_name:
            return [self._host]
        return self._lookup().wait(seconds)

    def _lookup(self) -> _Lookup:
        with self._lock:
            self._lookups = [lookup for lookup in self._lookups if lookup.is_alive()]
            if not self._lookups or not self._may_share(self._lookups[-1]):
                lookup = _Lookup(self._host)
                lookup.start()
                self._lookups.append(lookup)
            return self._lookups[-1]

    def _may_share(self, youngest: _Lookup) -> bool:
        is_young = time.monotonic() - youngest.began < SHARED_SECONDS
        return is_young or len(self._lookups) >= MAX_LOOKUPS


class _Lookup(threading.Thread):
    """One question to the name service. A process does not wait for its end."""

    def __init__(self, host: str) -> None:
        super().__init__(name="lookup", daemon=True)
        self._host = host
        self._found: list[str] = []
        self._error: Exception | None = None
        self.began = time.monotonic()

    def run(self) -> None:
        """Ask."""
        try:
            rows = socket.getaddrinfo(self._host, None, allowed_gai_family(), socket.SOCK_STREAM)
            self._found = [str(row[4][0]) for row in rows]
        except Exception as error:  # noqa: BLE001 - it is for those who wait
            self._error = error

    def wait(self, seconds: float) -> list[str]:
        """Return what was found, or raise what went wrong; `Resolver.addresses` says the rest."""
        self.join(seconds)
        if self.is_alive():
            raise TimeoutError
        if self._error:
            raise copy.copy(self._error)  # each waiter's own: raising writes into an exception
        return self._found


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
