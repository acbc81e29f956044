"""A TCP relay between the service and Redis that can delay, slice, drop and reset."""

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
"""Upper bound of all waits, for tests that fail before they clear their faults."""

CHUNK = 65_536


class Relay:
    """Listens on a free port and forwards everything to *target*, which may change between connections.

    *delay* (seconds) and *slice* (bytes) apply to replies; *drip* is the pause between two slices (seconds).
    `freeze` stops both directions. After *resets_after* replies, one connection is reset. *lost* counts the
    replies that were dropped.
    """

    def __init__(self, target: int) -> None:
        self._original_target = target
        self.target = target
        self.delay = 0.0
        self.slice = CHUNK
        self.drip = 0.0
        self.resets_after: int | None = None
        self.lost = 0
        self._hooks: dict[bytes, Callable[[], object]] = {}
        self._scripts_to_lose: set[bytes] = set()
        self._links: set[_Link] = set()
        self._may_forward = threading.Event()
        self._may_forward.set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    # ── faults ──

    def freeze(self) -> None:
        """Accept connections and bytes, and forward nothing."""
        self._may_forward.clear()

    def thaw(self) -> None:
        self._may_forward.set()

    def cut(self) -> None:
        """Close all connections."""
        for link in list(self._links):
            link.end()

    def call_before(self, name: str, hook: Callable[[], object]) -> None:
        """Call *hook* once, just before the next call of the script *name* reaches Redis."""
        self._hooks[script(name).sha.encode()] = hook

    def lose_reply_to(self, name: str) -> None:
        """After Redis has next run the script *name*, close the connection instead of sending the reply."""
        self._scripts_to_lose.add(script(name).sha.encode())

    def clear_faults(self) -> None:
        """Clear all faults. Connections to a changed target stay open."""
        self.target = self._original_target
        self.delay, self.slice, self.drip, self.resets_after = 0.0, CHUNK, 0.0, None
        self._hooks.clear()
        self._scripts_to_lose.clear()
        self.thaw()

    # ── forwarding ──

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                service_side, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(service_side,), daemon=True).start()

    def _serve(self, service_side: socket.socket) -> None:
        with (
            service_side,
            suppress(OSError),
            socket.create_connection(("127.0.0.1", self.target), SECONDS) as redis_side,
        ):
            service_side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link = _Link(service_side, redis_side)
            self._links.add(link)
            try:
                while self._forward(link):
                    pass
            finally:
                self._links.discard(link)

    def _forward(self, link: _Link) -> bool:
        """Forward the next bytes on *link*; return whether the connection stays open."""
        ready, _, _ = select.select([link.service_side, link.redis_side], [], [])
        for side in ready:
            data = side.recv(CHUNK)
            self._may_forward.wait(SECONDS)
            if not data or not (
                self._forward_commands(link, data)
                if side is link.service_side
                else self._forward_replies(link, data)
            ):
                return False
        return True

    def _forward_commands(self, link: _Link, data: bytes) -> bool:
        for sha in [sha for sha in self._hooks if sha in data]:
            self._hooks.pop(sha)()
        for sha in [sha for sha in self._scripts_to_lose if sha in data]:
            self._scripts_to_lose.discard(sha)
            link.drops_reply = True
        link.redis_side.sendall(data)
        return True

    def _forward_replies(self, link: _Link, data: bytes) -> bool:
        if link.drops_reply or self.resets_after == 0:
            self.lost += 1
            self.resets_after = None
            link.reset()
            return False
        if self.resets_after is not None:
            self.resets_after -= 1
        time.sleep(self.delay)
        size = self.slice
        for start in range(0, len(data), size):
            link.service_side.sendall(data[start : start + size])
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
    """A connection of the service and its connection to Redis. Only its own thread closes it."""

    def __init__(self, service_side: socket.socket, redis_side: socket.socket) -> None:
        self.service_side = service_side
        self.redis_side = redis_side
        self.drops_reply = False

    def end(self) -> None:
        for side in (self.service_side, self.redis_side):
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)

    def reset(self) -> None:
        self.service_side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.service_side.close()
