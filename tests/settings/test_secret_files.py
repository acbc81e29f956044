"""Configuration and secret files: encodings, what a secret may not hold, and who else can read them."""

from __future__ import annotations

import base64
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.deployment import config_text, make_secrets, running_service
from support.events import RecordingEvents
from support.redis_servers import Server, free_port
from support.store_backends import LONG_TIMEOUTS

from otp_service.cli.main import main
from otp_service.domain.clients import key_digest
from otp_service.settings import Settings, SettingsError, advice, from_mapping, load
from otp_service.settings.advice import exposure
from otp_service.store.acl import server_rules
from otp_service.store.client import from_url
from otp_service.store.verifications import RedisStore

BOM = b"\xef\xbb\xbf"
SENTINEL = "SENTINEL-value-that-must-never-be-shown"

Raw = dict[str, Any]


def secret(seed: int) -> str:
    return base64.b64encode(bytes((seed * 31 + i * 7) % 256 for i in range(32))).decode()


@pytest.fixture
def raw() -> Raw:
    return {
        "keys": {"active_kid": "a", "pseudonym_key": secret(1), "roots": {"a": secret(2)}},
        "purposes": {"login": {}},
        "clients": {"web": {"secret_key_digests": [key_digest("sk")], "proof_keys": [secret(3)]}},
        "routes": [
            {
                "name": "main",
                "access_key_id": "id",
                "access_key_secret": "secret",
                "sign_name": "sign",
                "templates": [{"template_code": "SMS_1"}],
            }
        ],
    }


def environment(raw: Raw) -> dict[str, str]:
    return {f"OTP_SERVICE__{name.upper()}": json.dumps(table) for name, table in raw.items()}


def issues_of(raw: Raw) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(None, environment(raw))
    assert SENTINEL not in str(caught.value)
    return str(caught.value).splitlines()


# ── encodings ──


def test_configuration_may_start_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_bytes(BOM + b"[log]\r\nlevel = 'debug'\r\n")

    with pytest.raises(SettingsError) as caught:
        load(tmp_path / "config.toml", {})
    assert "config.toml" not in str(caught.value)
    assert "log" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "gb18030"])
def test_issue_with_a_file_that_is_not_utf_8_names_its_encoding(
    tmp_path: Path, raw: Raw, encoding: str
) -> None:
    text = f"# 配置 {SENTINEL}\n"
    (tmp_path / "config.toml").write_bytes(text.encode(encoding))
    raw["keys"] |= {"pseudonym_key_file": str(tmp_path / "config.toml")}
    del raw["keys"]["pseudonym_key"]

    with pytest.raises(SettingsError) as caught:
        load(tmp_path / "config.toml", {})

    what = {"utf-16": " but UTF-16", "utf-32": " but UTF-32", "gb18030": ""}.get(
        encoding, " but binary or UTF-16"
    )
    assert str(caught.value) == f"config.toml: is not UTF-8 text{what}: save it as UTF-8"
    assert issues_of(raw) == [
        f"keys.pseudonym_key_file: names a file that is not UTF-8 text{what}: save it as UTF-8"
    ]


def test_secret_files_may_start_with_a_byte_order_mark(tmp_path: Path, raw: Raw) -> None:
    for name, text in {
        "pseudonym-key": secret(11),
        "proofs": f"{secret(12)}\r\n{secret(13)}",
        "key": "from-a-file",
    }.items():
        (tmp_path / name).write_bytes(BOM + text.encode() + b"\r\n")
    raw["keys"] = {
        "active_kid": "a",
        "roots": {"a": secret(2)},
        "pseudonym_key_file": str(tmp_path / "pseudonym-key"),
    }
    del raw["clients"]["web"]["proof_keys"], raw["routes"][0]["access_key_secret"]
    raw["clients"]["web"]["proof_keys_file"] = str(tmp_path / "proofs")
    raw["routes"][0]["access_key_secret_file"] = str(tmp_path / "key")

    settings = load(None, environment(raw))

    assert settings.keys.pseudonym_key.get_secret_value() == secret(11)
    assert [key.get_secret_value() for key in settings.clients["web"].proof_keys] == [secret(12), secret(13)]
    assert settings.routes[0].access_key_secret.get_secret_value() == "from-a-file"


