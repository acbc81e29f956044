"""The command line: `otp-service`. Touches what the command touches, and imports no more than that."""

from __future__ import annotations

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
def dev(port: int, sandbox_port: int, *, as_json: bool) -> None:
    """Try the service: with a store and an SMS sandbox of its own, gone when it stops."""
    from otp_service.commands.dev import run

    run(port, sandbox_port, as_json=as_json)


@main.command()
@_CONFIG
def serve(config: Path | None) -> None:
    """Run the service in production."""
    from otp_service.commands.serve import run

    run(config)


@main.command()
@_CONFIG
@click.option("--once", is_flag=True, help="Collect what is there, then exit: with 1 if something is left.")
def reports(config: Path | None, *, once: bool) -> None:
    """Collect what became of SMS, and replies, from Aliyun's queues."""
    from otp_service.commands.reports import run

    run(config, once=once)


@main.command("check-config")
@_CONFIG
@click.option("--offline", is_flag=True, help="Do not ask Redis.")
def check_config(config: Path | None, *, offline: bool) -> None:
    """Tell everything for which `serve` would refuse to start."""
    from otp_service.commands.check_config import run

    run(config, offline=offline)


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8081, show_default=True, help="0 for any free one.")
@click.option("--access-key", multiple=True, metavar="ID:SECRET", help="Who may send; by default a new key.")
@click.option("--clock", metavar="TIME", help="Freeze the clock at a time like 2026-11-23T08:07:41Z.")
def sandbox(host: str, port: int, access_key: tuple[str, ...], clock: str | None) -> None:
    """Run the stand-in for Aliyun's SMS API alone, with its inbox."""
    from otp_service.commands.sandbox import run

    run(host, port, access_key, clock)


@main.group()
def secrets() -> None:
    """Make the secrets of the service."""


@secrets.command("new")
def secrets_new() -> None:
    """Print a [keys] table with fresh secrets."""
    from otp_service.commands.fresh import keys_table

    click.echo(keys_table())


@main.group()
def keys() -> None:
    """Make the keys of clients."""


@keys.command("new")
@click.argument("client")
def keys_new(client: str) -> None:
    """Print a [clients.CLIENT] table; its secret key goes to standard error, once."""
    from otp_service.commands.fresh import client_table, secret_key

    key = secret_key()
    click.echo(client_table(client, key))
    click.echo(f"The secret key of {client}, shown only here:", err=True)
    click.echo(key, err=True)


@main.command()
def openapi() -> None:
    """Print the OpenAPI document of the service."""
    from otp_service.web.openapi import text

    click.echo(text())
