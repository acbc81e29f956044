"""`init`: the questions, the files, and the next commands."""

from __future__ import annotations

import os
import pwd
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import click

from otp_service import __version__
from otp_service.cli.check_config import print_issues, validate
from otp_service.cli.init import files
from otp_service.cli.init.answers import CONFIG, Answers, Interview, RunMode, collect
from otp_service.settings.sandbox_account import load_account
from otp_service.settings.secret_settings import UnreadableFile, read_text

Render = Callable[[Path], dict[str, str]]
"""Returns the text of each file by its path, for the directory that the texts name."""


def run(given: Mapping[str, str | None], *, yes: bool) -> None:
    """Write the configuration that the flags *given* and the answers describe.

    With *yes* no question is asked, and the defaults are accepted.
    """
    may_ask = not yes and is_terminal()
    if may_ask:
        click.echo("Six questions. Enter accepts the answer in brackets.\n")
    answers = collect(Interview(_with_files(given), may_ask=may_ask, accept_defaults=yes))
    made = files.Secrets()

    def render(directory: Path) -> dict[str, str]:
        return files.contents(answers, made, directory)

    write(answers.directory, render, lambda directory: _check(answers, directory))
    click.echo(_summary(answers, made))


def is_terminal() -> bool:
    """Return whether questions can be asked."""
    return sys.stdin.isatty()


_FILES = {"--redis-url-file": "--redis-url", "--access-key-secret-file": "--access-key-secret-file"}
"""Flags that name files, and the flags of the answers in them."""


def _with_files(given: Mapping[str, str | None]) -> dict[str, str | None]:
    read = {flag: text for flag, text in given.items() if flag not in _FILES}
    for flag, answer in _FILES.items():
        name = given.get(flag)
        if name is None:
            continue
        if read.get(answer) is not None:
            raise click.BadParameter(f"cannot be combined with {answer}", param_hint=flag)
        try:
            read[answer] = read_text(Path(name)).strip()
        except UnreadableFile as error:
            raise click.BadParameter(f"names a file that {error.reason}", param_hint=flag) from None
    return read


def write(directory: Path, render: Render, check: Callable[[Path], None]) -> None:
    """Write the files of *render* into *directory*, all of them or none, without overwriting any.

    *check* is called with a temporary directory that has all files, and raises if they are not fit.

    Raises:
        click.ClickException: a file exists, or cannot be written.
    """
    is_new = not directory.exists()
    try:
        _refuse_existing(directory, render(directory))
        # In the same file system, so that the files can be moved.
        temporary = Path(
            tempfile.mkdtemp(prefix=".otp-service-init-", dir=directory.parent if is_new else directory)
        )
    except OSError as error:
        raise _cannot_write(directory, error) from None
    try:
        _write_files(temporary, render(temporary))
        check(temporary)
        _write_files(temporary, render(directory))
        if is_new:
            temporary.rename(directory)
        else:
            _move(temporary, directory)
    except OSError as error:
        raise _cannot_write(directory, error) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _cannot_write(directory: Path, error: OSError) -> click.ClickException:
    return click.ClickException(f"Cannot write to {directory}: {error.strerror}. Nothing was written.")


def _refuse_existing(directory: Path, names: Mapping[str, str]) -> None:
    for name in sorted({name.partition("/")[0] for name in names}):
        if os.path.lexists(directory / name):
            raise click.ClickException(
                f"{directory / name} exists and is not overwritten. Nothing was written."
            )


def _write_files(directory: Path, texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        path = directory / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)


def _move(source: Path, directory: Path) -> None:
    """Move everything in *source* into *directory*, or nothing."""
    moved: list[Path] = []
    try:
        for path in sorted(source.iterdir()):
            _refuse_existing(directory, {path.name: ""})
            path.rename(directory / path.name)
            moved.append(path)
    except BaseException:
        for path in moved:
            with suppress(OSError):
                (directory / path.name).rename(path)
        raise


def _check(answers: Answers, directory: Path) -> None:
    """Check the files in *directory* as `check-config` does; exit with 1 if they are not fit."""
    is_offline = answers.run is RunMode.COMPOSE  # the names in a compose file mean nothing to this machine
    _, issues = validate(directory / CONFIG, offline=is_offline, tolerate_outage=True)
    if issues:
        print_issues(issues)
        raise click.ClickException("Nothing was written.")
    if answers.account is None:
        load_account(directory / files.SANDBOX)
    if not is_offline:
        _, outages = validate(directory / CONFIG)
        for outage in outages:
            click.echo(f"Warning: {outage}", err=True)


_WRITTEN = {
    CONFIG: "the settings",
    "secrets": "the secrets, one file each; back them up",
    files.SANDBOX: "the account of the sandbox",
    files.UNIT: "the unit for systemd",
    files.COMPOSE: "the services for docker compose",
}


def _summary(answers: Answers, made: files.Secrets) -> str:
    present = [name for name in _WRITTEN if (answers.directory / name).exists()]
    written = "\n".join(f"  {name:<21}{_WRITTEN[name]}" for name in present)
    commands = "\n".join(f"  {line}" for line in next_commands(answers))
    warning = "" if answers.account else _SANDBOX_WARNING
    return f"""
Written to {answers.directory}, readable by their owner only:

{written}

The secret key of {answers.client}, shown only once. Its backend calls the service with it:

{made.secret_key}
{warning}
Next:

{commands}"""


_SANDBOX_WARNING = f"""
SMS go to the sandbox: no phone receives one.
Its inbox, http://127.0.0.1:{files.SANDBOX_PORT}/inbox, shows every code.
"""


def next_commands(answers: Answers) -> list[str]:
    """Return the commands that start the service."""
    program, directory = files.program(), answers.directory
    sandbox = [] if answers.account else [f"{program} sandbox --config {directory / files.SANDBOX} &"]
    doctor = [f"{program} doctor --config {directory / CONFIG}"] if answers.account else []
    if answers.run is RunMode.COMPOSE:
        return [
            f"docker build --tag otp-service:{__version__} --file deploy/Dockerfile .  # in a checkout",
            f"docker compose --file {directory / files.COMPOSE} up --detach",
        ]
    if answers.run is RunMode.SYSTEMD:
        return [*doctor, *sandbox, *_systemd_commands(directory)]
    return [*doctor, *sandbox, f"{program} serve --config {directory / CONFIG}"]


def _systemd_commands(directory: Path) -> list[str]:
    user = []
    if files.unit_user() == files.SERVICE_USER:
        if not _exists(files.SERVICE_USER):
            user.append(f"useradd --system --shell /usr/sbin/nologin {files.SERVICE_USER}")
        user.append(f"chown -R {files.SERVICE_USER}: {directory}")
    sudo = "" if os.geteuid() == 0 else "sudo "
    return [
        *user,
        f"{sudo}cp {directory / files.UNIT} /etc/systemd/system/",
        f"{sudo}systemctl daemon-reload",
        f"{sudo}systemctl enable --now otp-service",
    ]


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True
