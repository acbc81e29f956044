"""`sandbox`: the stand-in for Aliyun's SMS API alone. Touches a socket."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import datetime

import click

from otp_service.aliyun.timestamps import parse_timestamp
from otp_service.commands.stop import StopWish
from otp_service.sandbox import SandboxConfig, start_sandbox
from otp_service.sandbox.clock import Clock, utc_now


def run(host: str, port: int, access_keys: tuple[str, ...], clock: str | None) -> None:
    """Run it until somebody wants it to stop."""
    keys = _read_keys(access_keys) or {"sandbox": secrets.token_urlsafe(18)}
    ticking = utc_now if clock is None else _frozen(clock)
    wish = StopWish()
    with start_sandbox(SandboxConfig.default(keys), host=host, port=port, clock=ticking) as server:
        click.echo(f"sandbox   {server.url}")
        click.echo(f"inbox     {server.inbox_url}")
        if not access_keys:
            click.echo("".join(f"key       {name}:{secret}" for name, secret in keys.items()))
        wish.wait()


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