def test_redis_password_may_start_with_a_byte_order_mark(tmp_path: Path, redis_server: Server) -> None:
    (tmp_path / "password").write_bytes(BOM + b"with-a-mark\n")
    with redis_server.client() as client:
        client.execute_command("ACL", "SETUSER", "marked", "reset", "on", ">with-a-mark", *server_rules())
    terms = replace(LONG_TIMEOUTS, password_file=tmp_path / "password")
    store = RedisStore(from_url(f"redis://marked@127.0.0.1:{redis_server.port}", terms), RecordingEvents())

    assert store.check_health() in {True, False}
    store.close()
    printed = CliRunner().invoke(main, ["redis-acl", "--password-file", str(tmp_path / "password")]).output
    assert "#" + key_digest("with-a-mark") in printed


# ── what a secret may not hold ──

FAULTY = {
    "control character": (f"{SENTINEL}\x07", "contains a control character or an invisible one"),
    "zero width space": (f"{SENTINEL}\u200b", "contains a control character or an invisible one"),
    "a mark in the middle": (f"a\ufeff{SENTINEL}", "contains a control character or an invisible one"),
    "double quotes": (f'"{SENTINEL}"', "is enclosed in quotes, which are not part of it"),
    "single quotes": (f"'{SENTINEL}'", "is enclosed in quotes, which are not part of it"),
    "curly quotes": (f"“{SENTINEL}”", "is enclosed in quotes, which are not part of it"),
    "two lines": (f"{SENTINEL}\nmore", "contains more than one line"),
    "an old line end": (f"{SENTINEL}\rmore", "contains more than one line"),
    "white space": (f"{SENTINEL} more", "contains white space"),
    "ideographic space": (f"{SENTINEL}\u3000more", "contains white space"),
}

PLACEHOLDERS = [
    "<your-access-key-id>",
    "<ACCESS KEY>".replace(" ", "-"),
    "xxx",
    "XXXXXXXX",
    "LTAIxxxxxxxxxxxx",
    "***",
    "...",
    "…………",
    "changeme",
    "CHANGE_ME",
    "please-change-this",
    "replace-me",
    "your-access-key-secret",
    "your_secret",
    "${ACCESS_KEY_ID}",
    "$ACCESS_KEY_ID",
    "{{access_key}}",
    "%ACCESS_KEY%",
    "[secret]",
    "todo",
    "None",
    "null",
]

PLACES = [
    "keys.pseudonym_key",
    "keys.roots.a",
    "clients.web.proof_keys.0",
    "reports.secret",
    "reports.inbound_sms_webhook_secret",
    "redis.url",
    "routes.0.access_key_id",
    "routes.0.access_key_secret",
    "routes.0.security_token",
    "routes.0.second_access_key_id",
    "routes.0.second_access_key_secret",
    "routes.0.secret",
]
"""Every secret of the settings."""


def put(raw: Raw, path: str, value: object) -> str:
    """Set a value, and return its path as issues show it."""
    *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    table: Any = raw
    for step in way:
        table = table[step] if isinstance(step, int) else table.setdefault(step, {})
    table[last] = value
    return ".".join(str(step) for step in (*way, last)).replace(".0", "[0]")


@pytest.mark.parametrize("path", PLACES)
@pytest.mark.parametrize("kind", FAULTY)
def test_secret_with_an_invalid_character_is_one_issue(raw: Raw, path: str, kind: str) -> None:
    value, what = FAULTY[kind]
    if "proof_keys" in path and kind == "white space":
        value = f" {value}"  # between words it may stand there
    where = put(raw, path, value)

    with pytest.raises(SettingsError) as caught:
        from_mapping(raw)

    at = [line for line in str(caught.value).splitlines() if line.startswith(f"{where}:")]
    assert at == [f"{where}: {what}"]
    assert SENTINEL not in str(caught.value)


@pytest.mark.parametrize("text", PLACEHOLDERS)
def test_placeholder_is_rejected_as_a_secret(raw: Raw, text: str) -> None:
    raw["routes"][0]["access_key_secret"] = text

    assert issues_of(raw) == ["routes[0].access_key_secret: is a placeholder: replace it with the real value"]


def test_real_secrets_are_not_taken_for_placeholders(raw: Raw) -> None:
    for text in ("LTAI5tXxXxQ", "secret", "yourself", "Exchange-Me/9+x", "x" * 2, "a{b}c", "tok.en_-~"):
        raw["routes"][0]["access_key_secret"] = text
        assert from_mapping(raw)


