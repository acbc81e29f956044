"""The provider itself: one account, one preset sign name; touches the network through `AliyunApi`.

PNVS would draw codes and check them. Here it only carries ours: no code of its own, no second SMS of its own
accord, and no code in its answer. Aliyun says that it cannot check a code that it did not draw; whether it
keeps such a code is not known.

https://help.aliyun.com/zh/pnvs/developer-reference/api-dypnsapi-2017-05-25-sendsmsverifycode
"""

from __future__ import annotations

import json

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
from otp_service.sms.aliyun.pnvs_responses import read_answer
from otp_service.sms.aliyun.protocol.pnvs import MINUTES
from otp_service.sms.aliyun.protocol.templates import BadParam, check_params
from otp_service.sms.aliyun.recipients import MAINLAND, UnsupportedRecipient, mainland_number
from otp_service.sms.call import send_once
from otp_service.sms.provider import ProviderResult, not_attempted

ACTION = "SendSmsVerifyCode"
VERSION = "2017-05-25"

_ONLY_CARRY = {
    "DuplicatePolicy": "1",  # if it keeps anything, then nothing older beside it
    "Interval": "60",  # no second SMS within the shortest cooldown that settings allow
    "ReturnVerifyCode": "false",
    "AutoRetry": "0",  # by default it sends again, over other ways, what a carrier has refused
}


class AliyunPnvs:
    """Sends by SendSmsVerifyCode under one *sign_name*; a code is good for *minutes*."""

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
        return send_once(
            lambda: self._api.call(ACTION, params, seconds=seconds),
            lambda answer: read_answer(answer.status, answer.headers, answer.body, self._api.now()),
            seconds,
        )

    def lookup_delivery(self, lookup: DeliveryLookup, deadline: float) -> DeliveryLookupResult:
        """Ask nobody: it is not known that PNVS tells what became of a code that it did not draw."""
        del lookup, deadline
        return DeliveryLookupResult(DeliveryLookupStatus.UNSUPPORTED)

    def close(self) -> None:
        """Close the idle connections."""
        self._api.close()

    def _params(self, sms: SmsMessage, template: Template) -> dict[str, str]:
        """Return the whole call.

        Raises:
            UnsupportedRecipient: the number is not of the mainland.
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
            "OutId": sms.out_id,
            # Of the code that it need not draw: the same as ours, should it compare.
            "CodeLength": str(len(sms.code.get_secret_value())),
            "ValidTime": str(self._minutes * 60),
            **_ONLY_CARRY,
        }
