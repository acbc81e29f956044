"""The files that `init` writes, as texts."""

from __future__ import annotations

import json
import os
import pwd
import shlex
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

from otp_service import __version__
from otp_service.cli.init.answers import CONFIG, SECRETS, Account, Answers, RunMode
from otp_service.cli.secrets import client_table, key_id, secret, secret_key
from otp_service.sandbox.config import DEFAULT_SIGN_NAME
from otp_service.store.url import parse

SANDBOX, UNIT, COMPOSE = "sandbox.toml", "otp-service.service", "compose.yaml"
SERVICE_USER = "otp-service"
"""The user of the unit if root writes it."""

PORT, SANDBOX_PORT = 8080, 8081
SMS_PER_DAY = 1000

_SANDBOX_KEY_ID = "sandbox"
_SANDBOX_TEMPLATE = "SMS_100000000"
_PRIVATE_FOLDERS = ("/home", "/root", "/run/user")
"""What `ProtectHome=yes` hides from a service."""


@dataclass(frozen=True)
class Secrets:
    """The secrets of a new configuration."""

    key_id: str = field(default_factory=key_id)
    root: str = field(default_factory=secret, repr=False)
    pseudonym_key: str = field(default_factory=secret, repr=False)
    proof_key: str = field(default_factory=secret, repr=False)
    secret_key: str = field(default_factory=secret_key, repr=False)
    sandbox_secret: str = field(default_factory=secret, repr=False)


def contents(answers: Answers, made: Secrets, directory: Path) -> dict[str, str]:
    """Return the text of each file by its path below *directory*, which the texts name."""
    files = {
        CONFIG: _config(answers, made, directory / SECRETS),
        f"{SECRETS}/root_{made.key_id}": made.root,
        f"{SECRETS}/pseudonym_key": made.pseudonym_key,
        f"{SECRETS}/proof_keys_{answers.client}": made.proof_key,
    }
    if answers.account:
        files[f"{SECRETS}/access_key_secret"] = answers.account.access_key_secret
    else:
        files[f"{SECRETS}/access_key_secret"] = made.sandbox_secret
        files[SANDBOX] = _sandbox(made)
    if _has_password(answers.redis_url):
        files[f"{SECRETS}/redis_url"] = answers.redis_url
    if answers.run is RunMode.SYSTEMD:
        files[UNIT] = _unit(directory)
    if answers.run is RunMode.COMPOSE:
        files[COMPOSE] = _compose(answers, directory)
    return {name: text if text.endswith("\n") else f"{text}\n" for name, text in files.items()}


def program() -> str:
    """Return the command that runs this program, quoted for a shell."""
    beside = Path(sys.executable).parent / "otp-service"
    found = str(beside) if beside.is_file() else shutil.which("otp-service")
    return shlex.quote(found) if found else f"{shlex.quote(sys.executable)} -m otp_service"


def _has_password(url: str) -> bool:
    return bool(parse(url).password)


def _text(value: object) -> str:
    """Return *value* in TOML and YAML, both of which take JSON's strings."""
    return json.dumps(str(value), ensure_ascii=False)


def _config(answers: Answers, made: Secrets, secrets: Path) -> str:
    if _has_password(answers.redis_url):
        redis = f"url_file = {_text(secrets / 'redis_url')}"
    else:
        redis = f"url = {_text(answers.redis_url)}"
    host = "0.0.0.0" if answers.run is RunMode.COMPOSE else "127.0.0.1"  # noqa: S104 - in a container
    proof_keys = f"proof_keys_file = {_text(secrets / f'proof_keys_{answers.client}')}"
    purposes = "".join(f"[purposes.{name}]\n" for name in answers.purposes)
    return f"""\
# Settings of otp_service, written by `otp-service init`. docs/settings.md describes every setting.
# The secrets are in files, named by absolute paths: change the paths when you move the directory.

[service]
# SMS per calendar day (UTC+8) for the whole service.
sms_per_day = {SMS_PER_DAY}
public_url = {_text(answers.public_url)}
# Number of trusted proxies that append to X-Forwarded-For.
proxy_hops = {answers.proxy_hops}

[server]
host = "{host}"
port = {PORT}

[redis]
{redis}

[keys]
active_kid = "{made.key_id}"
pseudonym_key_file = {_text(secrets / "pseudonym_key")}

[keys.roots]
{made.key_id}_file = {_text(secrets / f"root_{made.key_id}")}

{purposes}
{client_table(answers.client, made.secret_key, proof_keys)}
{_route(answers.account, secrets)}"""


