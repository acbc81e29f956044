"""`sandbox`: runs only the SMS sandbox, which stands in for Aliyun's API."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import click

from otp_service.cli.shutdown import ShutdownEvent
from otp_service.sandbox import SandboxConfig, SandboxServer, StsKey, start_sandbox
from otp_service.sandbox.config import Clock, Review, utc_now
from otp_service.settings import SettingsError
from otp_service.settings.sandbox_account import (
    ReviewConfig,
    SandboxAccountConfig,
    StsKeyConfig,
    load_account,
)
from otp_service.sms.aliyun.protocol.mns import MessageType
from otp_service.sms.aliyun.protocol.timestamps import parse_timestamp

_COPIED = (
    "strict",
    "inbox_size",
    "delivery_seconds",
    "report_time_factor",
    "queue_prefix",
    "invisible_seconds",
    "queue_key_seconds",
)
"""Settings that have the same name and value in the sandbox's configuration."""


def run(
    host: str,
    port: int,
    access_keys: tuple[str, ...],
    clock: str | None,
    config: Path | None,
    **given: object,
) -> None:
    """Run the sandbox until a signal stops it. Settings in *given* override those of the file."""
    account = _account(config, given)
    keys = {name: secret.get_secret_value() for name, secret in account.access_keys.items()}
    keys |= _read_keys(access_keys)
    made = {} if keys else {"sandbox": secrets.token_urlsafe(18)}
    ticking = utc_now if clock is None else _frozen(clock)
    sandbox = _config(account, keys or made)
    shutdown = ShutdownEvent()
    with _started(sandbox, host, port, ticking) as server:
        click.echo(f"sandbox   {server.url}")
        click.echo(f"inbox     {server.inbox_url}")
        for name, secret in made.items():
            click.echo(f"key       {name}:{secret}")
        click.echo(f"signs     {_approved(sandbox, sandbox.sign_names)}")
        click.echo(f"templates {_approved(sandbox, sandbox.templates)}")
        sys.stdout.flush()
        shutdown.wait()


def _started(config: SandboxConfig, host: str, port: int, clock: Clock) -> SandboxServer:
    try:
        return start_sandbox(config, host=host, port=port, clock=clock)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else "no such address"
        click.echo(f"cannot listen on {host}, port {port}: {why}", err=True)
        sys.exit(2)


def _approved(config: SandboxConfig, names: Iterable[str]) -> str:
    """Return the *names* of sign names or templates that are approved, as one line."""
    return ", ".join(sorted(set(names) - set(config.reviews)))


def _account(config: Path | None, given: dict[str, object]) -> SandboxAccountConfig:
    try:
        return load_account(config, **given)
    except SettingsError as error:
        click.echo("The configuration of the sandbox is not valid:", err=True)
        for issue in error.issues:
            click.echo(f"  {issue}", err=True)
        sys.exit(2)


def _config(account: SandboxAccountConfig, keys: dict[str, str]) -> SandboxConfig:
    """Return the default configuration with the changes of *account*."""
    config = SandboxConfig.default(keys)
    changes: dict[str, object] = {
        name: getattr(account, name) for name in _COPIED if getattr(account, name) is not None
    }
    changes["sts_keys"] = {name: _sts_key(table) for name, table in account.sts_keys.items()}
    if account.sign_names is not None:
        changes["sign_names"] = frozenset(account.sign_names)
    if account.templates is not None:
        changes["templates"] = account.templates
    if account.international_templates is not None:
        changes["international_templates"] = frozenset(account.international_templates)
    if account.reviews is not None:
        changes["reviews"] = {name: _review(table) for name, table in account.reviews.items()}
    urls = {MessageType.SMS_REPORT: account.report_url, MessageType.SMS_UP: account.reply_url}
    changes["report_urls"] = {kind: url for kind, url in urls.items() if url}
    return replace(config, **changes)  # type: ignore[arg-type]


def _sts_key(table: StsKeyConfig) -> StsKey:
    return StsKey(table.secret.get_secret_value(), table.security_token.get_secret_value(), table.expires_at)


def _review(table: ReviewConfig) -> Review:
    return Review.rejected(table.reason) if table.state == "rejected" else Review.in_review()


def _read_keys(texts: Iterable[str]) -> dict[str, str]:
    pairs = [text.partition(":") for text in texts]
    if not all(name and secret for name, _, secret in pairs):
        raise click.BadParameter("must be ID:SECRET", param_hint="--access-key")
    return {name: secret for name, _, secret in pairs}


def _frozen(text: str) -> Clock:
    try:
        moment = parse_timestamp(text)
    except ValueError:
        raise click.BadParameter("must be like 2026-11-23T08:07:41Z", param_hint="--clock") from None

    def now() -> datetime:
        return moment

    return now