@pytest.mark.parametrize(
    ("kind", "content", "what"),
    [
        (
            "quotes",
            f'"{SENTINEL}"\n',
            "names a file whose text is enclosed in quotes, which are not part of it",
        ),
        ("lines", f"{SENTINEL}\nmore\n", "names a file whose text contains more than one line"),
        (
            "control",
            f"{SENTINEL}\x1b[0m\n",
            "names a file whose text contains a control character or an invisible one",
        ),
        (
            "placeholder",
            "changeme\n",
            "names a file whose text is a placeholder: replace it with the real value",
        ),
        ("empty", " \n", "names an empty file"),
    ],
)
def test_secret_file_with_invalid_content_is_one_issue(
    tmp_path: Path, raw: Raw, kind: str, content: str, what: str
) -> None:
    (tmp_path / kind).write_text(content, encoding="utf-8")
    del raw["keys"]["pseudonym_key"]
    raw["keys"]["pseudonym_key_file"] = str(tmp_path / kind)

    assert issues_of(raw) == [f"keys.pseudonym_key_file: {what}"]


@pytest.mark.parametrize("name", ["password_file", "sentinel_password_file"])
def test_password_file_is_validated_like_a_secret_file(tmp_path: Path, raw: Raw, name: str) -> None:
    file = tmp_path / "password"
    file.write_text(f"{SENTINEL}\nand another line\n", encoding="utf-8")
    raw["redis"] = {"url": "redis+sentinel://127.0.0.1/main", name: str(file)}
    assert issues_of(raw) == [f"redis.{name}: names a file whose text contains more than one line"]

    file.write_text("\n", encoding="utf-8")
    assert issues_of(raw) == [f"redis.{name}: names an empty file"]

    file.write_text("may hold spaces\n", encoding="utf-8")
    assert load(None, environment(raw))


def test_redis_certificates_must_be_valid(tmp_path: Path, raw: Raw) -> None:
    for name in ("ca", "cert", "key"):
        (tmp_path / name).write_text(SENTINEL, encoding="utf-8")
    files = {f"{name}_file": str(tmp_path / name) for name in ("ca", "cert", "key")}
    raw["redis"] = {"url": "rediss://127.0.0.1", **files}

    assert issues_of(raw) == [
        "redis.ca_file: names a file that does not contain certificates in PEM",
        "redis.key_file: names a file that does not contain the key of redis.cert_file in PEM",
    ]


