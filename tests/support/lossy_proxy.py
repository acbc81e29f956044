"""A proxy in front of Redis that drops one reply after the script has run."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

CHUNK = 65_536


class LossyProxy:
    """Listens on *port* and forwards everything to *target*, except for replies that it is told to drop.

    *lost* counts the dropped replies.
    """

    def __init__(self) -> None:
        self.target = 0
        self.lost = 0
        self._armed = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def forward_to(self, port: int) -> int:
        """Forward to the server at *port*; return the port of the proxy."""
        self.target = port
        return self.port

    def lose_next_reply(self) -> None:
        """Run the next script, then close its connection instead of passing on the reply."""
        self._armed = True

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target))
                self._sockets += [client, server]
                drops_reply = threading.Event()
                threading.Thread(
                    target=self._forward_requests, args=(client, server, drops_reply), daemon=True
                ).start()
                threading.Thread(
                    target=self._forward_replies, args=(client, server, drops_reply), daemon=True
                ).start()

    def _forward_requests(
        self, client: socket.socket, server: socket.socket, drops_reply: threading.Event
    ) -> None:
        with suppress(OSError):
            while data := client.recv(CHUNK):
                if self._armed and b"EVAL" in data:
                    self._armed = False
                    drops_reply.set()
                server.sendall(data)
        _shut_down(server)

    def _forward_replies(
        self, client: socket.socket, server: socket.socket, drops_reply: threading.Event
    ) -> None:
        with suppress(OSError):
            while data := server.recv(CHUNK):
                if drops_reply.is_set():
                    self.lost += 1
                    break
                client.sendall(data)
        _shut_down(client)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _shut_down(self._listener)
        self._listener.close()
        for side in self._sockets:
            _shut_down(side)
            side.close()


def _shut_down(side: socket.socket) -> None:
    with suppress(OSError):
        side.shutdown(socket.SHUT_RDWR)
