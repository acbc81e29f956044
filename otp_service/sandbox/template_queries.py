"""The actions `QuerySmsTemplate` and `GetSmsTemplate`: a template's text and how far its review is.

https://help.aliyun.com/document_detail/419289.html and
https://help.aliyun.com/zh/sms/developer-reference/api-dysmsapi-2017-05-25-getsmstemplate
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from otp_service.sandbox.answers import Answer, Refused, accepted
from otp_service.sandbox.reviews import Review
from otp_service.sandbox.sign_queries import CREATED, audit_info
from otp_service.sandbox.state import SandboxState, demand
from otp_service.sms.aliyun.protocol.templates import variables

#: What the remarks say when nothing was rejected.
_NO_REMARKS = "无审批备注"
#: The kind of a template: verification.
_VERIFICATION, _INTERNATIONAL = 0, 3
#: What an international template is for: verification.
_INTERNATIONAL_VERIFICATION = 2
_ORDER = "20044156925"


def query_sms_template(desk: SandboxState, params: Mapping[str, str]) -> Answer:
    """Answer with the text and the state of one template.

    Raises:
        Refused: The account has no such template.
    """
    code, text, review = _find(desk, params)
    return accepted(
        {
            "TemplateCode": code,
            "TemplateName": code,
            "TemplateType": _kind(desk, code),
            "TemplateContent": text,
            "TemplateStatus": int(review.state),
            "Reason": review.reason or _NO_REMARKS,
            "CreateDate": CREATED,
        }
    )


def get_sms_template(desk: SandboxState, params: Mapping[str, str]) -> Answer:
    """Answer with the text, the state and the variables of one template; some numbers are texts here.

    Raises:
        Refused: The account has no such template.
    """
    code, text, review = _find(desk, params)
    kind = _kind(desk, code)
    purpose = {"IntlType": _INTERNATIONAL_VERIFICATION} if kind == _INTERNATIONAL else {}
    return accepted(
        {
            "TemplateCode": code,
            "TemplateName": code,
            "TemplateType": str(kind),
            **purpose,
            "TemplateContent": text,
            "TemplateStatus": str(int(review.state)),
            "TemplateTag": 2,
            "VariableAttribute": json.dumps(dict.fromkeys(variables(text), "characterWithNumber2")),
            "AuditInfo": audit_info(review),
            "CreateDate": CREATED,
            "OrderId": _ORDER,
        }
    )


def _kind(desk: SandboxState, code: str) -> int:
    return _INTERNATIONAL if code in desk.config.international_templates else _VERIFICATION


def _find(desk: SandboxState, params: Mapping[str, str]) -> tuple[str, str, Review]:
    (code,) = demand(params, "TemplateCode")
    text = desk.config.templates.get(code)
    if text is None:
        raise Refused("isv.SMS_TEMPLATE_ILLEGAL")
    return code, text, desk.config.review_of(code)
