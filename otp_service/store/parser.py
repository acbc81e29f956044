"""The parser: reads replies, and gives up one that comes too slowly. Touches Redis.

A time-out of a socket begins anew with every piece of a reply, so that a server which drips could hold a call
for as long as it likes.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import redis
from redis._parsers.hiredis import NOT_ENOUGH_DATA
from redis.connection import DefaultParser

if TYPE_CHECKING:
    from redis._parsers import _HiredisParser as _Parser

    _Connection = redis.Connection
else:
    _Parser, _Connection = DefaultParser, object


class PatientParser(_Parser):
    """The parser of redis-py, until *until* (monotonic)."""

    until = math.inf

    def read_from_socket(self, *arguments: Any, **options: Any) -> Any:
        """Read the next piece.

        Raises:
            redis.TimeoutError: the time is over.
        """
        if time.monotonic() > self.until:
            raise redis.TimeoutError
        return super().read_from_socket(*arguments, **options)  # type: ignore[no-untyped-call]

    def reply(self) -> Any:
        """Return the next reply; that of a refused command is its error.

        Raises:
            redis.RedisError: it did not come.
        """
        reader: Any = self._reader
        try:
            while (reply := reader.gets()) is NOT_ENOUGH_DATA:
                self.read_from_socket()
        except OSError as error:
            raise redis.ConnectionError(type(error).__name__) from error
        if isinstance(reply, redis.ConnectionError):
            raise reply  # the server is about to end the connection, or loads its data
        return reply


class Timed(_Connection):
    """A connection that waits for a reply no longer than its time-out, counted from the command."""

    sent_at = -math.inf

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002
        """Send *command*, and remember when."""
        self.sent_at = time.monotonic()
        self._parser.until = self.sent_at + (self.socket_timeout or math.inf)
        super().send_packed_command(command, check_health)  # type: ignore[no-untyped-call]

    def read_response(self, *_: Any, **__: Any) -> Any:
        """Return the next reply, past what redis-py does for pushed messages and texts of errors.

        Raises:
            redis.RedisError: it is that error, or did not come.
        """
        reply = self._parser.reply()
        if isinstance(reply, redis.ResponseError):
            raise reply
        return reply
