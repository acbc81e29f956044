"""`send-test`: sends one real SMS through a chosen route.

The command asks for the phone number, which as an argument would appear in the list of processes and in the
shell's history. It does not print the code.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import click

from otp_service.app import open_route
from otp_service.domain.codes import SALT_BYTES, CodeContext, derive
from otp_service.domain.crypto import ID_BYTES, Keyring
from otp_service.domain.errors import DestinationBlocked, InvalidPhone
from otp_service.domain.messages import (
    DeliveryLookup,
    DeliveryLookupResult,
    DeliveryLookupStatus,
    MessageReference,
    SendResult,
    SendStatus,
    SmsMessage,
    Template,
)
from otp_service.domain.phone import Phone, parse
from otp_service.observability.clock import SystemClock
from otp_service.settings import Settings, SettingsError
from otp_service.settings import examine as read_settings
from otp_service.sms.aliyun.pnvs import lookup_pnvs
from otp_service.sms.aliyun.reports import describe_failure
from otp_service.sms.provider import explain_local_code
from otp_service.sms.router import Route

POLL_SECONDS = 3.0
CLIENT = "send-test"

_EXIT_CODES_OF_REPORTS = {
    DeliveryLookupStatus.ACCEPTED: 1,
    DeliveryLookupStatus.DELIVERED: 0,
    DeliveryLookupStatus.UNDELIVERED: 2,
}
_EXIT_CODES = {SendStatus.ACCEPTED: 0, SendStatus.UNKNOWN: 1, SendStatus.REFUSED: 2}


@dataclass(frozen=True, slots=True)
class _Test:
    """The SMS to send, and the reference that identifies it in delivery reports."""

    sms: SmsMessage
    reference: MessageReference
    keyring: Keyring


def run(config: Path | None, *, route: str, purpose: str, locale: str, wait_seconds: int) -> None:
    """Send one SMS and print the provider's response and, within *wait_seconds*, the delivery report."""
    settings = _valid_settings(config)
    chosen_purpose = purpose or next(iter(settings.purposes))
    if chosen_purpose not in settings.purposes:
        raise click.BadParameter("is not a purpose of the configuration", param_hint="--purpose")
    test = _test(settings, _phone(settings), chosen_purpose, locale)
    chosen, template = _route(settings, route, test.sms)
    began = time.time()
    outcome = _send(chosen, template, test.sms, settings.service.request_deadline)
    code = _EXIT_CODES[outcome.status]
    if wait_seconds and outcome.status is not SendStatus.REFUSED:
        code = _wait(chosen, test, began, wait_seconds)
    chosen.provider.close()
    sys.exit(code)


def _valid_settings(config: Path | None) -> Settings:
    """Return the settings. The sandbox is allowed as a route, and issues of Redis do not matter here."""
    try:
        settings, issues = read_settings(config, os.environ)
    except SettingsError as error:
        settings, issues = Settings(), list(error.issues)
    issues = [issue for issue in issues if not issue.where.startswith("redis")]
    if issues:
        for issue in issues:
            click.echo(f"  {issue}", err=True)
        click.echo("Fix the configuration first.", err=True)
        sys.exit(2)
    return settings


def _phone(settings: Settings) -> Phone:
    text = click.prompt("Phone", err=True)
    try:
        return parse(text, settings.phone_rules())
    except (InvalidPhone, DestinationBlocked) as error:
        click.echo(str(error), err=True)
        sys.exit(2)


def _test(settings: Settings, phone: Phone, purpose: str, locale: str) -> _Test:
    keyring = settings.keyring()
    verification_id = secrets.token_urlsafe(ID_BYTES)
    reference = MessageReference(
        keyring.phone_hash(phone.e164), keyring.verification_hash(verification_id), 1
    )
    kind = settings.code_types()[purpose]
    context = CodeContext(verification_id, CLIENT, phone.e164)
    code = derive(keyring.active.code, secrets.token_bytes(SALT_BYTES), context, kind)
    sms = SmsMessage(
        phone=phone,
        client=CLIENT,
        purpose=purpose,
        locale=locale,
        code=code,
        code_type=kind,
        reference=reference.encode(keyring.active.message_reference),
    )
    return _Test(sms, reference, keyring)


def _route(settings: Settings, name: str, sms: SmsMessage) -> tuple[Route, Template]:
    """Return the route *name*, or the first with a template for *sms*, regardless of its clients."""
    if name and name not in {table.name for table in settings.routes}:
        raise click.BadParameter("is not a route of the configuration", param_hint="--route")
    for table in settings.routes:
        if name not in ("", table.name):
            continue
        opened = open_route(table.model_copy(update={"clients": ()}), settings)
        if template := opened.template_for(sms):
            return opened, template
        opened.provider.close()
    hint = "this route has no template for it" if name else "no route has a template for it"
    raise click.BadParameter(f"{sms.purpose} to {sms.phone.country}: {hint}", param_hint="--route")


def _send(route: Route, template: Template, sms: SmsMessage, deadline: float) -> SendResult:
    click.echo(f"Sending to {sms.phone} through {route.name} …")
    began = time.monotonic()
    outcome = route.provider.send(sms, template, began + deadline).outcome
    seconds = time.monotonic() - began
    click.echo(f"  outcome      {outcome.status.value} after {seconds:.1f} s")
    if outcome.provider_code:
        meaning = explain_local_code(outcome.provider_code) or lookup_pnvs(outcome.provider_code).english
        click.echo(f"  code         {outcome.provider_code}: {meaning}")
    click.echo(f"  request id   {outcome.request_id or '-'}")
    click.echo(f"  biz id       {outcome.biz_id or '-'}")
    return outcome


def _wait(route: Route, test: _Test, began: float, seconds: int) -> int:
    """Poll for the carrier's report for up to *seconds*."""
    click.echo(f"Waiting up to {seconds} s for the carrier's report …")
    ends_at = time.monotonic() + seconds
    while True:
        found = _lookup(route, test, began)
        if found.status is DeliveryLookupStatus.UNSUPPORTED:
            click.echo("  report       this provider has no API for delivery reports")
            return 1
        if found.status in (DeliveryLookupStatus.DELIVERED, DeliveryLookupStatus.UNDELIVERED):
            reason = f": {describe_failure(found.reason).english} ({found.reason})" if found.reason else ""
            click.echo(f"  report       {found.status.value}{reason}")
            return _EXIT_CODES_OF_REPORTS[found.status]
        if time.monotonic() + POLL_SECONDS > ends_at:
            click.echo(f"  report       none yet ({found.status.value})")
            return 1
        time.sleep(POLL_SECONDS)


def _lookup(route: Route, test: _Test, began: float) -> DeliveryLookupResult:
    keys = [sub_keys.message_reference for sub_keys in test.keyring.by_kid.values()]
    lookup = DeliveryLookup(
        phone=test.sms.phone,
        client=CLIENT,
        purpose=test.sms.purpose,
        route=route.name,
        began_at=began,
        matches=lambda text: MessageReference.decode(text, keys) == test.reference,
    )
    return route.provider.lookup_delivery(lookup, SystemClock().monotonic() + POLL_SECONDS)
