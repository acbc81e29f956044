"""One account at Aliyun: its keys, what they may do, its sign name and templates. Touches the network.

Nothing is sent: the probe of SendSms goes to a number that no phone can have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from otp_service.aliyun.codes import Who, lookup
from otp_service.aliyun.gateway_codes import ACCESS_KEY_REFUSALS
from otp_service.doctor.finding import Finding, broken, doubtful, well
from otp_service.doctor.template import examine_text
from otp_service.messages import Template
from otp_service.sms.aliyun_api import AliyunApi
from otp_service.sms.aliyun_api.fields import read_fields
from otp_service.sms.http import TripError

SECONDS = 4.0
IMPOSSIBLE_NUMBER = "10000000000"
"""No mainland mobile number begins with 10, so that an SMS to it is refused before it is sent."""

SKEW_WARNING, SKEW_FAILURE = 30, 600
"""Seconds. Aliyun refuses requests that are more than about 15 minutes off."""

_RAM = frozenset({"isv.RAM_PERMISSION_DENY", "Forbidden.RAM", "NoPermission", "Forbidden"})
_UNKNOWN_ACTION = frozenset({"InvalidAction.NotFound", "InvalidVersion", "UnsupportedOperation"})
_STATES = {"0": "is still in review", "2": "was rejected", "10": "was canceled"}
_APPROVED = "1"


@dataclass(frozen=True, slots=True)
class Told:
    """An answer: its *code*, all its *fields*, and by how many seconds our clock is ahead of the answer's."""

    code: str
    fields: Mapping[str, object]
    skew: float | None


