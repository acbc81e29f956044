"""The command line `otp-service`. A command imports its module when it runs, so that `--help` is fast."""

from __future__ import annotations

import gc
from pathlib import Path

import click

from otp_service import __version__

_CONFIG = click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="OTP_SERVICE_CONFIG",
    show_envvar=True,
    help="TOML file with the settings. Without it, only environment variables are read.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="otp-service")
def main() -> None:
    """Verify phone numbers with one-time codes sent by SMS."""


@main.command()
@click.option(
    "--port", default=8080, show_default=True, help="Port of the service. If taken, any free port is used."
)
@click.option(
    "--sandbox-port",
    default=8081,
    show_default=True,
    help="Port of the sandbox. If taken, any free port is used.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON when everything is ready.")
@click.option(
    "--origin",
    "origins",
    multiple=True,
    metavar="ORIGIN",
    help="Origin of a page that uses the widget, like http://localhost:3000. Repeatable.",
)
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Keep keys and data in this directory, and continue with them at the next start.",
)
def dev(port: int, sandbox_port: int, origins: tuple[str, ...], keep: Path | None, *, as_json: bool) -> None:
    """Try the service on this machine, without an account.

    Starts the service, a private Redis and an SMS sandbox. All data is deleted when it stops, unless --keep
    names a directory for it. The inbox is always deleted.
    """
    from otp_service.cli.dev import run

    run(port, sandbox_port, origins, keep, as_json=as_json)


@main.command()
@click.option("--directory", metavar="DIR", help="Directory to write to. Default: /etc/otp-service for root.")
@click.option("--run", "run_mode", metavar="MODE", help="systemd, compose or none: what to write beside it.")
@click.option("--redis-url", metavar="URL", help="URL of Redis. With a password, use --redis-url-file.")
@click.option("--redis-url-file", metavar="FILE", help="File that contains the URL of Redis.")
@click.option("--sms", metavar="PROVIDER", help="aliyun, or sandbox: a stand-in that sends no SMS.")
@click.option("--access-key-id", metavar="ID", help="AccessKey id of the Aliyun account.")
@click.option("--access-key-secret-file", metavar="FILE", help="File that contains its secret.")
@click.option("--sign-name", metavar="NAME", help="Approved sign name.")
@click.option(
    "--template-code", metavar="CODE", help="Approved template for all purposes, like SMS_154950909."
)
@click.option("--client", metavar="ID", help="Id of the first application that calls the service.")
@click.option(
    "--purpose", "purposes", multiple=True, metavar="NAME", help="What it verifies phones for. Repeatable."
)
@click.option(
    "--public-url", metavar="URL", help="URL at which browsers reach the service; empty if none do."
)
@click.option("--proxy-hops", metavar="NUMBER", help="Trusted proxies in front of it.")
@click.option("--yes", is_flag=True, help="Ask nothing: take the default of each option that is missing.")
def init(*, yes: bool, run_mode: str | None, purposes: tuple[str, ...], **texts: str | None) -> None:
    """Write a configuration with new secrets.

    Asks six questions, except those that an option answers. Overwrites no file, and shows the secret key of
    the first client once.
    """
    from otp_service.cli.init.command import run

    given = {f"--{name.replace('_', '-')}": text for name, text in texts.items()}
    run({**given, "--run": run_mode, "--purpose": " ".join(purposes) if purposes else None}, yes=yes)


@main.command()
@_CONFIG
def serve(config: Path | None) -> None:
    """Run the service in production."""
    # gevent must patch the standard library before any other module imports it.
    from gevent import monkey

    monkey.patch_all()
    # Imported modules are never freed. Without garbage collection while they load, the start is a tenth
    # faster; frozen objects are not scanned again, neither here nor in the workers.
    gc.disable()
    from otp_service.cli.serve import run

    gc.freeze()
    gc.enable()
    run(config)


@main.command("consume-reports")
@_CONFIG
@click.option(
    "--once",
    is_flag=True,
    help="Process what is in the queues, then exit. Exit code 1 means that messages are left.",
)
def consume_reports(config: Path | None, *, once: bool) -> None:
    """Read delivery reports and inbound SMS from queues.

    The queues are those of Aliyun's message service (MNS) that the setting reports.queue names.
    """
    from otp_service.cli.consume_reports import run

    run(config, once=once)


@main.command("check-config")
@_CONFIG
@click.option("--offline", is_flag=True, help="Do not connect to Redis or resolve host names.")
def check_config(config: Path | None, *, offline: bool) -> None:
    """List everything that would keep `serve` from starting."""
    from otp_service.cli.check_config import run

    run(config, offline=offline)


@main.command()
@_CONFIG
@click.option("--route", default="", metavar="NAME", help="Check only this route.")
@click.option(
    "--url",
    default="",
    metavar="URL",
    help="Public URL of the running service: also check which client IP addresses it sees.",
)
@click.option("--json", "as_machine", is_flag=True, help="Print one JSON object.")
def doctor(config: Path | None, route: str, url: str, *, as_machine: bool) -> None:
    """Find out why codes do not arrive, and how to fix it.

    Checks the settings, Redis, the network and the SMS accounts. Sends no SMS and changes nothing.

    Exit code: 0 (ok), 1 (warn) or 2 (fail), the worst of all checks.
    """
    from otp_service.cli.doctor.command import run

    run(config, route=route, url=url, as_machine=as_machine)


