"""A TCP relay between service and store that can delay, slice, drop and reset, as a test chooses."""

from __future__ import annotations

import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from otp_service.store.scripts import script

SECONDS = 30
"""Upper bound for all waits, in case a test does not end them."""

CHUNK = 65_536


class Relay:
    """Listens on a free port and forwards everything to *target*, which may change between connections.

    *delay* (seconds) and *slice* (bytes) apply to replies; *drip* is the time in seconds between two slices.
    `freeze` stops both directions. After *resets_after* replies, their connection is reset once.
    """

    def __init__(self, target: int) -> None:
        self._home = target
        self.target = target
        self.delay = 0.0
        self.slice = CHUNK
        self.drip = 0.0
        self.resets_after: int | None = None
        self.lost = 0
        self._befores: dict[bytes, Callable[[], object]] = {}
        self._loses: set[bytes] = set()
        self._links: set[_Link] = set()
        self._flows = threading.Event()
        self._flows.set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    # ── faults ──

    def freeze(self) -> None:
        """Accept connections and bytes, and forward nothing."""
        self._flows.clear()

    def thaw(self) -> None:
        self._flows.set()

    def cut(self) -> None:
        """Close all connections."""
        for link in list(self._links):
            link.end()

    def before(self, name: str, do: Callable[[], object]) -> None:
        """Call *do* once, just before the next call of the script *name* reaches the store."""
        self._befores[script(name).sha.encode()] = do

    def lose_reply_to(self, name: str) -> None:
        """Close the connection once after the store has run the script *name*, before its reply."""
        self._loses.add(script(name).sha.encode())

    def clear_faults(self) -> None:
        """Clear all faults; connections to an earlier target stay open."""
        self.target = self._home
        self.delay, self.slice, self.drip, self.resets_after = 0.0, CHUNK, 0.0, None
        self._befores.clear()
        self._loses.clear()
        self.thaw()

    # ── forwarding ──

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        with near, suppress(OSError), socket.create_connection(("127.0.0.1", self.target), SECONDS) as far:
            near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link = _Link(near, far)
            self._links.add(link)
            try:
                while self._pass_on(link):
                    pass
            finally:
                self._links.discard(link)

    def _pass_on(self, link: _Link) -> bool:
        """Forward the next bytes on *link*; return whether the connection stays open."""
        ready, _, _ = select.select([link.near, link.far], [], [])
        for side in ready:
            data = side.recv(CHUNK)
            self._flows.wait(SECONDS)
            if not data or not (self._up(link, data) if side is link.near else self._down(link, data)):
                return False
        return True

    def _up(self, link: _Link, data: bytes) -> bool:
        for sha in [sha for sha in self._befores if sha in data]:
            self._befores.pop(sha)()
        for sha in [sha for sha in self._loses if sha in data]:
            self._loses.discard(sha)
            link.is_losing = True
        link.far.sendall(data)
        return True

    def _down(self, link: _Link, data: bytes) -> bool:
        if link.is_losing or self.resets_after == 0:
            self.lost += 1
            self.resets_after = None
            link.reset()
            return False
        if self.resets_after is not None:
            self.resets_after -= 1
        time.sleep(self.delay)
        size = self.slice
        for start in range(0, len(data), size):
            link.near.sendall(data[start : start + size])
            time.sleep(self.drip)
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.clear_faults()
        self.cut()


class _Link:
    """One connection: *near* leads to the service, *far* to the store. Only its own thread closes it."""

    def __init__(self, near: socket.socket, far: socket.socket) -> None:
        self.near = near
        self.far = far
        self.is_losing = False

    def end(self) -> None:
        for side in (self.near, self.far):
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)

    def reset(self) -> None:
        self.near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.near.close()
