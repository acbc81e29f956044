"""The answers that `init` needs, from flags or from questions, and the checks of each."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import click

from otp_service.app import open_store
from otp_service.cli.check_config import SilentEvents
from otp_service.cli.secrets import client_id_issue
from otp_service.settings import Settings, SettingsError, from_mapping
from otp_service.settings.settings import EMBEDDED, RedisConfig
from otp_service.store.url import BadRedisUrl

CONFIG, SECRETS = "config.toml", "secrets"

_PLAIN_PATH = re.compile(r"[\w/.@+-]+")
"""Paths that need no quoting in TOML, systemd units, YAML and shells."""


class RunMode(Enum):
    """How the service will run: what `init` writes beside the configuration."""

    SYSTEMD = "systemd"
    COMPOSE = "compose"
    NONE = "none"


@dataclass(frozen=True)
class Account:
    """An Aliyun account with its approved sign name and template."""

    access_key_id: str
    access_key_secret: str = field(repr=False)
    sign_name: str
    template_code: str


@dataclass(frozen=True)
class Answers:
    """All answers. Without an *account* SMS go to the sandbox."""

    directory: Path
    run: RunMode
    redis_url: str = field(repr=False)
    account: Account | None
    client: str
    purposes: tuple[str, ...]
    public_url: str
    proxy_hops: int


Check = Callable[[str], str]
"""Returns why a text cannot be the answer, as the rest of a sentence "it …"; empty if it can."""


class Interview:
    """Gets each answer from its flag, from the terminal, or from its default.

    *given* has the values of the flags by name. Without *may_ask*, answers without a flag get their defaults,
    which `finish` accepts only with *accept_defaults*.
    """

    def __init__(self, given: Mapping[str, str | None], *, may_ask: bool, accept_defaults: bool) -> None:
        self._given = given
        self._may_ask = may_ask
        self._accept_defaults = accept_defaults
        self._missing: list[str] = []
        self._required: list[str] = []

    def answer(
        self, flag: str, question: str, check: Check, default: str | None = None, *, hidden: bool = False
    ) -> str:
        """Return the answer to *question*. The option *flag* can also give it.

        Without a *default* the answer is required.

        Raises:
            click.BadParameter: the value of the flag cannot be the answer.
        """
        text = self._given.get(flag)
        if text is not None:
            if issue := check(text):
                raise click.BadParameter(issue, param_hint=flag)
            return text
        if self._may_ask:
            return _asked(question, check, default, hidden=hidden)
        if default is None:
            self._required.append(flag)
        elif issue := check(default):
            raise click.BadParameter(f"its default, {default}, {issue}", param_hint=flag)
        else:
            self._missing.append(flag)
        return default or ""

    def finish(self) -> None:
        """Accept the defaults.

        Raises:
            click.UsageError: an answer is required, or the defaults must not be accepted.
        """
        if self._missing and not self._accept_defaults:
            flags = ", ".join([*self._missing, *self._required])
            raise click.UsageError(
                "Standard input is not a terminal, so no question can be asked. "
                f"Pass --yes to accept the defaults, or {flags}."
            )
        if self._required:
            raise click.UsageError(f"There is no default for {', '.join(self._required)}.")


def collect(interview: Interview) -> Answers:
    """Return all answers of *interview*.

    Raises:
        click.UsageError: a flag is wrong or missing.
    """
    ask = interview.answer
    usual = "/etc/otp-service" if os.geteuid() == 0 else "./otp-service"
    directory = ask("--directory", "1/6  Directory for the configuration", _directory_issue, usual)
    run = RunMode(ask("--run", "2/6  How to run it: systemd, compose or none", _run_issue, "none"))
    usual = "redis://redis:6379/0" if run is RunMode.COMPOSE else "redis://127.0.0.1:6379/0"
    redis_url = ask("--redis-url", "3/6  URL of Redis", _redis_check(run), usual)
    sms = ask("--sms", "4/6  SMS provider: aliyun, or sandbox to start with", _sms_issue, "sandbox")
    account = _account(interview) if sms == "aliyun" else None
    client = ask("--client", "5/6  Id of the first client, an application of yours", client_id_issue, "web")
    purposes = ask("--purpose", "     Purposes of its codes, separated by spaces", _purposes_issue, "login")
    public_url = ask("--public-url", "6/6  Public URL, empty if no browser calls it", _public_url_issue, "")
    hops = "0"
    if public_url:
        hops = ask("--proxy-hops", "     Proxies in front of it, 0 to 8", _proxy_hops_issue, "1")
    interview.finish()
    return Answers(
        _absolute(directory),
        run,
        redis_url,
        account,
        client,
        tuple(dict.fromkeys(purposes.split())),
        public_url,
        int(hops),
    )


def _account(interview: Interview) -> Account:
    ask = interview.answer
    return Account(
        ask("--access-key-id", "     AccessKey id", _route_check("access_key_id")),
        ask(
            "--access-key-secret-file",
            "     AccessKey secret (not shown)",
            _route_check("access_key_secret"),
            hidden=True,
        ),
        ask("--sign-name", "     Approved sign name, without 【】", _route_check("sign_name")),
        ask("--template-code", "     Approved template code", _template_issue),
    )


def _asked(question: str, check: Check, default: str | None, *, hidden: bool) -> str:
    while True:
        text: str = click.prompt(question, default=default, show_default=bool(default), hide_input=hidden)
        issue = check(text.strip())
        if not issue:
            return text.strip()
        click.echo(f"     It {issue}.")


def _absolute(text: str) -> Path:
    return Path(os.path.abspath(Path(text).expanduser()))  # noqa: PTH100 - keeps symbolic links


def _directory_issue(text: str) -> str:
    path = _absolute(text)
    if not _PLAIN_PATH.fullmatch(str(path)):
        return "may contain only letters, digits and / . _ - + @"
    if not path.parent.is_dir():
        return f"has no parent directory: create {path.parent} first"
    if path.exists() and not path.is_dir():
        return "is not a directory"
    for name in (CONFIG, SECRETS):
        if os.path.lexists(path / name):
            return f"already contains {path / name}, which is not overwritten"
    return ""


def _run_issue(text: str) -> str:
    return "" if text in {mode.value for mode in RunMode} else "must be systemd, compose or none"


def _sms_issue(text: str) -> str:
    return "" if text in {"aliyun", "sandbox"} else "must be aliyun or sandbox"


def _redis_check(run: RunMode) -> Check:
    """Return the check of a URL. The names in a compose file mean nothing to this machine."""
    return lambda text: _redis_issue(text, connects=run is not RunMode.COMPOSE)


def _redis_issue(text: str, *, connects: bool) -> str:
    """Return why *text* is not the URL of a suitable Redis. A Redis that is down may be started later."""
    if issue := _setting_issue("redis.url", {"redis": {"url": text}}):
        return issue
    if text.startswith(EMBEDDED):
        return "loses its data when it stops: name a Redis or Valkey server"
    try:
        store = open_store(Settings(redis=RedisConfig.model_validate({"url": text})), SilentEvents())
    except BadRedisUrl as error:
        return str(error)
    problem = store.redis.diagnose() if connects else None
    store.close()
    return problem.seen if problem and problem.is_unsuitable else ""


def _purposes_issue(text: str) -> str:
    return _setting_issue("purposes", {"purposes": {name: {} for name in text.split()}})


def _public_url_issue(text: str) -> str:
    return _setting_issue("service.public_url", {"service": {"public_url": text}})


def _proxy_hops_issue(text: str) -> str:
    return _setting_issue("service.proxy_hops", {"service": {"proxy_hops": text}})


def _route_check(setting: str) -> Check:
    return lambda text: _setting_issue(f"routes[0].{setting}", {"routes": [{setting: text}]})


def _template_issue(text: str) -> str:
    table = {"routes": [{"templates": [{"template_code": text}]}]}
    return _setting_issue("routes[0].templates[0].template_code", table)


def _setting_issue(where: str, raw: Mapping[str, Any]) -> str:
    """Return what is wrong with the setting at *where* in *raw*; empty if nothing is.

    Issues of other settings, such as missing ones, do not matter.
    """
    try:
        from_mapping(raw)
    except SettingsError as error:
        return next((issue.what for issue in error.issues if issue.where == where), "")
    return ""
