"""Scripts: the Lua files, put together and run. Touches Redis.

A script names the parts it needs in its second line, and gets of them what it uses: the server makes each of
its functions anew in every call, which costs as much as running them. No script is ever run twice for one
call: a lost reply is an error, because the server may have done the work.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import redis
from redis.exceptions import NoScriptError

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

MEMORY = 90 * 86_400
"""Seconds for which a row remembers its last failure and its last approval."""

CLOCK_SLACK = 5
"""Seconds by which the server's clock may step back without ending a verification."""

_CONSTANTS = {
    "PHONE_RETENTION": MEMORY,
    "ENDED_RETENTION": ENDED_RETENTION,
    "MAX_VERIFICATION_LIFETIME": MAX_VERIFICATION_LIFETIME,
    "MIN_LIFETIME_AFTER_RESEND": MIN_LIFETIME_AFTER_RESEND,
    "CLOCK_SLACK": CLOCK_SLACK,
}
_NEEDS = "-- include: "

_COMMENT = re.compile(r"^ *--.*\n", re.MULTILINE)
_DEFINITION = re.compile(r"^(?=local )", re.MULTILINE)
_DEFINED = re.compile(r"local (?:function )?([\w, ]+)")
_NAME = re.compile(r"(?<![\w.])[a-zA-Z_]\w*")


@dataclass(frozen=True, slots=True)
class Script:
    """A script's whole text and the SHA-1 by which the server knows it."""

    source: str
    sha: str


@dataclass(frozen=True, slots=True)
class Call:
    """One run of a script: all its keys share one slot."""

    name: str
    keys: Sequence[str]
    arguments: Sequence[Argument]


@cache
def script(name: str, *, shebang: bool = True) -> Script:
    """Return the script *name* as the server takes it.

    Without its *shebang* it is for servers that know none, nor the library `struct`.
    """
    first, needs, body = _read(name).split("\n", 2)
    constants = "".join(f"local {key} = {seconds * 1000}\n" for key, seconds in _CONSTANTS.items())
    parts = "".join(_read(part) for part in needs.removeprefix(_NEEDS).split())
    source = _with_used(constants + parts, body)
    return script_from(f"{first}\n{source}" if shebang else _read("struct_polyfill") + source)


def _with_used(parts: str, body: str) -> str:
    """Return *body* after those definitions of *parts* that it uses, directly or through each other."""
    source = _COMMENT.sub("", body)
    names = set(_NAME.findall(source))
    for definition in reversed(_DEFINITION.split(_COMMENT.sub("", parts))):
        if names.intersection(_defined(definition)):
            source = definition + source
            names.update(_NAME.findall(definition))
    return source


def _defined(definition: str) -> list[str]:
    match = _DEFINED.match(definition)
    return match[1].strip().split(", ") if match else []


def script_from(source: str) -> Script:
    """Return *source* with the name that the server gives it."""
    return Script(source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


def _read(name: str) -> str:
    return (files(__package__) / "lua" / f"{name}.lua").read_text(encoding="utf-8")


class ScriptRunner:
    """Runs calls on *backend*, several of them in one round trip; *wait* is what makes one last."""

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

    def run(self, *calls: Call, lasting: bool = False) -> PipelineResult:
        """Run *calls* in one round trip; *lasting* ones wait for replicas.

        Raises:
            redis.RedisError: any of them may or may not have run.
        """
        wait = self._wait if lasting else None
        told = self._backend.execute([self._command(call) for call in calls], wait)
        # What a server did not know it did not run: only that is sent again, with its text.
        missing = [i for i, reply in enumerate(told.replies) if isinstance(reply, NoScriptError)]
        if missing:
            again = self._backend.execute([self._loading_command(calls[i]) for i in missing], wait)
            for i, reply in zip(missing, again.replies, strict=True):
                told.replies[i] = reply
            told = PipelineResult(told.replies, told.replicated and again.replicated)
        told.raise_errors()
        return told

    def _command(self, call: Call) -> Command:
        return ("EVALSHA", self._script(call.name).sha, len(call.keys), *call.keys, *call.arguments)

    def _loading_command(self, call: Call) -> Command:
        """Return what runs *call* and leaves its script with the server."""
        return ("EVAL", self._script(call.name).source, len(call.keys), *call.keys, *call.arguments)

    def _script(self, name: str) -> Script:
        return script(name, shebang=self._shebang)
