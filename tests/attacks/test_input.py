"""Input that is too large, too slow, or of a wrong type."""

from __future__ import annotations

import http.client
import itertools
import json
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import pytest
from attacks.target import PhoneState, Target, new_phone, running_target

from otp_service.web.api.routes import ENDPOINTS

SILENT = 2_200
"""Connections."""

PATHS = tuple(call.path for call in ENDPOINTS)

# ── A29 ──


@pytest.mark.parametrize("path", PATHS)
def test_a29_a_megabyte_is_refused(target: Target, path: str) -> None:
    answers = [
        target.shop.call(path, b" " * 9_000 + b"{}"),
        target.shop.call(path, b"[" * 9_000),
        target.shop.call(path, json.dumps({"phone": "1" * 9_000}).encode()),
    ]

    assert {(answer.status, answer.body["code"]) for answer in answers} == {(413, "payload_too_large")}
    # The announcement is enough: the service does not wait for the body.
    assert announced(target, path, 1_000_000) == 413


def announced(target: Target, path: str, length: int) -> int:
    """Announce a body of *length*, send none, and return the status of the answer."""
    with closing(http.client.HTTPConnection(urlsplit(target.deployment.url).netloc, timeout=5)) as connection:
        connection.putrequest("POST", path)
        connection.putheader("Authorization", f"Bearer {target.deployment.secrets.secret_key}")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(length))
        connection.endheaders()
        return connection.getresponse().status


@pytest.mark.parametrize(
    "raw", [b"[" * 8_000, b'{"a":' * 1_300, b"9" * 8_000, b'{"phone":1e999999}', b"\xff" * 100]
)
def test_a29_small_body_cannot_exhaust_the_parser(target: Target, raw: bytes) -> None:
    began = time.perf_counter()

    answer = target.shop.call("/otp/request", raw)

    assert (answer.status, answer.body["code"]) == (400, "invalid_request")
    assert time.perf_counter() - began < 2


def test_a29_endless_bodies_without_a_key_delay_no_other_call(target: Target) -> None:
    """Many more connections than both workers process at a time, without a key."""
    with slow_bodies(target, "sk_unknown-key-0123456789"):
        assert logs_in(target)


def test_a29_endless_bodies_with_a_key_delay_no_other_call(target: Target) -> None:
    """Many more callers with a key than both workers process at a time."""
    with slow_bodies(target, target.deployment.secrets.secret_key):
        assert logs_in(target)


@pytest.fixture(scope="module")
def target_of_few_files() -> Iterator[Target]:
    """A target with the usual soft limit of a thousand open files."""
    usual, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as stack:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1_024, most))
        try:
            running = stack.enter_context(running_target())
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (usual, most))
        yield running


def test_a29_silent_connections_delay_no_other_call(target_of_few_files: Target) -> None:
    """Without a key, and more connections than both workers could open by default."""
    parts = urlsplit(target_of_few_files.deployment.url)
    allow_files(2 * SILENT)

    with ExitStack() as open_ones:
        for _ in range(SILENT):
            silent = socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=10)
            open_ones.enter_context(silent)
        assert logs_in(target_of_few_files)


def test_a29_trickling_body_is_cut_off_after_seconds(target: Target) -> None:
    with half_posted(target, "/otp/verify", target.deployment.secrets.secret_key) as connection:
        began = time.monotonic()
        connection.settimeout(0.25)
        while time.monotonic() - began < 30 and not is_cut_off(connection):
            with suppress(OSError):
                connection.sendall(b" ")

        assert is_cut_off(connection)
        assert time.monotonic() - began > 2


def test_a29_slow_body_within_the_time_limit_is_served(target: Target) -> None:
    """The body arrives a second after the headers."""
    with half_posted(target, "/otp/verify", target.deployment.secrets.secret_key) as connection:
        connection.settimeout(10)
        time.sleep(1)
        connection.sendall(b" " * 98 + b"}")

        assert connection.recv(100).startswith(b"HTTP/1.1 400")


@contextmanager
def slow_bodies(target: Target, key: str, count: int = 1_000) -> Iterator[None]:
    """Keep *count* calls with *key* open that announce a body and send none, while the block runs."""
    allow_files(2 * count)
    with ExitStack() as open_ones:
        for _ in range(count):
            open_ones.enter_context(half_posted(target, "/otp/verify", key, begun=""))
        yield


def allow_files(count: int) -> None:
    """Allow this process to open *count* files, or skip the test if the system does not."""
    usual, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < count:
        pytest.skip("this system does not allow so many connections")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(usual, count), most))


def logs_in(target: Target) -> bool:
    """Return whether another caller gets a code and a proof without delay."""
    phone = new_phone()
    began = time.monotonic()
    verification_id = target.open(phone, client="bank")
    answer = target.clients["bank"].verify(phone, verification_id, target.code(phone))
    return answer.status == 200 and time.monotonic() - began < 10