def _route(account: Account | None, secrets: Path) -> str:
    note, endpoint = "", ""
    if account is None:
        note = """\
# The sandbox takes the place of Aliyun: no phone receives an SMS, and its inbox shows every code.
# For real SMS, remove `endpoint` and set the AccessKey, sign name and template of your account.
# docs/aliyun-setup.md shows how to get them.
"""
        endpoint = f'endpoint = "http://127.0.0.1:{SANDBOX_PORT}"\n'
        account = Account(_SANDBOX_KEY_ID, "", DEFAULT_SIGN_NAME, _SANDBOX_TEMPLATE)
    return f"""\
{note}[[routes]]
name = "main"
provider = "aliyun-sms"
{endpoint}access_key_id = {_text(account.access_key_id)}
access_key_secret_file = {_text(secrets / "access_key_secret")}
sign_name = {_text(account.sign_name)}

[[routes.templates]]
template_code = {_text(account.template_code)}
"""


def _sandbox(made: Secrets) -> str:
    return f"""\
# The account of the sandbox, for `otp-service sandbox`. docs/sandbox.md describes every setting.

[access_keys]
{_SANDBOX_KEY_ID} = "{made.sandbox_secret}"
"""


def _unit(directory: Path) -> str:
    """Return the unit of deploy/systemd for this program, *directory* and user."""
    text = (Path(__file__).parent / UNIT).read_text("utf-8")
    command = program()
    text = text.replace("/opt/otp-service/bin/otp-service", command.replace("%", "%%").replace("$", "$$"))
    text = text.replace("/etc/otp-service/", f"{directory}/")
    text = text.replace(f"User={SERVICE_USER}", f"User={unit_user()}")
    if any(path.startswith(_PRIVATE_FOLDERS) for path in (shlex.split(command)[0], str(directory))):
        text = text.replace("ProtectHome=yes", "ProtectHome=read-only")
    return text


def unit_user() -> str:
    """Return the user of the service: the owner of the files, or a user of its own if that is root."""
    if os.geteuid() == 0:
        return SERVICE_USER
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _compose(answers: Answers, directory: Path) -> str:
    ports, sandbox, redis, needs = "", "", "", ""
    if answers.account is None:
        ports = f'\n      - "127.0.0.1:{SANDBOX_PORT}:{SANDBOX_PORT}"  # the inbox of the sandbox'
        sandbox = f"""
  # It shares the network of the service, which sends to it on 127.0.0.1.
  sandbox:
    <<: *program
    command: [sandbox, --config, {directory / SANDBOX}, --host, 0.0.0.0, --port, "{SANDBOX_PORT}"]
    network_mode: service:otp-service
"""
    if parse(answers.redis_url).hosts[:1] == (("redis", 6379),):
        needs = "\n    depends_on: [redis]"
        redis = """
  redis:
    image: valkey/valkey:8
    command: [valkey-server, --appendonly, "yes", --maxmemory, 256mb, --maxmemory-policy, noeviction]
    restart: unless-stopped
    volumes:
      - redis:/data

volumes:
  redis:
"""
    return f"""\
# Written by `otp-service init`. The image is built from a checkout: see deploy/Dockerfile.

x-program: &program
  image: otp-service:{__version__}
  entrypoint: [otp-service]
  user: "{os.geteuid()}:{os.getegid()}"  # the owner of the configuration
  restart: unless-stopped
  read_only: true
  tmpfs: [/tmp]
  cap_drop: [ALL]
  security_opt: ["no-new-privileges:true"]
  volumes:
    - {directory}:{directory}:ro

services:
  otp-service:
    <<: *program
    command: [serve, --config, {directory / CONFIG}]
    stop_grace_period: 15s{needs}
    ports:
      - "127.0.0.1:{PORT}:{PORT}"{ports}
{sandbox}{redis}"""
