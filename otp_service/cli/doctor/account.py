"""One account at Aliyun: its keys, what they may do, its sign name and templates. Touches the network.

Nothing is sent: the probe of SendSms goes to a number that no phone can have.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from otp_service.cli.doctor.api_probe import UNKNOWN_ACTION, ApiAnswer, ApiProbe
from otp_service.cli.doctor.check_result import CheckResult, fail, ok, warn
from otp_service.cli.doctor.send_probe import IMPOSSIBLE_NUMBER, read_probe
from otp_service.cli.doctor.template import examine_text
from otp_service.domain.messages import Template
from otp_service.sms.aliyun.protocol.timestamps import china_date

_STATES = {"0": "is still in review", "2": "was rejected", "10": "was canceled"}
_APPROVED = "1"


class Account:
    """One access key of one route, asked through its *entrance*."""

    def __init__(self, entrance: ApiProbe) -> None:
        self._entrance = entrance
        self._route = entrance.route

    def examine(self, sign_name: str, templates: tuple[Template, ...], ttl: int) -> Iterator[CheckResult]:
        """Tell everything that can be told without sending."""
        first = self._ask_either("GetSmsSign", "QuerySmsSign", {"SignName": sign_name})
        yield from self._entrance.examine(first)
        if first is None or not first.is_authenticated:
            return
        yield self._sign_name(sign_name, first)
        for template in templates:
            yield from self._template(template, sign_name, ttl)
        yield self._may_query()
        yield from read_probe(self._probe(sign_name, templates[0]), "dysms:SendSms", self._route)

    # ── sign names and templates ──

    def _ask_either(self, action: str, older: str, params: Mapping[str, str]) -> ApiAnswer | None:
        """Ask by *action*, and by the *older* one that it replaces where it is unknown or not permitted."""
        told = self._entrance.ask(action, params)
        if told is None or not _is_barred(told):
            return told
        again = self._entrance.ask(older, params)
        if again is None or not again.is_authenticated or again.code in UNKNOWN_ACTION:
            return told
        return told if told.is_denied and again.is_denied else again

    def _sign_name(self, name: str, told: ApiAnswer) -> CheckResult:
        fix = "The sign name must be one of this account's, letter by letter, without 【】."
        if not told.is_ok:
            return self._not_seen("sign name", name, "dysms:GetSmsSign", told, fix)
        return self._reviewed("sign name", name, str(told.fields.get("SignStatus")), told.fields)

    def _template(self, template: Template, sign_name: str, ttl: int) -> Iterator[CheckResult]:
        code = template.template_code
        told = self._ask_either("GetSmsTemplate", "QuerySmsTemplate", {"TemplateCode": code})
        fix = "Take the code from the console's list of templates."
        if told is None or not told.is_ok:
            yield self._not_seen("template", code, "dysms:GetSmsTemplate", told, fix)
            return
        yield self._reviewed("template", code, str(told.fields.get("TemplateStatus")), told.fields)
        yield from examine_text(template, told.fields, sign_name=sign_name, ttl=ttl, route=self._route)

    def _not_seen(self, check: str, name: str, right: str, told: ApiAnswer | None, fix: str) -> CheckResult:
        if told is None or not told.is_authenticated:
            why = f": {told}" if told else ""
            return warn(check, f"{name} could not be asked for{why}", "Ask again in a minute.", self._route)
        if told.code in UNKNOWN_ACTION:
            seen = f"{name} could not be asked for: the endpoint knows none of the actions for it"
            return warn(check, seen, "Look at the route's endpoint.", self._route)
        if told.is_denied:
            return warn(
                check, "the key may not look at it", f"Grant {right} if the doctor is to see it.", self._route
            )
        return fail(check, f"{name} is not one of this account's ({told.code})", fix, self._route)

    def _reviewed(self, check: str, name: str, status: str, fields: Mapping[str, object]) -> CheckResult:
        if status == _APPROVED:
            return ok(check, f"{name} is approved", self._route)
        reason = fields.get("Reason") or fields.get("AuditInfo")
        if isinstance(reason, Mapping):
            reason = reason.get("RejectInfo")
        why = f": {reason}" if status == "2" and reason else ""
        state = _STATES.get(status, f"has the state {status}")
        fix = "See the review in the SMS console; until it is approved nothing is sent."
        return fail(check, f"{name} {state}{why}", fix, self._route)

    # ── what the key may do ──

    def _may_query(self) -> CheckResult:
        told = self._entrance.ask(
            "QuerySendDetails",
            {
                "PhoneNumber": IMPOSSIBLE_NUMBER,
                "SendDate": china_date(datetime.now(UTC)),
                "PageSize": "1",
                "CurrentPage": "1",
            },
        )
        if told is not None and told.is_denied:
            fix = "Grant dysms:QuerySendDetails: without it a send of unknown outcome is never cleared up."
            return warn("ram", "the key may not ask what became of an SMS", fix, self._route)
        if told is None or not told.is_business:
            why = f": {told}" if told else ""
            seen = f"whether the key may ask what became of an SMS could not be seen{why}"
            return warn("ram", seen, "Ask again in a minute.", self._route)
        return ok("ram", "the key may ask what became of an SMS", self._route)

    def _probe(self, sign_name: str, template: Template) -> ApiAnswer | None:
        values = dict.fromkeys((*template.extra_variables, template.code_variable), "123456")
        return self._entrance.ask(
            "SendSms",
            {
                "PhoneNumbers": IMPOSSIBLE_NUMBER,
                "SignName": sign_name,
                "TemplateCode": template.template_code,
                "TemplateParam": json.dumps(values),
            },
        )


def _is_barred(told: ApiAnswer) -> bool:
    """Tell whether the action itself was refused, whatever it was asked about."""
    return told.is_denied or told.code in UNKNOWN_ACTION
