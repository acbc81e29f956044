"""`dev`: the service with a private Redis and an SMS sandbox, to try it out."""

from __future__ import annotations

import http.client
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import click

from otp_service.app import Application, build
from otp_service.cli.dev_server import DeferredApp, DevServer, bind_with_fallback
from otp_service.cli.dev_state import DevKeys, DevState, StateNotUsable
from otp_service.cli.shutdown import ShutdownEvent
from otp_service.domain.clients import key_digest
from otp_service.observability.clock import SystemClock
from otp_service.observability.logging import JsonEventLogger, install_logging_handler
from otp_service.sandbox import SandboxConfig, SandboxServer, start_sandbox
from otp_service.sandbox.config import DEFAULT_SIGN_NAME
from otp_service.sandbox.demo import RedeemFailed, Sms, Verified, start_page
from otp_service.settings import Settings, SettingsError, from_mapping
from otp_service.settings.settings import EMBEDDED
from otp_service.store.embedded import EmbeddedNotInstalled
from otp_service.web.api import request_id

ACCESS_KEY_ID = "sandbox"
SIGNUP = "signup"
PURPOSES = ("login", SIGNUP, "reset_password")
TEMPLATES = dict(zip(PURPOSES, ("SMS_100000001", "SMS_100000002", "SMS_100000003"), strict=True))
"""The template of the sandbox for each purpose."""
EXAMPLES = ("http://127.0.0.1:8000", "http://localhost:8000")
"""Origins of the applications in examples/."""


@dataclass(frozen=True)
class Running:
    """URLs and keys of the running service."""

    service_url: str
    sandbox_url: str
    inbox_url: str
    secret_key: str
    publishable_key: str


def run(port: int, sandbox_port: int, origins: Sequence[str], keep: Path | None, *, as_json: bool) -> None:
    """Start everything, print URLs and keys, and stop on a signal. Keys and data stay in *keep*, if given."""
    shutdown = ShutdownEvent()
    with ExitStack() as stack:
        try:
            running = _start(stack, port, sandbox_port, origins, keep)
        except EmbeddedNotInstalled as error:
            raise click.ClickException(str(error)) from None
        click.echo(json.dumps(vars(running)) if as_json else introduction(running, keep))
        sys.stdout.flush()
        shutdown.wait()


def _start(
    stack: ExitStack, port: int, sandbox_port: int, origins: Sequence[str], keep: Path | None
) -> Running:
    keys, redis_url = _state(stack, keep)
    account = {ACCESS_KEY_ID: keys.access_key_secret}
    sandbox = stack.enter_context(_sandbox(account, sandbox_port))
    deferred = DeferredApp()
    service = bind_with_fallback(lambda free: DevServer(deferred, free), port)
    running = Running(service.url, sandbox.url, sandbox.inbox_url, keys.secret_key, keys.publishable_key)
    client = {
        "secret_key_digests": [key_digest(keys.secret_key)],
        "proof_keys": [keys.proof_key],
        "publishable_key": keys.publishable_key,
        "origins": [*_local_names(service.url), *EXAMPLES, *origins],
        "return_urls": [f"{page}/verified" for page in (*EXAMPLES, *origins)],
    }
    try:
        settings = development_settings(client, sandbox.url, keys, redis_url)
    except SettingsError:  # only the origins come from the command line
        raise click.BadParameter("must be like http://localhost:3000", param_hint="--origin") from None
    clock = SystemClock()
    events = JsonEventLogger(
        sys.stderr.buffer, level=settings.log.level, clock=clock.now, request_id=request_id.current
    )
    install_logging_handler(events)
    built = build(settings, clock=clock, events=events)
    stack.callback(built.close)
    stack.enter_context(service)  # stops before the application closes
    _add_start_page(built, running, sandbox)
    deferred.app = built.app
    _check_readiness(service.url)
    return running


def _state(stack: ExitStack, keep: Path | None) -> tuple[DevKeys, str]:
    """Return the keys and the URL of Redis: those of the directory *keep*, or new ones."""
    if keep is None:
        return DevKeys(), EMBEDDED
    try:
        state = stack.enter_context(DevState(keep))
    except StateNotUsable as error:
        raise click.BadParameter(str(error), param_hint="--keep") from None
    return state.keys, state.redis_url


