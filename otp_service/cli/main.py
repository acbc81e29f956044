"""The command line: `otp-service`. Touches what the command touches, and imports no more than that."""

from __future__ import annotations

import gc
from pathlib import Path

import click

from otp_service import __version__

_CONFIG = click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="OTP_SERVICE_CONFIG",
    help="The TOML file with the settings; without it, the environment alone.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="otp-service")
def main() -> None:
    """Prove that somebody holds a phone number, by one SMS code."""


@main.command()
@click.option("--port", default=8080, show_default=True, help="Of the service; if taken, another one.")
@click.option(
    "--sandbox-port", default=8081, show_default=True, help="Of the sandbox; if taken, another one."
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON once everything answers.")
@click.option("--origin", "origins", multiple=True, help="Where a page of yours stands that uses the widget.")
def dev(port: int, sandbox_port: int, origins: tuple[str, ...], *, as_json: bool) -> None:
    """Try the service: with a store and an SMS sandbox of its own, gone when it stops."""
    from otp_service.cli.dev import run

    run(port, sandbox_port, origins, as_json=as_json)


@main.command()
@_CONFIG
def serve(config: Path | None) -> None:
    """Run the service in production."""
    # Before anything else is imported: who has the old functions keeps them.
    from gevent import monkey

    monkey.patch_all()
    # What is imported stays: to look for garbage in it takes a tenth of the start, here and in every worker.
    gc.disable()
    from otp_service.cli.serve import run

    gc.freeze()
    gc.enable()
    run(config)


@main.command("consume-reports")
@_CONFIG
@click.option("--once", is_flag=True, help="Collect what is there, then exit: with 1 if something is left.")
def consume_reports(config: Path | None, *, once: bool) -> None:
    """Collect what became of SMS, and replies, from Aliyun's queues."""
    from otp_service.cli.consume_reports import run

    run(config, once=once)


@main.command("check-config")
@_CONFIG
@click.option("--offline", is_flag=True, help="Do not ask Redis.")
def check_config(config: Path | None, *, offline: bool) -> None:
    """Tell everything for which `serve` would refuse to start."""
    from otp_service.cli.check_config import run

    run(config, offline=offline)


@main.command()
@_CONFIG
@click.option("--route", default="", help="Look at this route only.")
@click.option("--url", default="", help="Also check how visitors' addresses arrive through this public URL.")
@click.option("--json", "as_machine", is_flag=True, help="Print one JSON object.")
def doctor(config: Path | None, route: str, url: str, *, as_machine: bool) -> None:
    """Check why codes do not arrive, and say how to fix it. Exit code: 0 (ok), 1 (warn) or 2 (fail)."""
    from otp_service.cli.doctor.command import run

    run(config, route=route, url=url, as_machine=as_machine)


@main.command("send-test")
@_CONFIG
@click.option("--route", default="", help="Of this name; by default the first that has a template.")
@click.option("--purpose", default="", help="By default the first configured.")
@click.option("--locale", default="")
@click.option("--wait", is_flag=True, help="Wait for the carrier's report.")
@click.option("--wait-seconds", default=120, show_default=True, help="How long.")
def send_test(
    config: Path | None, route: str, purpose: str, locale: str, wait_seconds: int, *, wait: bool
) -> None:
    """Send one real SMS, which costs money, to a phone that is asked for. Exits with 0, 1 or 2."""
    from otp_service.cli.send_test import run

    seconds = wait_seconds if wait else 0
    run(config, route=route, purpose=purpose, locale=locale, wait_seconds=seconds)


@main.command()
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A TOML file with the sandbox's account.",
)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8081, show_default=True, help="0 for any free one.")
@click.option("--access-key", multiple=True, metavar="ID:SECRET", help="Who may send; by default a new key.")
@click.option("--clock", metavar="TIME", help="Freeze the clock at a time like 2026-11-23T08:07:41Z.")
@click.option("--delivery-seconds", type=float, help="How long an SMS takes, and its report; default: 0.")
@click.option("--report-url", metavar="URL", help="Where reports are posted.")
@click.option("--reply-url", metavar="URL", help="Where replies are posted.")
@click.option("--report-time-factor", type=float, help="Shortens the waits before a report is posted again.")
def sandbox(  # noqa: PLR0917 - one argument for each option
    config: Path | None,
    host: str,
    port: int,
    access_key: tuple[str, ...],
    clock: str | None,
    delivery_seconds: float | None,
    report_url: str | None,
    reply_url: str | None,
    report_time_factor: float | None,
) -> None:
    """Run the stand-in for Aliyun's SMS API alone, with its inbox."""
    from otp_service.cli.sandbox import run

    run(
        host,
        port,
        access_key,
        clock,
        config,
        delivery_seconds=delivery_seconds,
        report_url=report_url,
        reply_url=reply_url,
        report_time_factor=report_time_factor,
    )


