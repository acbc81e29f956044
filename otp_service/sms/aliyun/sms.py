"""The provider itself: one account, one sign name; touches the network through `AliyunApi`."""

from __future__ import annotations

import json

from otp_service.domain.messages import (
    DeliveryLookup,
    DeliveryLookupResult,
    FailureCause,
    SmsMessage,
    Template,
)
from otp_service.services.interfaces import Clock
from otp_service.sms.aliyun.api import AliyunApi
from otp_service.sms.aliyun.phone_numbers import UnsupportedRecipient, phone_numbers
from otp_service.sms.aliyun.protocol.templates import BadParam, check_params
from otp_service.sms.aliyun.send_details import SendDetailsQuery
from otp_service.sms.aliyun.sms_responses import read_answer
from otp_service.sms.call import send_once
from otp_service.sms.provider import ProviderResult, not_attempted

ACTION = "SendSms"
VERSION = "2017-05-25"


class AliyunSms:
    """Sends by SendSms under one *sign_name*, and asks by QuerySendDetails."""

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
        return send_once(
            lambda: self._api.call(ACTION, params, seconds=seconds),
            lambda answer: read_answer(answer.status, answer.headers, answer.body, self._api.now()),
            seconds,
        )

    def lookup_delivery(self, lookup: DeliveryLookup, deadline: float) -> DeliveryLookupResult:
        """Ask what became of a send by QuerySendDetails, until *deadline* (monotonic seconds)."""
        return self._details.lookup_delivery(lookup, deadline)

    def close(self) -> None:
        """Close the idle connections."""
        self._api.close()

    def _params(self, sms: SmsMessage, template: Template) -> dict[str, str]:
        return {
            "PhoneNumbers": phone_numbers(sms.phone),
            "SignName": self._sign_name,
            "TemplateCode": template.template_code,
            "TemplateParam": template_param(sms, template),
            "OutId": sms.out_id,
        }


def template_param(sms: SmsMessage, template: Template) -> str:
    """Write the variables as JSON of texts.

    Aliyun would refuse what breaks its rules too, but only after the limits of the number were touched.

    Raises:
        BadParam: they break a rule of verification templates.
    """
    params = template.template_param(sms.code)
    check_params((template.code_variable, *template.extra_variables), params)
    return json.dumps(params, ensure_ascii=False, separators=(",", ":"))
