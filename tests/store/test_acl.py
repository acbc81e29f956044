"""The ACL user of the service: it may run the commands that the service needs, and no others."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest
import redis
from support.redis_servers import Server
from support.store_backends import create_service_user

from otp_service.store.acl import CALL_COMMANDS, ROUTING_COMMANDS, SCRIPT_COMMANDS

LUA = files("otp_service.store") / "lua"
PYTHON = files("otp_service.store")


def test_scripts_call_exactly_the_commands_that_the_acl_user_may_run() -> None:
    called = {
        name.lower()
        for script in LUA.iterdir()
        for name in re.findall(r"redis\.p?call\('(\w+)'", script.read_text(encoding="utf-8"))
    }

    assert called == set(SCRIPT_COMMANDS)


@pytest.mark.parametrize("name", [*CALL_COMMANDS, "asking"])
def test_acl_user_may_run_only_commands_that_are_sent(name: str) -> None:
    sources = [file.read_text(encoding="utf-8") for file in PYTHON.iterdir() if file.name.endswith(".py")]

    assert any(f'("{name.upper()}",' in text or f'"{name.upper()}", ' in text for text in sources)


def test_sentinel_user_may_run_only_commands_that_are_sent() -> None:
    assert ROUTING_COMMANDS == ("asking", "cluster|slots", "select")


@pytest.mark.parametrize(
    "command",
    [
        ("FLUSHALL",),
        ("CONFIG", "GET", "*"),
        ("KEYS", "*"),
        ("MONITOR",),
        ("CLUSTER", "RESET"),
        ("GET", "foreign key"),
        ("EVAL", "return redis.call('KEYS', '*')", 0),
        ("EVAL", "return redis.call('GET', KEYS[1])", 1, "foreign key"),
    ],
    ids=lambda command: " ".join(map(str, command)),
)
def test_acl_user_may_run_no_other_command(redis_server: Server, command: tuple[object, ...]) -> None:
    username, _, password = create_service_user([redis_server], "poor").removesuffix("@").partition(":")
    with (
        redis_server.client(username=username, password=password) as client,
        pytest.raises(redis.ResponseError, match=r"permission|can't run"),
    ):
        client.execute_command(*command)