@main.command("send-test")
@_CONFIG
@click.option(
    "--route", default="", metavar="NAME", help="Route to use. Default: the first with a matching template."
)
@click.option(
    "--purpose", default="", metavar="NAME", help="Purpose of the code. Default: the first in the settings."
)
@click.option("--locale", default="", metavar="TAG", help="Language of the template, such as zh-CN.")
@click.option("--wait", is_flag=True, help="Wait for the carrier's delivery report.")
@click.option(
    "--wait-seconds", default=120, show_default=True, metavar="SECONDS", help="Maximum wait for the report."
)
def send_test(
    config: Path | None, route: str, purpose: str, locale: str, wait_seconds: int, *, wait: bool
) -> None:
    """Send one real SMS, which is billed.

    Asks for the phone number. The code appears on the phone only.

    Exit code: 0 (accepted, or delivered with --wait), 1 (unknown) or 2 (refused or not delivered).
    """
    from otp_service.cli.send_test import run

    seconds = wait_seconds if wait else 0
    run(config, route=route, purpose=purpose, locale=locale, wait_seconds=seconds)


@main.command()
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="TOML file with the sandbox's account. Options override it.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8081, show_default=True, help="Port to listen on. 0: any free port.")
@click.option(
    "--access-key",
    multiple=True,
    metavar="ID:SECRET",
    help="Access key that may send. Repeatable. Default: a new key, which is printed.",
)
@click.option("--clock", metavar="TIME", help="Stop the clock at this time, like 2026-11-23T08:07:41Z.")
@click.option(
    "--delivery-seconds",
    type=float,
    metavar="SECONDS",
    help="Delay before an SMS and its report arrive. Default: 0.",
)
@click.option("--report-url", metavar="URL", help="Where delivery reports are posted.")
@click.option("--reply-url", metavar="URL", help="Where inbound SMS are posted.")
@click.option(
    "--report-time-factor",
    type=float,
    metavar="FACTOR",
    help="Factor for the delays before a failed report is posted again, such as 0.01.",
)
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
    """Run only the SMS sandbox.

    It stands in for Aliyun's SMS API, sends no SMS and shows every message in its inbox.
    """
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
@click.option("--address", metavar="IP", help="Show this client IP address instead of a phone.")
@click.option("--client", metavar="ID", help="Apply the limits that this client has for phones.")
@click.option("--clear", is_flag=True, help="Clear the counters after showing them.")
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
    """Show or clear the counters of a phone or an IP address.

    Asks for the phone number unless --address is given.
    """
    from otp_service.cli.limits import LimitsOptions, run

    options = LimitsOptions(clear=clear, yes=yes, as_json=as_json)
    run(config, address=address, client=client, options=options)


@main.command()
@_CONFIG
@click.option("--clear", is_flag=True, help="Reset today's count of wrong codes after showing it.")
@click.option("--yes", is_flag=True, help="Do not ask before clearing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def alarm(config: Path | None, *, clear: bool, yes: bool, as_json: bool) -> None:
    """Show or clear the service-wide alarm for wrong codes."""
    from otp_service.cli.alarm import run
    from otp_service.cli.limits import LimitsOptions

    run(config, LimitsOptions(clear=clear, yes=yes, as_json=as_json))


@main.command()
@_CONFIG
@click.option(
    "--verification", "by_id", is_flag=True, help="Also ask for a verification id, and show only it."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def history(config: Path | None, *, by_id: bool, as_json: bool) -> None:
    """Show the SMS to a phone in the last 24 hours.

    Asks for the phone number.
    """
    from otp_service.cli.history import run

    run(config, by_id=by_id, as_json=as_json)


@main.command()
@_CONFIG
def unlock(config: Path | None) -> None:
    """Unlock a phone after too many wrong codes.

    Asks for the phone number.
    """
    from otp_service.cli.unlock import run

    run(config)


@main.command("erase-phone")
@_CONFIG
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def erase_phone(config: Path | None, *, yes: bool) -> None:
    """Erase all data about a phone.

    Asks for the phone number. Prints which copies it cannot erase, such as log lines and backups.
    """
    from otp_service.cli.erase_phone import run

    run(config, yes=yes)


@main.group()
def secrets() -> None:
    """Generate the secrets of the service."""


@secrets.command("new")
def secrets_new() -> None:
    """Print a [keys] table with new secrets."""
    from otp_service.cli.secrets import keys_table

    click.echo(keys_table())


@main.group()
def keys() -> None:
    """Generate the keys of clients."""


@keys.command("new")
@click.argument("client")
def keys_new(client: str) -> None:
    """Print a [clients.CLIENT] table with new keys.

    The table holds only a digest of the secret key. The key itself goes to standard error, once.
    """
    from otp_service.cli.secrets import client_table, secret_key

    key = secret_key()
    click.echo(client_table(client, key))
    click.echo(f"The secret key of {client}, shown only once:", err=True)
    click.echo(key, err=True)


@main.command("redis-acl")
@click.option("--username", default="otp_service", show_default=True, help="Name of the Redis user.")
@click.option(
    "--password-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="File that contains the password, whose SHA-256 is printed. Default: a placeholder.",
)
@click.option("--sentinel", is_flag=True, help="Print the command for Sentinels, which have their own users.")
def redis_acl(username: str, password_file: Path | None, *, sentinel: bool) -> None:
    """Print an ACL SETUSER command with the least privileges.

    The Redis user that it creates may do what the service needs, and nothing else.
    """
    from otp_service.cli.redis_acl import acl_command

    click.echo(acl_command(username, password_file, sentinel=sentinel))


@main.command("config-example")
def config_example() -> None:
    """Print config.example.toml, which shows every setting.

    Each setting has its default and a comment. `init` writes a configuration for production.
    """
    from importlib.resources import files

    click.echo(files("otp_service.settings").joinpath("config.example.toml").read_bytes(), nl=False)


@main.command()
def openapi() -> None:
    """Print the OpenAPI document of the service."""
    from otp_service.web.api.openapi import text

    click.echo(text())