def _local_names(url: str) -> tuple[str, str]:
    """Return *url* with 127.0.0.1 and with localhost: a browser treats them as two origins."""
    return url, url.replace("127.0.0.1", "localhost")


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _add_start_page(built: Application, running: Running, sandbox: SandboxServer) -> None:
    """Add a demo shop, which calls the service over HTTP as any client does."""

    def inbox() -> list[Sms]:
        return [
            Sms(f"{sms.biz_id}-{sms.phone}", sms.phone, sms.text, sms.code, _rfc3339(sms.received_at))
            for sms in sandbox.inbox.newest_first()
        ]

    def redeem(proof: str) -> Verified | RedeemFailed:
        return _redeem(running, proof)

    start_page(
        built.app,
        publishable_key=running.publishable_key,
        inbox_url=running.inbox_url,
        inbox=inbox,
        redeem=redeem,
    )


def _redeem(running: Running, proof: str) -> Verified | RedeemFailed:
    headers = {"Authorization": f"Bearer {running.secret_key}", "Content-Type": "application/json"}
    connection = http.client.HTTPConnection(urlsplit(running.service_url).netloc, timeout=10)
    try:
        connection.request("POST", "/otp/redeem", json.dumps({"proof": proof, "purpose": SIGNUP}), headers)
        answer = json.load(connection.getresponse())
    finally:
        connection.close()
    if "code" in answer:
        return RedeemFailed(answer["code"])
    verified_at = datetime.fromisoformat(answer["verified_at"])
    return Verified(answer["phone"], answer["purpose"], _rfc3339(verified_at))


def _sandbox(account: dict[str, str], port: int) -> SandboxServer:
    config = SandboxConfig.default(account)
    return bind_with_fallback(lambda free: start_sandbox(config, port=free), port)


def development_settings(
    client: Mapping[str, object], sandbox_url: str, keys: DevKeys, redis_url: str
) -> Settings:
    """Return settings with *keys*, one client and one route to the sandbox. Only warnings are logged."""
    return from_mapping(
        {
            "log": {"level": "warning"},
            "redis": {"url": redis_url},
            "keys": {"active_kid": "dev", "pseudonym_key": keys.pseudonym_key, "roots": {"dev": keys.root}},
            "purposes": {purpose: {} for purpose in PURPOSES},
            "clients": {"web": client},
            "routes": [
                {
                    "name": "sandbox",
                    "provider": "sandbox",
                    "access_key_id": ACCESS_KEY_ID,
                    "access_key_secret": keys.access_key_secret,
                    "endpoint": sandbox_url,
                    "sign_name": DEFAULT_SIGN_NAME,
                    "templates": [
                        {"purpose": purpose, "template_code": code} for purpose, code in TEMPLATES.items()
                    ],
                }
            ],
        }
    )


def _check_readiness(url: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    try:
        connection.request("GET", "/readyz")
        if connection.getresponse().status != http.client.OK:
            raise click.ClickException("The service did not become ready.")
    finally:
        connection.close()


INTRODUCTION = """\
otp_service is running. Ctrl-C stops it{ending}.

  start here   {service_url}/   a signup page, and the phone that receives its SMS

  service   {service_url}   API reference at {service_url}/docs
  inbox     {inbox_url}   shows every SMS

Keys for your own code, the README and examples/. Paste this line into another terminal:

export OTP_URL={service_url} OTP_SECRET_KEY={secret_key} OTP_PUBLISHABLE_KEY={publishable_key}

Send a code to +8613800138000. It appears in the inbox; no real SMS is sent:

SENT=$({curl} {service_url}/otp/request -d '{{"phone": "+8613800138000", "purpose": "login"}}'); echo "$SENT"

Verify the code, which this line reads from the inbox. The response contains the proof:

{inbox_curl} | python3 -c '{build_body}' "$SENT" | {curl} {service_url}/otp/verify -d @-
"""

_CURL = "curl -sS -w '\\n' -H 'Authorization: Bearer {}' -H 'Content-Type: application/json'"
_INBOX_CURL = "curl -sS '{}.json?phone=%2B8613800138000'"
_BUILD_BODY = (
    "import json, sys; sms = json.load(sys.stdin)[0]; "
    'print(json.dumps({"phone": sms["phone"], "code": sms["code"], '
    '"verification_id": json.loads(sys.argv[1])["verification_id"]}))'
)


def introduction(running: Running, keep: Path | None = None) -> str:
    """Return the text for a new user: the URLs, and two commands to paste."""
    return INTRODUCTION.format(
        **vars(running),
        ending=f"; its keys and data stay in {keep}" if keep else " and deletes all its data",
        curl=_CURL.format(running.secret_key),
        inbox_curl=_INBOX_CURL.format(running.inbox_url),
        build_body=_BUILD_BODY,
    )
