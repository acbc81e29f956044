"""Rights: what an ACL user of this service may do in Redis, and no more."""

from __future__ import annotations

from otp_service.store import keys

USER = "otp_service"

OF_SCRIPTS = ("del", "exists", "get", "set", "time")
"""What the scripts call, which is asked for as if the caller did."""

OF_CALLS = ("eval", "evalsha", "exists", "get", "info", "scan", "set", "unlink", "wait")

OF_PLACES = ("asking", "cluster|slots", "select")
"""What finds its way in a cluster, and to a database."""

SERVER_COMMANDS = tuple(sorted({*OF_SCRIPTS, *OF_CALLS, *OF_PLACES}))

SENTINEL_COMMANDS = ("sentinel|get-master-addr-by-name",)


def server_rules() -> list[str]:
    """Return the rules of the user on servers with data."""
    return ["resetkeys", f"~{keys.PREFIX}*", "resetchannels", *_commands(SERVER_COMMANDS)]


def sentinel_rules() -> list[str]:
    """Return the rules of the user on Sentinels."""
    return ["resetkeys", "resetchannels", *_commands(SENTINEL_COMMANDS)]


def _commands(names: tuple[str, ...]) -> list[str]:
    return ["-@all", *(f"+{name}" for name in names)]
