"""Redis: memory filled by strangers, injection into keys, a server that is taken over."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from attacks.target import Answer, Target, all_values, in_parallel, new_phone, running_target, wrong_codes

import otp_service
from otp_service.store.acl import server_rules

KIB = 1024
LUA = sorted((Path(otp_service.__file__).parent / "store" / "lua").glob("*.lua"))


@pytest.fixture(scope="module")
def target_with_own_redis() -> Iterator[Target]:
    """A target whose Redis no other test fills."""
    with running_target() as running:
        yield running


# ── A26, A27: memory ──


@contextmanager
def full(target: Target, room: int) -> Iterator[None]:
    """Leave Redis *room* bytes of memory while the block runs."""
    with target.redis.client() as client:
        client.config_set("maxmemory", client.info("memory")["used_memory"] + room)
        yield
        client.config_set("maxmemory", 0)


def test_a26_full_memory_loses_no_counter(target_with_own_redis: Target) -> None:
    """Strangers fill the memory with requests; then every call is rejected, and no counter is lost."""
    target, victim = target_with_own_redis, new_phone()
    verification_id = target.open(victim)
    right = target.code(victim)
    for guess in wrong_codes(right, 3):
        target.shop.verify(victim, verification_id, guess)
    with target.redis.client() as client:
        before = all_values(client)

        with full(target, room=96 * KIB):
            statuses, flood = list[int](), list[str]()
            # Buffers of connections take memory too, so it is full only once a whole round is rejected.
            while statuses[-32:].count(503) < 32:
                phones = [new_phone() for _ in range(32)]
                flood += phones
                answers = in_parallel([lambda phone=phone: target.shop.request(phone) for phone in phones], 8)
                statuses += [answer.status for answer in answers]
                assert len(statuses) < 5000, "the memory does not fill"
            refused = target.shop.verify(victim, verification_id, right)
            held = all_values(client)
            evicted = client.info("stats")["evicted_keys"]

    assert set(statuses) <= {201, 202, 503}
    assert (refused.status, refused.body["code"]) == (503, "store_unavailable")
    assert evicted == 0
    mine = [key for key in before if key.startswith(target.phone_key(victim).encode())]
    assert len(mine) == 2
    assert {key: held[key] for key in mine} == {key: before[key] for key in mine}
    assert len([sms for sms in target.sms() if sms.phone in set(flood)]) <= len(flood) - statuses.count(503)
    # With memory available again, everything is as before.
    assert target.shop.verify(victim, verification_id, right).status == 200


def test_a27_each_number_uses_little_memory(target_with_own_redis: Target) -> None:
    target, count = target_with_own_redis, 200
    with target.redis.client() as client:
        before = set(client.scan_iter())
        in_parallel([lambda: target.shop.request(new_phone()) for _ in range(count)], 8)
        fresh = set(client.scan_iter()) - before
        used = sum(client.memory_usage(key) for key in fresh)
        # One key per client, for a missing client IP, stays a week.
        lives = [client.pttl(key) for key in fresh if b":unaddressed:" not in key]

    # 10^5 numbers: below 100 MB, most of it gone after twenty minutes, the rest after a day or two.
    assert count <= len(fresh)
    assert used / count < KIB
    assert min(lives) > 0
    assert max(lives) <= 48 * 3_600_000


# ── A28: names ──

HOSTILE = (
    "{}",
    "{x}",
    "a{b}c",
    "*",
    "?",
    "[a-z]",
    ":",
    "otp:{x}",
    "a:b",
    "\r\n",
    "a\r\nFLUSHALL\r\n",
    "$5\r\nhello",
    "\x00",
    "' .. redis.call('FLUSHALL') .. '",
    "]] redis.call('FLUSHALL') --[[",
    "%00",
    "../../etc",
    "login ",
    "LOGIN",
    "ｌｏｇｉｎ",
    "a" * 64,
)


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_a28_no_hostile_name_reaches_a_key(target_with_own_redis: Target, text: str) -> None:
    target, phone = target_with_own_redis, new_phone()
    with target.redis.client() as client:
        before = set(client.scan_iter())
        answers = [
            target.shop.request(phone, purpose=text),
            target.shop.request(text),
            target.shop.request(f"{phone}{text}"),
            target.shop.verify(phone, text, "123456"),
            target.shop.verify(phone, "A" * 22, text),
            target.shop.verify(text, "A" * 22, "123456"),
            target.shop.resend(phone, text),
            target.shop.cancel(phone, text),
            target.shop.redeem(text),
            target.shop.redeem("proof", text),
            target.shop.request(phone, client_ip=text),
        ]
        fresh = set(client.scan_iter()) - before

    accepted = [answer for answer in answers if answer.status < 400]
    assert accepted == [] or (text.strip() == "" and len(accepted) == 1)
    assert [key for key in fresh if not KEY.fullmatch(key)] == []
    assert accepted or not any(key.startswith(target.phone_key(phone).encode()) for key in fresh)
    assert target.phone_state(phone).failures == 0


KEY = re.compile(
    rb"otp:(probe|schema|unreadable_ip|unaddressed:[a-z]+|budget:\{sms\}:(service|client:[a-z]+)|wrong_codes:\d+"
    rb"|\{[\w-]{16}\}(:[\w-]{16}(:(redeemed|status|resend))?)?"
    rb"|(address|misses|claim):\{[\w-]{16,}\}|guard:\{[\w:+-]+\}|\{[\w-]{16}\}:solved:[\w-]+)"
)


def test_a28_calls_leave_no_scripts_and_no_unknown_keys_behind(target_with_own_redis: Target) -> None:
    target = target_with_own_redis
    ours = [path for path in LUA if path.read_text().startswith("#!lua")]
    with target.redis.client() as client:
        in_parallel([lambda: walk(target)] * 60, 8)

        assert 0 < client.info("memory")["number_of_cached_scripts"] <= len(ours)
        assert [key for key in client.scan_iter() if not KEY.fullmatch(key)] == []


def walk(target: Target) -> Answer:
    """Make every call once, each for another phone."""
    phone = new_phone()
    verification_id = target.open(phone, client_ip=f"2001:db8:0:{secrets.token_hex(2)}::1")
    target.shop.resend(phone, verification_id)
    target.shop.verify(phone, verification_id, wrong_codes(target.code(phone), 1)[0])
    target.shop.status(phone, verification_id)
    proof = target.shop.verify(phone, verification_id, target.code(phone)).body["proof"]
    target.shop.redeem(proof)
    return target.shop.cancel(phone, verification_id)


# ── A33: a shared Redis ──


def test_a33_service_needs_few_commands_and_only_its_own_keys() -> None:
    """With the service's Redis user, an attacker can neither read other keys nor empty the server."""
    password = secrets.token_urlsafe(24)
    user = f"user service on >{password} {' '.join(server_rules())}"

    def as_that_user(text: str) -> str:
        return re.sub(r'url = "redis://', f'url = "redis://service:{password}@', text)

    with running_target(change=as_that_user, redis_options=tuple(("--" + user).split(" "))) as target:
        target.history.hidden.add(password)
        walk(target)
        assert target.deployment.get("/readyz").status == 200
        with target.redis.client() as client:
            assert [
                entry for entry in client.acl_log() if entry["object"] not in ("client|setinfo", "client")
            ] == []
            assert {info["user"] for info in client.client_list()} >= {"service"}
        with target.redis.client(username="service", password=password) as taken_over:
            for command in FORBIDDEN:
                with pytest.raises(Exception, match=r"(?i)no permissions|can't (run|access)|NOPERM"):
                    taken_over.execute_command(*command.split(" "))


