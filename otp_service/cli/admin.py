"""Shared by the commands for operators: the connection to the store, and prompts for phone numbers.

Phone numbers and verification ids are typed without echo or piped in. As arguments they would appear in the
shell's history and in the list of processes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

import click

from otp_service.app import open_store
from otp_service.cli.check_config import print_issues
from otp_service.domain.errors import DestinationBlocked, InvalidPhone, StoreUnavailable
from otp_service.domain.phone import COUNTRIES, KINDS, Phone, parse
from otp_service.domain.text_normalization import fold_id
from otp_service.observability.clock import SystemClock
from otp_service.observability.logging import JsonEventLogger
from otp_service.services.interfaces import EventLogger
from otp_service.settings import ConfigIssue, Settings, SettingsError, load
from otp_service.store.admin import AdminStore
from otp_service.store.url import BadRedisUrl
from otp_service.store.verifications import RedisStore

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


@dataclass(frozen=True)
class AdminSession:
    """The settings and the store that a command works with. *events* go to standard error."""

    settings: Settings
    store: RedisStore
    admin: AdminStore
    events: EventLogger

    def phone_hash(self, phone: Phone) -> str:
        """Return the keyed hash under which the store keeps *phone*."""
        return self.settings.keyring().phone_hash(phone.e164)

    @contextmanager
    def store_access(self) -> Iterator[None]:
        """Every access to the store happens within this context.

        If a newer release uses the store and this one cannot read its data, the command ends before it
        accesses anything, with the reason and exit code 1. A failure of the store ends it in the same way.
        """
        try:
            if problem := self.store.redis.schema_problem():
                raise click.ClickException(f"Nothing was done: redis.url {problem.seen}. {problem.fix}")
            yield
        except StoreUnavailable:
            raise click.ClickException(
                "The store failed. The change may or may not have been made. It is safe to try again."
            ) from None


def open_session(config: Path | None) -> AdminSession:
    """Open the store of the configuration. Exit with 2 if the configuration is not valid."""
    try:
        settings = load(config, os.environ)
    except SettingsError as error:
        _exit_with(list(error.issues))
    if settings.redis.embedded:
        _exit_with(
            [ConfigIssue("redis.url", "is required: only the service itself can use an embedded store")]
        )
    events = JsonEventLogger(sys.stderr.buffer, level=settings.log.level, clock=SystemClock().now)
    try:
        store = open_store(settings, events)
    except BadRedisUrl as error:
        _exit_with([ConfigIssue("redis.url", str(error))])
    return AdminSession(settings, store, AdminStore(store.redis), events)


def _exit_with(issues: list[ConfigIssue]) -> NoReturn:
    print_issues(issues)
    sys.exit(2)


def ask_phone(settings: Settings) -> Phone:
    """Return the phone number typed by the operator, or the first line of standard input.

    Accepts every country, because data may exist for countries that the service no longer sends to.

    Raises:
        click.BadParameter: the text is not a phone number.
    """
    rules = replace(settings.phone_rules(), countries=COUNTRIES, kinds=frozenset(KINDS))
    try:
        return parse(_read_hidden("Phone"), rules)
    except (InvalidPhone, DestinationBlocked):
        raise click.BadParameter("is not a valid phone number", param_hint="phone") from None


def ask_verification_id() -> str:
    """Return the verification id typed by the operator, or the next line of standard input.

    Anyone who has the id can use the verification, so it is not echoed either.
    """
    return fold_id(_read_hidden("Verification id"))


def _read_hidden(label: str) -> str:
    if sys.stdin.isatty():
        return str(click.prompt(label, hide_input=True, err=True))
    try:
        return sys.stdin.readline().strip()
    except UnicodeDecodeError:
        return ""


def format_duration(seconds: int) -> str:
    """Return *seconds* as text, such as `1 h 3 s`."""
    parts = []
    for size, unit in _UNITS:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts) or "0 s"
