"""Assembles the Lua scripts from their files and runs them, several in one round trip.

The second line of a script, `-- include: packing phone_state`, names the files whose text precedes it.

redis-py's `register_script` is not used: a pipeline with registered scripts first sends SCRIPT EXISTS and
waits for the reply, so every call would take two round trips instead of one.

Only a script that the server does not know is sent a second time, because it has not run. After a lost reply
nothing is sent again: the script may have run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import redis
from redis.exceptions import NoScriptError, ResponseError

from otp_service.domain.limits import MAX_VERIFICATION_LIFETIME, MIN_LIFETIME_AFTER_RESEND
from otp_service.domain.verification import ENDED_RETENTION
from otp_service.store.backend import (
    Argument,
    Command,
    PipelineResult,
    RedisBackend,
    ReplicationWait,
    backend_of,
)

PHONE_RETENTION = 90 * 86_400
"""Seconds for which the last failure and the last approval of a phone are kept."""

CLOCK_SLACK = 5
"""Seconds by which the server's clock may step back without ending a verification."""

_CONSTANTS = {
    "PHONE_RETENTION": PHONE_RETENTION,
    "ENDED_RETENTION": ENDED_RETENTION,
    "MAX_VERIFICATION_LIFETIME": MAX_VERIFICATION_LIFETIME,
    "MIN_LIFETIME_AFTER_RESEND": MIN_LIFETIME_AFTER_RESEND,
    "CLOCK_SLACK": CLOCK_SLACK,
}
"""Durations in seconds; the scripts see them in milliseconds."""

_INCLUDE = "-- include: "


@dataclass(frozen=True, slots=True)
class Script:
    """The text of a script and its SHA-1, by which the server knows it."""

    source: str
    sha: str


@dataclass(frozen=True, slots=True)
class Call:
    """One run of a script. All its keys are in the same hash slot."""

    name: str
    keys: Sequence[str]
    arguments: Sequence[Argument]


@cache
def script(name: str, *, shebang: bool = True) -> Script:
    """Return the script *name* with its includes.

    Servers that know neither `#!lua` nor the library `struct` get it with *shebang* False.
    """
    first, includes, body = _read(name).split("\n", 2)
    head = f"{first}\n" if shebang else _read("struct_polyfill")
    constants = "".join(f"local {key} = {seconds * 1000}\n" for key, seconds in _CONSTANTS.items())
    included = "".join(_read(part) for part in includes.removeprefix(_INCLUDE).split())
    return script_from(head + constants + included + body)


def script_from(source: str) -> Script:
    """Return the script with this *source*."""
    return Script(source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


def _read(name: str) -> str:
    return (files(__package__) / "lua" / f"{name}.lua").read_text(encoding="utf-8")


class ScriptRunner:
    """Runs calls on *backend*. Durable calls *wait* for replicas."""

    def __init__(
        self,
        backend: redis.Redis | RedisBackend,
        *,
        shebang: bool = True,
        wait: ReplicationWait | None = None,
    ) -> None:
        self._backend = backend_of(backend)
        self._shebang = shebang
        self._wait = wait

    def run(self, *calls: Call, durable: bool = False) -> PipelineResult:
        """Run *calls* in one round trip; *durable* ones wait for replicas.

        Raises:
            redis.RedisError: any of the calls may or may not have run, or a reply does not have the form of
                a script's reply: the server is not Redis, or another program changes our data.
        """
        wait = self._wait if durable else None
        result = self._backend.execute([self._command(call) for call in calls], wait)
        # The server has not run a script that it does not know. Only those are sent again, with their text.
        missing = [i for i, reply in enumerate(result.replies) if isinstance(reply, NoScriptError)]
        if missing:
            again = self._backend.execute([self._loading_command(calls[i]) for i in missing], wait)
            for i, reply in zip(missing, again.replies, strict=True):
                result.replies[i] = reply
            result = PipelineResult(result.replies, result.replicated and again.replicated)
        for reply in result.replies:
            if isinstance(reply, Exception):
                raise reply
            if not (isinstance(reply, list) and reply and isinstance(reply[0], bytes)):
                raise ResponseError("unexpected reply")
        return result

    def _command(self, call: Call) -> Command:
        return ("EVALSHA", self._script(call.name).sha, len(call.keys), *call.keys, *call.arguments)

    def _loading_command(self, call: Call) -> Command:
        """Return the command that runs *call* and makes the server keep its script."""
        return ("EVAL", self._script(call.name).source, len(call.keys), *call.keys, *call.arguments)

    def _script(self, name: str) -> Script:
        return script(name, shebang=self._shebang)