@main.command()
@_CONFIG
@click.option("--address", metavar="IP", help="Of an address; without it, of the phone that is asked for.")
@click.option("--client", metavar="ID", help="As the limits of this client see it.")
@click.option("--clear", is_flag=True, help="Clear them after showing them.")
@click.option("--yes", is_flag=True, help="Do not ask before clearing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def limits(  # noqa: PLR0917 - one argument for each option
    config: Path | None,
    address: str | None,
    client: str | None,
    clear: bool,  # noqa: FBT001
    yes: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> None:
    """Show what is counted of a phone or an address, and clear it on demand. The phone is asked for."""
    from otp_service.cli.limits import Wish, run

    run(config, address=address, client=client, wish=Wish(clear=clear, yes=yes, as_json=as_json))


@main.command()
@_CONFIG
@click.option("--clear", is_flag=True, help="Forget the wrong codes of the day after showing them.")
@click.option("--yes", is_flag=True, help="Do not ask before clearing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def alarm(config: Path | None, *, clear: bool, yes: bool, as_json: bool) -> None:
    """Show the alarm for wrong codes of the whole service, and clear it on demand."""
    from otp_service.cli.alarm import run
    from otp_service.cli.limits import Wish

    run(config, Wish(clear=clear, yes=yes, as_json=as_json))


@main.command()
@_CONFIG
@click.option(
    "--verification", "by_id", is_flag=True, help="Ask for a verification id, too, and show only it."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def history(config: Path | None, *, by_id: bool, as_json: bool) -> None:
    """Show what became of the SMS to a phone in the last 24 hours. The phone is asked for."""
    from otp_service.cli.history import run

    run(config, by_id=by_id, as_json=as_json)


@main.command()
@_CONFIG
def unlock(config: Path | None) -> None:
    """Forget the wrong codes of a phone, which is asked for, so that it can be verified again."""
    from otp_service.cli.unlock import run

    run(config)


@main.command("erase-phone")
@_CONFIG
@click.option("--yes", is_flag=True, help="Do not ask first.")
def erase_phone(config: Path | None, *, yes: bool) -> None:
    """Erase everything that is kept of a phone, which is asked for."""
    from otp_service.cli.erase_phone import run

    run(config, yes=yes)


@main.group()
def secrets() -> None:
    """Make the secrets of the service."""


@secrets.command("new")
def secrets_new() -> None:
    """Print a [keys] table with fresh secrets."""
    from otp_service.cli.secrets import keys_table

    click.echo(keys_table())


@main.group()
def keys() -> None:
    """Make the keys of clients."""


@keys.command("new")
@click.argument("client")
def keys_new(client: str) -> None:
    """Print a [clients.CLIENT] table; its secret key goes to standard error, once."""
    from otp_service.cli.secrets import client_table, secret_key

    key = secret_key()
    click.echo(client_table(client, key))
    click.echo(f"The secret key of {client}, shown only here:", err=True)
    click.echo(key, err=True)


@main.command("redis-acl")
@click.option("--username", default="otp_service", show_default=True)
@click.option(
    "--password-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Print the SHA-256 of the password in this file; without it, a placeholder.",
)
@click.option("--sentinel", is_flag=True, help="For Sentinels, which have users of their own.")
def redis_acl(username: str, password_file: Path | None, *, sentinel: bool) -> None:
    """Print what makes a Redis user that may do what the service needs, and no more."""
    from otp_service.cli.redis_acl import line

    click.echo(line(username, password_file, sentinel=sentinel))


@main.command()
def openapi() -> None:
    """Print the OpenAPI document of the service."""
    from otp_service.web.api.openapi import text

    click.echo(text())
