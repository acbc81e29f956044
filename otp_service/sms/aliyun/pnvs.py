"""The provider `aliyun-pnvs`: sends through SendSmsVerifyCode, for one account and one preset sign name.

PNVS can generate and check codes. Here it only delivers ours: it generates no code, sends no second SMS on
its own and returns no code in its response. Aliyun says that PNVS cannot check a code that it did not
generate; whether it stores such a code is not known.

https://help.aliyun.com/zh/pnvs/developer-reference/api-dypnsapi-2017-05-25-sendsmsverifycode: a response
reports success twice, in `Code` and in `Success`. The biz id is in `Model`. PNVS's own refusals come with
HTTP 400, as the gateway's do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

from otp_service.domain.messages import (
    DeliveryLookup,
    DeliveryLookupResult,
    DeliveryLookupStatus,
    FailureCause,
    SmsMessage,
    Template,
)
from otp_service.services.interfaces import Clock
from otp_service.sms.aliyun.api import AliyunApi
from otp_service.sms.aliyun.protocol import flow_control
from otp_service.sms.aliyun.protocol.codes import CODES, PNVS_CODES, ErrorCodeInfo, lookup
from otp_service.sms.aliyun.protocol.pnvs import MINUTES
from otp_service.sms.aliyun.protocol.templates import BadParam, check_params
from otp_service.sms.aliyun.recipients import MAINLAND, UnsupportedRecipient, mainland_number
from otp_service.sms.aliyun.responses import ResponseInterpreter
from otp_service.sms.http import TransportError
from otp_service.sms.provider import ProviderResult, deadline_passed, no_response, not_attempted

ACTION = "SendSmsVerifyCode"
VERSION = "2017-05-25"

_DELIVER_ONLY = {
    "DuplicatePolicy": "1",  # should PNVS store codes, it must drop older ones
    "Interval": "60",  # no second SMS within the shortest cooldown that settings allow
    "ReturnVerifyCode": "false",
    "AutoRetry": "0",  # by default, PNVS tries other channels if a carrier refuses an SMS
}

_PREFIXES = ("isv.", "isp.")

_DAY = "for the day"
"""Part of the documented message "The number has exceeded the limit for the day."."""


class AliyunPnvs:
    """Sends through SendSmsVerifyCode under one *sign_name*; a code is valid for *minutes*."""

    def __init__(self, *, api: AliyunApi, sign_name: str, minutes: int, clock: Clock) -> None:
        self._api = api
        self._sign_name = sign_name
        self._minutes = minutes
        self._clock = clock

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
        """Return UNSUPPORTED: PNVS is not known to report on an SMS whose code it did not generate."""
        del lookup, deadline
        return DeliveryLookupResult(DeliveryLookupStatus.UNSUPPORTED)

    def close(self) -> None:
        """Close idle connections."""
        self._api.close()

    def _params(self, sms: SmsMessage, template: Template) -> dict[str, str]:
        """Return the parameters of the call.

        Raises:
            UnsupportedRecipient: the number is not in mainland China.
            BadParam: the variables break a rule of verification templates.
        """
        params = {MINUTES: str(self._minutes), **template.template_param(sms.code)}
        check_params((template.code_variable, *params), params)
        return {
            "PhoneNumber": mainland_number(sms.phone),
            "CountryCode": str(MAINLAND),
            "SignName": self._sign_name,
            "TemplateCode": template.template_code,
            "TemplateParam": json.dumps(params, ensure_ascii=False, separators=(",", ":")),
            "OutId": sms.reference,
            # For a code that PNVS generates. It is given our code's length in case PNVS compares them.
            "CodeLength": str(len(sms.code.get_secret_value())),
            "ValidTime": str(self._minutes * 60),
            **_DELIVER_ONLY,
        }


def read_response(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> ProviderResult:
    """Return the meaning of the response to SendSmsVerifyCode."""
    return _SEND_SMS_VERIFY_CODE.interpret(status, headers, body, now)


def lookup_pnvs(code: str) -> ErrorCodeInfo:
    """Return the meaning of the `Code` in a response of PNVS, which drops the prefixes of the SMS service."""
    prefixed = (CODES.get(prefix + code) for prefix in _PREFIXES)
    return PNVS_CODES.get(code) or next(filter(None, prefixed), None) or lookup(code)


def next_send_at(message: str, now: datetime) -> datetime:
    """Return when a number with this flow control *message* may get its next SMS."""
    if _DAY in message.lower():
        return flow_control.next_window_start(flow_control.Window.DAY, now)
    return flow_control.next_send_at(message, now)


def _biz_id(fields: Mapping[str, object]) -> object:
    model = fields.get("Model")
    return model.get("BizId") if isinstance(model, Mapping) else None


_SEND_SMS_VERIFY_CODE = ResponseInterpreter(
    lookup=lookup_pnvs, biz_id=_biz_id, next_send_at=next_send_at, business_uses_4xx=True
)
