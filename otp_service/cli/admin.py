"""What `limits`, `unlock` and `erase-phone` share: the store, and the phone that an operator types.

Touches files, Redis and the terminal. A phone is typed unseen or piped in: an argument would stay in the
history of the shell and stand in the list of processes.
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
from otp_service.cli.check_config import report
from otp_service.domain.errors import DestinationBlocked, InvalidPhone, StoreUnavailable
from otp_service.domain.phone import COUNTRIES, KINDS, Phone, parse
from otp_service.domain.typed_text import fold_id
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
    """What an operator works with. *events* go to standard error: standard output is for the answer."""

    settings: Settings
    store: RedisStore
    admin: AdminStore
    events: EventLogger

    def tag(self, phone: Phone) -> str:
        """Return what stands for *phone* in the store."""
        return self.settings.keyring().phone_hash(phone.e164)


def open_session(config: Path | None) -> AdminSession:
    """Return a session at the store of the configuration; exit with 2 when there is none to be had."""
    try:
        settings = load(config, os.environ)
    except SettingsError as error:
        _give_up(list(error.issues))
    if settings.redis.embedded:
        _give_up([ConfigIssue("redis.url", "is required: an embedded store is open to its own service only")])
    events = JsonEventLogger(sys.stderr.buffer, level=settings.log.level, clock=SystemClock().now)
    try:
        store = open_store(settings, events)
    except BadRedisUrl as error:
        _give_up([ConfigIssue("redis.url", str(error))])
    return AdminSession(settings, store, AdminStore(store), events)


def _give_up(mistakes: list[ConfigIssue]) -> NoReturn:
    report(mistakes)
    sys.exit(2)


def ask_phone(settings: Settings) -> Phone:
    """Return the phone that is typed, or that is the first line of standard input.

    Of any country: something may be kept of phones that this service has ceased to send to.

    Raises:
        click.BadParameter: it is none.
    """
    rules = replace(settings.phone_rules(), countries=COUNTRIES, kinds=frozenset(KINDS))
    try:
        return parse(_typed("Phone"), rules)
    except (InvalidPhone, DestinationBlocked):
        raise click.BadParameter("is not one valid phone number", param_hint="phone") from None


def ask_verification_id() -> str:
    """Return the verification id that is typed, or that is the next line of standard input.

    Whoever holds it can use the verification, so it is asked for as a phone is.
    """
    return fold_id(_typed("Verification id"))


def _typed(what: str) -> str:
    if sys.stdin.isatty():
        return str(click.prompt(what, hide_input=True, err=True))
    try:
        return sys.stdin.readline().strip()
    except UnicodeDecodeError:
        return ""


@contextmanager
def handle_store_errors() -> Iterator[None]:
    """Tell in one line that the store failed, and exit with 1."""
    try:
        yield
    except StoreUnavailable:
        raise click.ClickException(
            "The store failed. What was asked for may be done or not; it can be asked for again."
        ) from None


def format_duration(seconds: int) -> str:
    """Return *seconds* for people, to the second: `1 h 3 s`."""
    parts = []
    for size, unit in _UNITS:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts) or "0 s"
