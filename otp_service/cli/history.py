"""`history`: shows the SMS and verifications of one phone in the last 24 hours."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from otp_service.cli.admin import (
    AdminSession,
    ask_phone,
    ask_verification_id,
    open_session,
)
from otp_service.domain.phone import Phone
from otp_service.sms.aliyun.pnvs import lookup_pnvs
from otp_service.sms.aliyun.reports import describe_failure
from otp_service.sms.provider import explain_local_code
from otp_service.store.admin import PastSend

_OUTCOMES = {
    "s": "being sent",
    "a": "accepted by the provider",
    "u": "unknown: the provider did not answer in time",
    "d": "delivered",
    "n": "not delivered",
    "j": "rejected for this number",
    "w": "not sent",
    "t": "not sent: the provider's limit for this number was reached",
}
"""By the letters of `store/lua/phone_state.lua`."""

_NAMES = {
    "s": "sending",
    "a": "accepted",
    "u": "unknown",
    "d": "delivered",
    "n": "undelivered",
    "j": "rejected",
    "w": "withdrawn",
    "t": "throttled",
}
"""The names that events and the API use."""

_ENDS = {"a": "approved", "x": "exhausted", "c": "canceled", "1": "open", "p": "expired"}

_ID = re.compile(r"[A-Za-z0-9_-]{22}")


@dataclass(frozen=True)
class _Verification:
    """One verification: the *prefix* of its hash, how it *ended*, and its *sends*, newest first."""

    prefix: str
    ended: str
    sends: tuple[PastSend, ...]


def run(config: Path | None, *, by_id: bool, as_json: bool) -> None:
    """Ask for a phone and print its SMS. With *by_id*, also ask for a verification id and print only it."""
    session = open_session(config)
    phone = ask_phone(session.settings)
    wanted = _ask_verification_hash(session) if by_id else ""
    with session.store_access():
        sends = session.admin.phone_history(session.phone_hash(phone))
    found = [one for one in _verifications(sends) if not wanted or wanted.startswith(one.prefix)]
    if as_json:
        click.echo(json.dumps(_as_json(phone, session.phone_hash(phone), found)))
    else:
        click.echo(_as_text(phone, session.phone_hash(phone), found))


def _ask_verification_hash(session: AdminSession) -> str:
    text = ask_verification_id()
    if not _ID.fullmatch(text):
        raise click.BadParameter("is not a verification id", param_hint="verification id")
    return session.settings.keyring().verification_hash(text)


def _verifications(sends: Sequence[PastSend]) -> list[_Verification]:
    """Group *sends* by verification, the one with the newest send first."""
    groups: dict[str, list[PastSend]] = {}
    for send in sends:
        groups.setdefault(send.verification, []).append(send)
    return [_Verification(prefix, _end_of(group), tuple(group)) for prefix, group in groups.items()]


def _end_of(sends: Sequence[PastSend]) -> str:
    """Return how a verification ended, which is stored with its first send."""
    first = next((send for send in sends if send.number == 1), None)
    if first is None:
        return "unknown"
    return _ENDS.get(first.ended, "not opened")


def _meaning(code: str, state: str) -> str:
    """Return the explanation of a provider's error code, empty without a code."""
    if not code:
        return ""
    return (
        describe_failure(code).english
        if state == "n"
        else explain_local_code(code) or lookup_pnvs(code).english
    )


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _as_text(phone: Phone, phone_hash: str, found: Sequence[_Verification]) -> str:
    lines = [f"{phone}   phone hash {phone_hash}"]
    if not found:
        lines.append("  No SMS in the last 24 hours.")
    for one in found:
        lines.append(f"  verification {one.prefix}…   {one.ended}")
        for send in one.sends:
            route = f"by route {send.route}" if send.route else "without a route"
            lines.append(f"    {_utc(send.at)}   SMS {send.number} {route}: {_OUTCOMES[send.state]}")
            if meaning := _meaning(send.code, send.state):
                lines.append(f"      {send.code}: {meaning}")
    return "\n".join(lines)


def _as_json(phone: Phone, phone_hash: str, found: Sequence[_Verification]) -> dict[str, object]:
    return {
        "phone_masked": str(phone),
        "phone_hash": phone_hash,
        "verifications": [
            {
                "verification_hash_prefix": one.prefix,
                "ended": one.ended,
                "sends": [
                    {
                        "at": _utc(send.at),
                        "number": send.number,
                        "route": send.route or None,
                        "outcome": _NAMES[send.state],
                        "provider_code": send.code or None,
                        "meaning": _meaning(send.code, send.state) or None,
                    }
                    for send in one.sends
                ],
            }
            for one in found
        ],
    }
