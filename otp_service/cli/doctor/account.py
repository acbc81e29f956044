"""Checks of an account at Aliyun: its access key and permissions, its sign name and its templates.

No SMS is sent: the probe of `SendSms` goes to a number that no phone can have.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from otp_service.cli.doctor.api_probe import UNKNOWN_ACTION, ApiProbe, ApiResponse
from otp_service.cli.doctor.check_result import CheckResult, fail, ok, warn
from otp_service.cli.doctor.send_probe import IMPOSSIBLE_NUMBER, interpret_probe
from otp_service.cli.doctor.template import check_template_text
from otp_service.domain.messages import Template
from otp_service.sms.aliyun.pnvs import ACTION
from otp_service.sms.aliyun.protocol.pnvs import MINUTES
from otp_service.sms.aliyun.protocol.timestamps import china_date

_STATES = {"0": "is still in review", "2": "was rejected", "10": "was canceled"}
_APPROVED = "1"


class SmsAccountChecks:
    """Checks one access key of a route to Aliyun's SMS service through *probe*."""

    def __init__(self, probe: ApiProbe) -> None:
        self._probe = probe
        self._route = probe.route

    def run(self, sign_name: str, templates: tuple[Template, ...], ttl: int) -> Iterator[CheckResult]:
        """Run all checks that are possible without sending an SMS."""
        first = self._call_either("GetSmsSign", "QuerySmsSign", {"SignName": sign_name})
        yield from self._probe.check_access(first)
        if first is None or not first.is_authenticated:
            return
        yield self._sign_name(sign_name, first)
        for template in templates:
            yield from self._template(template, sign_name, ttl)
        yield self._may_query()
        yield from interpret_probe(self._send_probe(sign_name, templates[0]), "dysms:SendSms", self._route)

    # ── sign names and templates ──

    def _call_either(self, action: str, older: str, params: Mapping[str, str]) -> ApiResponse | None:
        """Call *action*, or the *older* one that it replaces if *action* is unknown or not permitted."""
        response = self._probe.call(action, params)
        if response is None or not _is_barred(response):
            return response
        again = self._probe.call(older, params)
        if again is None or not again.is_authenticated or again.code in UNKNOWN_ACTION:
            return response
        return response if response.is_denied and again.is_denied else again

    def _sign_name(self, name: str, response: ApiResponse) -> CheckResult:
        fix = "Use a sign name of this account, spelled exactly as in the console, without 【】."
        if not response.is_ok:
            return self._not_found("sign name", name, "dysms:GetSmsSign", response, fix)
        return self._reviewed("sign name", name, str(response.fields.get("SignStatus")), response.fields)

    def _template(self, template: Template, sign_name: str, ttl: int) -> Iterator[CheckResult]:
        code = template.template_code
        response = self._call_either("GetSmsTemplate", "QuerySmsTemplate", {"TemplateCode": code})
        fix = "Copy the code from the list of templates in the console."
        if response is None or not response.is_ok:
            yield self._not_found("template", code, "dysms:GetSmsTemplate", response, fix)
            return
        yield self._reviewed("template", code, str(response.fields.get("TemplateStatus")), response.fields)
        yield from check_template_text(
            template, response.fields, sign_name=sign_name, ttl=ttl, route=self._route
        )

    def _not_found(
        self, check: str, name: str, right: str, response: ApiResponse | None, fix: str
    ) -> CheckResult:
        if response is None or not response.is_authenticated:
            why = f": {response}" if response else ""
            return warn(check, f"{name} could not be checked{why}", "Try again in a minute.", self._route)
        if response.code in UNKNOWN_ACTION:
            message = f"{name} could not be checked: the endpoint supports none of the actions for it"
            return warn(check, message, "Check the route's endpoint.", self._route)
        if response.is_denied:
            return warn(
                check,
                "the key is not allowed to read it",
                f"Grant {right} if the doctor should check it.",
                self._route,
            )
        return fail(check, f"{name} does not belong to this account ({response.code})", fix, self._route)

    def _reviewed(self, check: str, name: str, status: str, fields: Mapping[str, object]) -> CheckResult:
        if status == _APPROVED:
            return ok(check, f"{name} is approved", self._route)
        reason = fields.get("Reason") or fields.get("AuditInfo")
        if isinstance(reason, Mapping):
            reason = reason.get("RejectInfo")
        why = f": {reason}" if status == "2" and reason else ""
        state = _STATES.get(status, f"has the state {status}")
        fix = "Check the review in the SMS console. No SMS is sent until it is approved."
        return fail(check, f"{name} {state}{why}", fix, self._route)

    # ── permissions ──

    def _may_query(self) -> CheckResult:
        response = self._probe.call(
            "QuerySendDetails",
            {
                "PhoneNumber": IMPOSSIBLE_NUMBER,
                "SendDate": china_date(datetime.now(UTC)),
                "PageSize": "1",
                "CurrentPage": "1",
            },
        )
        if response is not None and response.is_denied:
            fix = "Grant dysms:QuerySendDetails. Without it, sends with an unknown outcome stay unknown."
            return warn("ram", "the key is not allowed to look up deliveries", fix, self._route)
        if response is None or not response.is_business:
            why = f": {response}" if response else ""
            message = f"the permission to look up deliveries could not be checked{why}"
            return warn("ram", message, "Try again in a minute.", self._route)
        return ok("ram", "the key is allowed to look up deliveries", self._route)

    def _send_probe(self, sign_name: str, template: Template) -> ApiResponse | None:
        values = dict.fromkeys((*template.extra_variables, template.code_variable), "123456")
        return self._probe.call(
            "SendSms",
            {
                "PhoneNumbers": IMPOSSIBLE_NUMBER,
                "SignName": sign_name,
                "TemplateCode": template.template_code,
                "TemplateParam": json.dumps(values),
            },
        )


def _is_barred(response: ApiResponse) -> bool:
    """Return whether the action itself was refused, regardless of its parameters."""
    return response.is_denied or response.code in UNKNOWN_ACTION


class PnvsAccountChecks:
    """Checks one access key of a route to PNVS through *probe*.

    Sign names and templates of PNVS are presets without a review, so only the send is probed.
    """

    def __init__(self, probe: ApiProbe) -> None:
        self._probe = probe

    def run(self, sign_name: str, template: Template) -> Iterator[CheckResult]:
        """Run all checks that are possible without sending an SMS."""
        values = dict.fromkeys((MINUTES, *template.extra_variables), "5") | {template.code_variable: "123456"}
        response = self._probe.call(
            ACTION,
            {
                "PhoneNumber": IMPOSSIBLE_NUMBER,
                "SignName": sign_name,
                "TemplateCode": template.template_code,
                "TemplateParam": json.dumps(values),
            },
        )
        yield from self._probe.check_access(response)
        if response is not None and response.is_authenticated:
            yield from interpret_probe(response, f"dypns:{ACTION}", self._probe.route)