# ── who else can read them ──


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user of the machine can enter."""
    folder = Path(tempfile.mkdtemp(prefix="otp-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


WORLD = "can be read by every user of this machine: chmod {}= {}"
MY_GROUP = "can be read by its group: chmod go= {}"


@pytest.mark.parametrize(
    ("mode", "is_own", "what"),
    [
        (0o600, True, None),
        (0o400, True, None),
        (0o604, True, WORLD),
        (0o644, True, WORLD),
        (0o640, True, MY_GROUP),
        (0o640, False, None),
        (0o644, False, WORLD),
        (0o620, True, None),
    ],
)
def test_file_that_others_can_read_is_exposed(
    open_folder: Path, mode: int, is_own: object, what: str | None
) -> None:
    file = open_folder / "a file"
    file.write_text("secret", encoding="utf-8")
    file.chmod(mode)
    if os.geteuid() == 0:
        os.chown(file, 12_345, -1)
    user = file.stat().st_uid if is_own else 54_321

    seen = [issue.what for issue in exposure("x", file, user)]

    command = "go" if is_own else "o"
    expected = what.format(command, f"'{file}'") if what is WORLD else what and what.format(f"'{file}'")
    assert seen == ([expected] if expected else [])


def test_file_of_root_that_the_group_of_the_service_can_read_is_not_exposed(open_folder: Path) -> None:
    file = open_folder / "secret"
    file.touch()
    file.chmod(0o640)

    assert list(exposure("x", file, 0)) == []


def test_file_in_a_folder_that_others_cannot_enter_is_not_exposed(open_folder: Path) -> None:
    file = open_folder / "secret"
    file.touch()
    file.chmod(0o644)
    open_folder.chmod(0o700)

    assert list(exposure("x", file, file.stat().st_uid)) == []
    assert list(exposure("x", open_folder / "nowhere")) == []


def test_link_is_as_exposed_as_its_target(open_folder: Path, tmp_path: Path) -> None:
    (open_folder / "secret").touch()
    (open_folder / "secret").chmod(0o644)
    (tmp_path / "link").symlink_to(open_folder / "secret")

    assert len(list(exposure("x", tmp_path / "link"))) == 1


INLINE = {
    "nothing": ("", False),
    "public things": ("[redis]\nurl = 'redis://127.0.0.1'\n[[routes]]\naccess_key_id = 'id'\n", False),
    "a file's name": ("[keys]\npseudonym_key_file = '/nowhere'\n[keys.roots]\na_file = '/nowhere'\n", False),
    "a root": ("[keys.roots]\na = 'x'\n", True),
    "the pseudonym key": ("[keys]\npseudonym_key = 'x'\n", True),
    "a proof key": ("[clients.web]\nproof_keys = ['x']\n", True),
    "a password": ("[redis]\nurl = 'redis://:x@127.0.0.1'\n", True),
    "an access key": ("[[routes]]\naccess_key_secret = 'x'\n", True),
    "a webhook's secret": ("[[routes]]\nsecret = 'x'\n", True),
    "the secret of reports": ("[reports]\nsecret = 'x'\n", True),
    "the code of a test phone": ("[[test_phones]]\ncode = '135790'\n", True),
}


@pytest.mark.parametrize("name", INLINE)
def test_only_a_configuration_with_secrets_must_be_private(open_folder: Path, name: str) -> None:
    text, is_secret = INLINE[name]
    file = open_folder / "config.toml"
    file.write_text(text, encoding="utf-8")
    file.chmod(0o644)

    assert [warning.where for warning in advice(file, {}, Settings())] == ["config.toml"] * is_secret


def test_every_secret_file_must_be_private(open_folder: Path) -> None:
    file = open_folder / "secret"
    file.touch()
    file.chmod(0o644)
    name = str(file)
    raw = {
        "redis": {"url_file": name, "password_file": name, "sentinel_password_file": name, "key_file": name},
        "keys": {"pseudonym_key_file": name, "roots": {"a_file": name}},
        "clients": {"web": {"proof_keys_file": name}},
        "reports": {"secret_file": name, "inbound_sms_webhook_secret_file": name},
        "routes": [
            {
                "access_key_id_file": name,
                "access_key_secret_file": name,
                "security_token_file": name,
                "second_access_key_secret_file": name,
                "secret_file": name,
            }
        ],
    }
    public = {"redis": {"ca_file": name, "cert_file": name}, "routes": [{"access_key_id_file": name}]}

    found = advice(None, environment(raw), Settings())

    assert sorted(warning.where for warning in found) == [
        "clients.web.proof_keys_file",
        "keys.pseudonym_key_file",
        "keys.roots.a_file",
        "redis.key_file",
        "redis.password_file",
        "redis.sentinel_password_file",
        "redis.url_file",
        "reports.inbound_sms_webhook_secret_file",
        "reports.secret_file",
        "routes[0].access_key_secret_file",
        "routes[0].second_access_key_secret_file",
        "routes[0].secret_file",
        "routes[0].security_token_file",
    ]
    assert advice(None, environment(public), Settings()) == []


def test_check_config_and_doctor_warn_about_exposed_files(open_folder: Path, redis_server: Server) -> None:
    file = open_folder / "config.toml"
    text = config_text(redis_server.url, "http://127.0.0.1:1", free_port(), make_secrets())
    file.write_text(text, encoding="utf-8")
    file.chmod(0o644)

    checked = CliRunner().invoke(main, ["check-config", "--config", str(file)])
    looked = CliRunner().invoke(main, ["doctor", "--json", "--config", str(file)])
    file.chmod(0o600)
    quiet = CliRunner().invoke(main, ["check-config", "--config", str(file)])

    own = f"can be read by every user of this machine: chmod go= {file}"
    roots = f"can be read by every user of this machine: chgrp otp-service {file} && chmod 640 {file}"
    sentence = roots if os.geteuid() == 0 else own
    assert checked.exit_code == quiet.exit_code == 0
    assert checked.stderr == f"Warning: config.toml: {sentence}\n"
    assert quiet.stderr == ""
    findings = [finding for finding in json.loads(looked.output)["checks"] if finding["check"] == "settings"]
    assert {finding["status"]: finding["message"] for finding in findings} == {
        "warn": f"config.toml: {sentence}",
        "ok": "are fit for production",
    }


def test_server_warns_about_exposed_files_and_starts(open_folder: Path, redis_server: Server) -> None:
    with running_service(redis_server, open_folder) as service:
        (open_folder / "config.toml").chmod(0o600)
    lines = [json.loads(line) for line in service.log.read_text(encoding="utf-8").splitlines()]

    (warning,) = [line for line in lines if line["event"] == "configuration_warning"]
    assert (warning["level"], warning["setting"]) == ("warning", "config.toml")
    assert "chmod" in warning["what"]
