"""Under gevent, as with threads, a call waits for Redis no longer than the read timeout."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
READ_TIMEOUT = 0.3

OF_THE_STORE = """
from gevent import monkey
monkey.patch_all()
import json, os, sys, time
from support.events import RecordingEvents
from otp_service.domain.errors import StoreUnavailable
from otp_service.store.client import RedisOptions, from_url
from otp_service.store.verifications import RedisStore

options = RedisOptions(read_timeout=float(sys.argv[2]))
store = RedisStore(from_url(f"redis://127.0.0.1:{sys.argv[1]}", options), RecordingEvents())
began = time.monotonic()
try:
    store.unlock("t" * 16)
except StoreUnavailable:
    print(json.dumps([503, time.monotonic() - began]), flush=True)
os._exit(0)
"""

OF_THE_BLUEPRINT = """
from gevent import monkey
monkey.patch_all()
import json, os, sys, time
import redis
from flask import Flask
from web.test_own_flask_app import KEY, settings
import otp_service

tables = {"redis": {"read_timeout": float(sys.argv[2])}}
client = redis.Redis(port=int(sys.argv[1]))
app = Flask("shop")
app.register_blueprint(otp_service.create_blueprint(settings("http://127.0.0.1:1", **tables), redis=client))
began = time.monotonic()
response = app.test_client().post(
    "/otp/request",
    json={"phone": "+8613900001234", "purpose": "login"},
    headers={"Authorization": f"Bearer {KEY}"},
)
print(json.dumps([response.status_code, time.monotonic() - began]), flush=True)
os._exit(0)
"""

OF_AN_INTERRUPTED_CALL = """
from gevent import monkey
monkey.patch_all()
import json, os, sys
import gevent
from otp_service.store.client import RedisOptions, from_url

backend = from_url(sys.argv[1], RedisOptions(read_timeout=5))
with gevent.Timeout(0.3, False):
    backend.execute([("ECHO", "first")])
(reply,) = backend.execute([("ECHO", "second")]).replies
print(json.dumps(reply.decode()), flush=True)
os._exit(0)
"""


def stay_silent(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


def drip(connection: socket.socket) -> None:
    connection.recv(4096)
    for byte in b"$600\r\n" + b"x" * 600:
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


def echo_late(connection: socket.socket) -> None:
    while data := connection.recv(4096):
        time.sleep(0.6)
        connection.sendall(b"$" + data.rpartition(b"$")[2])


def name_master(port: int, connection: socket.socket) -> None:
    text = str(port)
    while connection.recv(4096):
        connection.sendall(f"*2\r\n$9\r\n127.0.0.1\r\n${len(text)}\r\n{text}\r\n".encode())


@contextmanager
def serving(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """Run a server that treats every connection by *answer*."""

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            answer(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize("answer", [stay_silent, drip])
@pytest.mark.parametrize("program", [OF_THE_STORE, OF_THE_BLUEPRINT], ids=["store", "blueprint"])
def test_redis_that_does_not_answer_in_time_is_an_error(
    answer: Callable[[socket.socket], None], program: str
) -> None:
    with serving(answer) as port:
        status, seconds = run(program, str(port), str(READ_TIMEOUT))

    assert status == 503
    assert 0.2 < seconds < 2


@pytest.mark.parametrize("through", ["server", "sentinel"])
def test_reply_to_an_interrupted_call_is_never_read_by_the_next(through: str) -> None:
    with serving(echo_late) as master, serving(partial(name_master, master)) as sentinel:
        url = f"redis://127.0.0.1:{master}"
        if through == "sentinel":
            url = f"redis+sentinel://127.0.0.1:{sentinel}/main"

        assert run(OF_AN_INTERRUPTED_CALL, url) == "second"


def run(program: str, *arguments: str) -> Any:
    """Run *program* and return what it prints."""
    result = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)
