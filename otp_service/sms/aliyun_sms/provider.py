"""The provider itself: one account, one sign name; touches the network through `HttpDoor`."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from datetime import UTC, datetime

from otp_service.aliyun.templates import BadParam, check_params
from otp_service.aliyun.timestamps import format_timestamp
from otp_service.messages import Sms, Template
from otp_service.ports import Clock, Fault
from otp_service.sms.aliyun_sms.answer import read_answer
from otp_service.sms.aliyun_sms.endpoint import DEFAULT_URL, Endpoint
from otp_service.sms.aliyun_sms.recipient import Unsendable, phone_numbers
from otp_service.sms.aliyun_sms.request import SIGN, Account, Signature, SignedRequest, Stamp
from otp_service.sms.http import HttpDoor, NoAnswer, NotSent
from otp_service.sms.provider import Trouble, Verdict, refused, unknown


def fresh_nonce() -> str:
    """Return 128 random bits."""
    return secrets.token_hex(16)


class AliyunSms:
    """Sends by SendSms.

    *door* is this account's own, as its connections are kept for one host; *nonce* returns another text at
    each call.

    Raises:
        BadEndpoint: *endpoint* is not `https://host[:port]`, or `http://` to this machine.
    """

    def __init__(
        self,
        *,
        account: Account,
        sign_name: str,
        door: HttpDoor,
        clock: Clock,
        endpoint: str = DEFAULT_URL,
        signature: Signature = Signature.V1,
        nonce: Callable[[], str] = fresh_nonce,
    ) -> None:
        self._account = account
        self._sign_name = sign_name
        self._door = door
        self._clock = clock
        self._endpoint = Endpoint.read(endpoint)
        self._sign = SIGN[signature]
        self._nonce = nonce

    def send(self, sms: Sms, template: Template, deadline: float) -> Verdict:
        """Send *sms* once; give up at *deadline* (monotonic seconds)."""
        try:
            request = self._request(sms, template)
        except Unsendable as error:
            return Verdict(refused(Fault.ROUTE, error.code))
        except BadParam:
            return Verdict(refused(Fault.ROUTE, "template_param"))
        return self._post(request, deadline - self._clock.monotonic())

    def close(self) -> None:
        """Close the idle connections."""
        self._door.close()

    def _request(self, sms: Sms, template: Template) -> SignedRequest:
        params = {
            "PhoneNumbers": phone_numbers(sms.phone),
            "SignName": self._sign_name,
            "TemplateCode": template.template_code,
            "TemplateParam": _template_param(sms, template),
            "OutId": sms.out_id,
        }
        stamp = Stamp(self._nonce(), format_timestamp(self._now()))
        return self._sign(self._endpoint, self._account, params, stamp)

    def _post(self, request: SignedRequest, seconds: float) -> Verdict:
        if seconds <= 0:
            return Verdict(refused(Fault.PROVIDER, "deadline"))
        try:
            answer = self._door.post(request.url, request.headers, request.body, seconds=seconds)
        except NotSent as error:
            return Verdict(refused(Fault.PROVIDER, f"not_sent.{error.reason}"), Trouble.TRANSPORT)
        except NoAnswer as error:
            return Verdict(unknown(f"no_answer.{error.reason}"), Trouble.TRANSPORT)
        return read_answer(answer.status, answer.headers, answer.body, self._now())

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now(), UTC)


def _template_param(sms: Sms, template: Template) -> str:
    """Write the variables as JSON of texts.

    Aliyun would refuse what breaks its rules too, but only after the limits of the number were touched.

    Raises:
        BadParam: they break a rule of verification templates.
    """
    params = template.template_param(sms.code)
    check_params((template.param, *template.params), params)
    return json.dumps(params, ensure_ascii=False, separators=(",", ":"))
