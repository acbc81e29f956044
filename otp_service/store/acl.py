"""The minimal ACL rules that this service needs in Redis."""

from __future__ import annotations

from otp_service.store import keys

USER = "otp_service"

SCRIPT_COMMANDS = ("del", "exists", "get", "set", "time")
"""The commands that the scripts call. Redis checks them against the permissions of the caller."""

CALL_COMMANDS = ("eval", "evalsha", "exists", "get", "info", "scan", "set", "unlink", "wait")

ROUTING_COMMANDS = ("asking", "cluster|slots", "select")
"""The commands that find the server in a cluster and select a database."""

SERVER_COMMANDS = tuple(sorted({*SCRIPT_COMMANDS, *CALL_COMMANDS, *ROUTING_COMMANDS}))

SENTINEL_COMMANDS = ("sentinel|get-master-addr-by-name",)


def server_rules() -> list[str]:
    """Return the ACL rules for servers with data."""
    return ["resetkeys", f"~{keys.PREFIX}*", "resetchannels", *_commands(SERVER_COMMANDS)]


def sentinel_rules() -> list[str]:
    """Return the ACL rules for Sentinels."""
    return ["resetkeys", "resetchannels", *_commands(SENTINEL_COMMANDS)]


def _commands(names: tuple[str, ...]) -> list[str]:
    return ["-@all", *(f"+{name}" for name in names)]
