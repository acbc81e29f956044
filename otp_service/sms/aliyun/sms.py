"""The provider `aliyun-sms`: sends through SendSms, for one account and one sign name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

from otp_service.domain.messages import (
    DeliveryLookup,
    DeliveryLookupResult,
    FailureCause,
    SmsMessage,
    Template,
)
from otp_service.services.interfaces import Clock
from otp_service.sms.aliyun.api import AliyunApi
from otp_service.sms.aliyun.protocol.codes import lookup
from otp_service.sms.aliyun.protocol.templates import BadParam, check_params
from otp_service.sms.aliyun.recipients import UnsupportedRecipient, phone_numbers
from otp_service.sms.aliyun.responses import ResponseInterpreter
from otp_service.sms.aliyun.send_details import SendDetailsQuery
from otp_service.sms.http import TransportError
from otp_service.sms.provider import ProviderResult, deadline_passed, no_response, not_attempted

ACTION = "SendSms"
VERSION = "2017-05-25"

_SEND_SMS = ResponseInterpreter(lookup=lookup)


class AliyunSms:
    """Sends through SendSms under one *sign_name*, and looks deliveries up through QuerySendDetails."""

    def __init__(self, *, api: AliyunApi, sign_name: str, clock: Clock) -> None:
        self._api = api
        self._sign_name = sign_name
        self._clock = clock
        self._details = SendDetailsQuery(api, clock)

    def send(self, sms: SmsMessage, template: Template, deadline: float) -> ProviderResult:
        """Send *sms* once; give up at *deadline* (monotonic seconds)."""
        try:
            params = self._params(sms, template)
        except UnsupportedRecipient as error:
            return not_attempted(FailureCause.ACCOUNT, error.code)
        except BadParam:
            return not_attempted(FailureCause.ACCOUNT, "template_param")
        seconds = deadline - self._clock.monotonic()
        if seconds <= 0:
            return deadline_passed()
        try:
            response = self._api.call(ACTION, params, seconds=seconds)
        except TransportError as error:
            return no_response(error)
        return read_response(response.status, response.headers, response.body, self._api.now())

    def lookup_delivery(self, lookup: DeliveryLookup, deadline: float) -> DeliveryLookupResult:
        """Look up the state of a send, until *deadline* (monotonic seconds)."""
        return self._details.lookup_delivery(lookup, deadline)

    def close(self) -> None:
        """Close idle connections."""
        self._api.close()

    def _params(self, sms: SmsMessage, template: Template) -> dict[str, str]:
        return {
            "PhoneNumbers": phone_numbers(sms.phone),
            "SignName": self._sign_name,
            "TemplateCode": template.template_code,
            "TemplateParam": template_param(sms, template),
            "OutId": sms.reference,
        }


def template_param(sms: SmsMessage, template: Template) -> str:
    """Return the variables as a JSON object of strings.

    Aliyun would also refuse variables that break its rules, but only after counting the SMS against the
    limits of the number.

    Raises:
        BadParam: the variables break a rule of verification templates.
    """
    params = template.template_param(sms.code)
    check_params((template.code_variable, *template.extra_variables), params)
    return json.dumps(params, ensure_ascii=False, separators=(",", ":"))


def read_response(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> ProviderResult:
    """Return the meaning of the response to SendSms."""
    return _SEND_SMS.interpret(status, headers, body, now)
