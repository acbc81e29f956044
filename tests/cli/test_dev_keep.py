"""`otp-service dev --keep`: keys and data survive a restart."""

from __future__ import annotations

import json
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from support import redis_servers
from support.chromium import DEV, Dev, running_dev
from support.deployment import Answer, Secrets, config_text, post

from otp_service.cli.dev_state import KEYS, DevState, StateNotUsable
from otp_service.cli.main import main

KNOWN, PENDING = "+8613800138111", "+8613800138222"


@pytest.fixture(autouse=True)
def _valkey() -> None:
    """Skip where there is no Valkey."""
    redis_servers.valkey_binary()


def call(dev: Dev, path: str, body: object) -> Answer:
    return post(f"{dev.service_url}/otp/{path}", body, Authorization=f"Bearer {dev.secret_key}")


def requested(dev: Dev, phone: str) -> dict[str, str]:
    """Request a code for *phone*; return the body of the call that verifies it."""
    sent = call(dev, "request", {"phone": phone, "purpose": "login"})
    assert sent.status == 201
    return {"phone": phone, "verification_id": sent.body["verification_id"], "code": dev.code(phone)}


def is_known(directory: Path, phone: str, tmp_path: Path) -> bool:
    """Return whether *phone* is a known phone in the data in *directory*."""
    with DevState(directory) as state:
        keys = state.keys
        dev_secrets = Secrets(keys.secret_key, keys.root, keys.pseudonym_key, keys.proof_key)
        config = tmp_path / "config.toml"
        config.write_text(config_text(state.redis_url, "http://127.0.0.1:9", 8080, dev_secrets))
        result = CliRunner().invoke(
            main, ["limits", "--config", str(config), "--json"], input=f"{phone}\n", catch_exceptions=False
        )
    return bool(json.loads(result.stdout[result.stdout.index("{") :])["known"])


def test_keys_and_data_survive_a_restart(tmp_path: Path) -> None:
    directory = tmp_path / "kept"
    with running_dev("--keep", str(directory)) as first:
        verified = call(first, "verify", requested(first, KNOWN))
        assert verified.status == 200
        redeemed = {"proof": verified.body["proof"], "purpose": "login"}
        assert call(first, "redeem", redeemed).status == 200
        pending = requested(first, PENDING)

    with running_dev("--keep", str(directory)) as second:
        assert (second.secret_key, second.publishable_key) == (first.secret_key, first.publishable_key)
        assert second.inbox(PENDING) == []
        again = call(second, "redeem", redeemed)
        late = call(second, "verify", pending)

    assert (again.status, again.body["code"]) == (409, "proof_redeemed")
    assert (late.status, late.body["status"]) == (200, "approved")
    assert is_known(directory, KNOWN, tmp_path)
    assert not is_known(directory, "+8613800138333", tmp_path)


def test_data_survives_a_process_that_is_killed(tmp_path: Path) -> None:
    command = [*DEV, "--keep", str(tmp_path / "kept")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        first = Dev(**json.loads(process.stdout.readline()))
        pending = requested(first, PENDING)
        process.send_signal(signal.SIGKILL)

    with running_dev("--keep", str(tmp_path / "kept")) as second:
        assert call(second, "verify", pending).status == 200


def test_kept_files_are_for_their_owner_only(tmp_path: Path) -> None:
    directory = tmp_path / "kept"
    directory.mkdir(mode=0o755)
    with DevState(directory):
        pass

    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((directory / KEYS).stat().st_mode) == 0o600


def test_without_keep_each_start_has_new_keys() -> None:
    with running_dev() as first, running_dev() as second:
        assert first.secret_key != second.secret_key


def test_introduction_says_what_is_kept(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "otp_service", "dev", "--port", "0", "--sandbox-port", "0"]
    for more, said in (([], "deletes all its data"), (["--keep", str(tmp_path / "kept")], "stay in ")):
        with subprocess.Popen([*command, *more], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            line = process.stdout.readline()
            process.terminate()
        assert re.search(said, line)


def test_directory_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    command = [*DEV, "--keep", str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert result.returncode == 2
    assert "--keep: contains files other than" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("text", ["{}", "no json", "[]", '{"root": 1}'])
def test_invalid_key_file_is_rejected(text: str, tmp_path: Path) -> None:
    (tmp_path / KEYS).write_text(text)

    with pytest.raises(StateNotUsable, match="not written by this version"):
        DevState(tmp_path)


def test_unwritable_directory_is_rejected() -> None:
    with pytest.raises(StateNotUsable, match="cannot be used"):
        DevState(Path("/proc/nothing"))
