"""`history`: what became of the SMS and verifications of one phone in the last day."""

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
    handle_store_errors,
    open_session,
)
from otp_service.domain.phone import Phone
from otp_service.domain.reasons import describe_failure
from otp_service.sms.aliyun.pnvs import lookup_pnvs
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
    "t": "not sent: the provider's limit for this number is reached",
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
"""The same as events and the API name them."""

_ENDS = {"a": "approved", "x": "exhausted", "c": "canceled", "1": "open", "p": "expired"}

_ID = re.compile(r"[A-Za-z0-9_-]{22}")


@dataclass(frozen=True)
class _Verification:
    """One verification: the beginning of its *tag*, how it *ended*, and its *sends*, the newest first."""

    tag: str
    ended: str
    sends: tuple[PastSend, ...]


def run(config: Path | None, *, by_id: bool, as_json: bool) -> None:
    """Show the history of the phone that is asked for; with *by_id* only of the verification asked for."""
    session = open_session(config)
    phone = ask_phone(session.settings)
    wanted = _verification_tag(session) if by_id else ""
    with handle_store_errors():
        sends = session.admin.phone_history(session.tag(phone))
    found = [one for one in _verifications(sends) if not wanted or wanted.startswith(one.tag)]
    if as_json:
        click.echo(json.dumps(_as_json(phone, session.tag(phone), found)))
    else:
        click.echo(_as_text(phone, session.tag(phone), found))


def _verification_tag(session: AdminSession) -> str:
    text = ask_verification_id()
    if not _ID.fullmatch(text):
        raise click.BadParameter("is not a verification id", param_hint="verification id")
    return session.settings.keyring().verification_hash(text)


def _verifications(sends: Sequence[PastSend]) -> list[_Verification]:
    """Return the verifications that *sends* belong to, in the order of their newest sends."""
    groups: dict[str, list[PastSend]] = {}
    for send in sends:
        groups.setdefault(send.verification, []).append(send)
    return [_Verification(tag, _end_of(group), tuple(group)) for tag, group in groups.items()]


def _end_of(sends: Sequence[PastSend]) -> str:
    """Return how a verification ended, which its first send says; one whose first SMS failed never began."""
    first = next((send for send in sends if send.number == 1), None)
    if first is None:
        return "not known"
    return _ENDS.get(first.ended, "not opened")


def _meaning(code: str, state: str) -> str:
    """Return a provider's code in words; empty where there is none."""
    if not code:
        return ""
    return (
        describe_failure(code).english
        if state == "n"
        else explain_local_code(code) or lookup_pnvs(code).english
    )


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _as_text(phone: Phone, tag: str, found: Sequence[_Verification]) -> str:
    lines = [f"{phone}   phone tag {tag}"]
    if not found:
        lines.append("  Nothing was sent in the last 24 hours.")
    for one in found:
        lines.append(f"  verification {one.tag}…   {one.ended}")
        for send in one.sends:
            route = f"by route {send.route}" if send.route else "by no route yet"
            lines.append(f"    {_utc(send.at)}   SMS {send.number} {route}: {_OUTCOMES[send.state]}")
            if meaning := _meaning(send.code, send.state):
                lines.append(f"      {send.code}: {meaning}")
    return "\n".join(lines)


def _as_json(phone: Phone, tag: str, found: Sequence[_Verification]) -> dict[str, object]:
    return {
        "phone_masked": str(phone),
        "phone_hash": tag,
        "verifications": [
            {
                "verification_hash_prefix": one.tag,
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