def half_posted(target: Target, path: str, key: str, begun: str = "{") -> socket.socket:
    """Return a connection with an unfinished body, of which it has sent what has *begun*."""
    parts = urlsplit(target.deployment.url)
    connection = socket.create_connection((str(parts.hostname), int(parts.port or 0)))
    connection.sendall(
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n"
        f"Authorization: Bearer {key}\r\n\r\n{begun}".encode()
    )
    return connection


def is_cut_off(connection: socket.socket) -> bool:
    """Return whether the service has closed the connection; waits for the socket's time-out."""
    try:
        while connection.recv(1_000):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


# ── A30 ──

ODD: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1e5,
    10**30,
    123456,
    [],
    [1],
    ["13800138000"],
    {},
    {"$gt": ""},
    {"phone": "13800138000"},
    "",
    " ",
    "\x00",
    "123456\n7",
    "１２３４５６７",
    "1_234567",
    "+123456",
    "0x1E240",
    "1e5",
    "²³¹²³¹²",
    "٠١٢٣٤٥٦",
    "12345\u200b67",
    "null",
    "NaN",
    "a" * 1_000,
    "\ud83d\ude00" * 10,
)
BODIES = (
    b"",
    b"null",
    b"true",
    b"[1]",
    b"1e5",
    b'"text"',
    b"[]",
    b"{",
    b'{"a"}',
    b"{}{}",
    b"\x00",
    b"\xef\xbb\xbf{}",
)
FIELDS = (
    "phone",
    "purpose",
    "verification_id",
    "code",
    "proof",
    "locale",
    "client_ip",
    "risk_solution",
    "known_phone",
    "accepts_challenge",
)


def bodies(verification_id: str, phone: str) -> Iterator[tuple[str, object]]:
    """Yield every call with every odd value in every field, and bodies that are not objects."""
    valid_bodies = {
        "/otp/request": {"phone": phone, "verification_id": verification_id},
        "/otp/verify": {"phone": phone, "verification_id": verification_id, "code": "000000x"},
        "/otp/redeem": {"proof": "a.b.c", "purpose": "login"},
    }
    for path, (field, odd) in itertools.product(PATHS, itertools.product(FIELDS, ODD)):
        yield (
            path,
            {**valid_bodies.get(path, {"phone": phone, "verification_id": verification_id}), field: odd},
        )
    yield from itertools.product(PATHS, BODIES)


def test_a30_odd_values_cause_no_500_no_success_and_no_attempt(target: Target) -> None:
    phone = new_phone()
    verification_id = target.open(phone)
    right = target.code(phone)

    answers = {
        repr((path, body)): target.shop.call(path, body)
        for path, body in bodies(verification_id, phone)
        if not is_valid(path, body)
    }

    assert len(answers) > 1000
    wrong = {what: answer.status for what, answer in answers.items() if not 400 <= answer.status < 500}
    assert wrong == {}
    assert target.phone_state(phone) == PhoneState(sends=1, live=1)
    assert target.shop.verify(phone, verification_id, right).status == 200


def is_valid(path: str, body: object) -> bool:
    """Return whether the body is valid after all."""
    if not isinstance(body, dict):
        return False
    optional = {
        "purpose",
        "locale",
        "client_ip",
        "risk_solution",
        "known_phone",
        "accepts_challenge",
        "verification_id",
    }
    given = {name for name, value in body.items() if not (value is None and name in optional)}
    if path not in ("/otp/status", "/otp/cancel"):
        return False
    return given == set(body) == {"phone", "verification_id"} and has_valid_values(body)


def has_valid_values(body: dict[str, Any]) -> bool:
    return all(isinstance(value, str) and len(value) > 12 for value in body.values())


@pytest.mark.parametrize(
    "odd", [text for text in ODD if isinstance(text, str)], ids=lambda text: ascii(text)[:20]
)
def test_a30_a_code_of_impossible_form_uses_no_attempt(target: Target, odd: str) -> None:
    phone = new_phone()
    verification_id = target.open(phone)
    right = target.code(phone)
    spellings = [odd, f"{right}\n7", f" {right}7", f"+{right}", f"{right[:3]}_{right[3:]}7"]

    answers = [
        target.shop.verify(phone, verification_id, text) for text in (*spellings, f"{full_width(right)}７")
    ]

    assert {answer.status for answer in answers} <= {400, 422}
    assert {answer.body["code"] for answer in answers} <= {"invalid_code", "invalid_request"}
    assert target.phone_state(phone).failures == 0


def full_width(digits: str) -> str:
    return "".join(chr(ord("０") + int(digit)) for digit in digits)