class Account:
    """One access key of one route, asked through *api*. *key_name* is what may be shown of the key."""

    def __init__(self, api: AliyunApi, *, route: str, key_name: str) -> None:
        self._api = api
        self._route = route
        self._key_name = key_name

    def examine(self, sign_name: str, templates: tuple[Template, ...], ttl: int) -> Iterator[Finding]:
        """Tell everything that can be told without sending."""
        first = self._ask("QuerySmsSign", {"SignName": sign_name})
        if first is None:
            yield broken("api", "does not answer", "See the findings about the network above.", self._route)
            return
        yield from self._clock(first)
        if refusal := self._refused_key(first):
            yield refusal
            return
        yield well("access key", f"{self._key_name} is accepted", self._route)
        yield from self._sign_name(sign_name, first)
        for template in templates:
            yield from self._template(template, ttl)
        yield self._may_query()
        yield from self._may_send(sign_name, templates)

    # ── the clock and the key ──

    def _clock(self, told: Told) -> Iterator[Finding]:
        if told.skew is None:
            return
        off = f"{abs(told.skew):.0f} s {'ahead of' if told.skew > 0 else 'behind'} the answer's"
        fix = "Let NTP set this machine's clock."
        if abs(told.skew) >= SKEW_FAILURE:
            yield broken("clock", f"is {off}: requests are refused", fix, self._route)
        elif abs(told.skew) >= SKEW_WARNING:
            yield doubtful("clock", f"is {off}", fix, self._route)
        else:
            yield well("clock", "agrees with the answer's", self._route)

    def _refused_key(self, told: Told) -> Finding | None:
        if told.code not in ACCESS_KEY_REFUSALS:
            return None
        seen = f"{self._key_name} is refused: {lookup(told.code).english} ({told.code})"
        return broken("access key", seen, "Look at the key and its secret in the RAM console.", self._route)

    # ── sign name and templates ──

    def _sign_name(self, name: str, told: Told) -> Iterator[Finding]:
        if told.code in _UNKNOWN_ACTION:
            told = self._ask("GetSmsSign", {"SignName": name}) or told
        if unseen := self._unseen("sign name", "dysms:QuerySmsSign", told):
            yield unseen
        elif told.code != "OK":
            fix = "The sign name must be one of this account's, letter by letter, without 【】."
            yield broken("sign name", f"{name} is not one of this account's ({told.code})", fix, self._route)
        else:
            yield self._reviewed("sign name", name, str(told.fields.get("SignStatus")), told.fields)

    def _template(self, template: Template, ttl: int) -> Iterator[Finding]:
        code = template.template_code
        told = self._ask("QuerySmsTemplate", {"TemplateCode": code})
        if told is not None and told.code in _UNKNOWN_ACTION:
            told = self._ask("GetSmsTemplate", {"TemplateCode": code})
        if told is None:
            yield doubtful("template", f"{code} could not be asked for", "Try again.", self._route)
        elif unseen := self._unseen("template", "dysms:QuerySmsTemplate", told):
            yield unseen
        elif told.code != "OK":
            fix = "Take the code from the console's list of templates."
            yield broken("template", f"{code} is not one of this account's ({told.code})", fix, self._route)
        else:
            yield self._reviewed("template", code, str(told.fields.get("TemplateStatus")), told.fields)
            yield from examine_text(template, told.fields, ttl, self._route)

    def _reviewed(self, check: str, name: str, status: str, fields: Mapping[str, object]) -> Finding:
        if status == _APPROVED:
            return well(check, f"{name} is approved", self._route)
        reason = fields.get("Reason") or fields.get("AuditInfo")
        if isinstance(reason, Mapping):
            reason = reason.get("RejectInfo")
        why = f": {reason}" if status == "2" and reason else ""
        state = _STATES.get(status, f"has the state {status}")
        fix = "See the review in the SMS console; until it is approved nothing is sent."
        return broken(check, f"{name} {state}{why}", fix, self._route)

    # ── what the key may do ──

    def _may_query(self) -> Finding:
        today = datetime.now(UTC).strftime("%Y%m%d")
        params = {
            "PhoneNumber": IMPOSSIBLE_NUMBER,
            "SendDate": today,
            "PageSize": "1",
            "CurrentPage": "1",
        }
        told = self._ask("QuerySendDetails", params)
        if told is not None and told.code in _RAM:
            fix = "Grant dysms:QuerySendDetails: without it a send of unknown outcome is never cleared up."
            return doubtful("ram", "the key may not ask what became of an SMS", fix, self._route)
        return well("ram", "the key may ask what became of an SMS", self._route)

    def _may_send(self, sign_name: str, templates: tuple[Template, ...]) -> Iterator[Finding]:
        template = templates[0]
        values = ",".join(f'"{name}":"123456"' for name in (template.param, *template.params))
        told = self._ask(
            "SendSms",
            {
                "PhoneNumbers": IMPOSSIBLE_NUMBER,
                "SignName": sign_name,
                "TemplateCode": template.template_code,
                "TemplateParam": f"{{{values}}}",
            },
        )
        if told is None:
            yield doubtful("sending", "could not be probed", "Try again.", self._route)
            return
        if told.code == "isv.DENY_IP_RANGE":
            fix = "Send from the mainland: Aliyun takes mainland SMS from mainland addresses only."
            yield broken("egress", "this machine's address is outside the mainland", fix, self._route)
            return
        yield self._probed(told)
        seen = "the address was not refused; whether it is in the mainland cannot be seen"
        yield well("egress", seen, self._route)

    def _probed(self, told: Told) -> Finding:
        row = lookup(told.code)
        if told.code in _RAM:
            fix = "Grant dysms:SendSms to it in the RAM console."
            return broken("ram", "the key may not send", fix, self._route)
        if row.who is Who.OPERATOR:
            fix = "See docs/aliyun-errors.md for this code."
            return broken("sending", f"{row.english} ({told.code})", fix, self._route)
        return well("sending", "an SMS to an impossible number is refused for its number alone", self._route)

    # ── one call ──

    def _unseen(self, check: str, action: str, told: Told) -> Finding | None:
        if told.code in _RAM:
            fix = f"Grant {action} if the doctor is to see it."
            return doubtful(check, "the key may not look at it", fix, self._route)
        return None

    def _ask(self, action: str, params: Mapping[str, str]) -> Told | None:
        try:
            answer = self._api.call(action, params, seconds=SECONDS)
        except TripError:
            return None
        fields = read_fields(answer.headers, answer.body)
        return Told(fields.code, fields.all, _skew(answer.headers.get("date", ""), self._api.now()))


def _skew(date: str, now: datetime) -> float | None:
    try:
        return (now - parsedate_to_datetime(date)).total_seconds()
    except (TypeError, ValueError):
        return None