FORBIDDEN = (
    "FLUSHALL",
    "KEYS *",
    "CONFIG GET dir",
    "CONFIG SET dir /",
    "EVAL return(redis.call('FLUSHALL')) 0",
    "EVAL return(redis.call('KEYS','*')) 0",
    "EVAL return(redis.call('GET','other:key')) 0",
    "SCRIPT FLUSH",
    "SAVE",
    "MONITOR",
    "ACL LIST",
    "REPLICAOF localhost 1",
    "MODULE LIST",
    "SHUTDOWN",
    "GET other:key",
    "SET other:key 1",
    "FUNCTION LIST",
    "CLIENT LIST",
)


@pytest.mark.parametrize("path", LUA, ids=lambda path: path.name)
def test_a33_no_script_returns_foreign_errors_or_computes_a_key(path: Path) -> None:
    """A stranger's text in an error could forge a reply; an undeclared key escapes cluster and ACL."""
    code = "\n".join(line.partition("--")[0] for line in path.read_text().splitlines()[1:])

    called = re.findall(r"redis\.call\(\s*'(\w+)'\s*(?:,\s*([^,)]+))?", code)
    assert len(called) == code.count("redis.call(")
    assert {command for command, _ in called} <= {"GET", "SET", "DEL", "EXISTS", "TIME"}
    assert {key for command, key in called if command != "TIME"} <= {"key", "KEYS[1]", "KEYS[2]"}
    assert re.findall(r"error_reply|status_reply|pcall|loadstring|\berror\(|setfenv|cjson", code) == []
