"""The actions `QuerySmsSign` and `GetSmsSign`: how far the review of a sign name is.

https://help.aliyun.com/document_detail/419283.html and
https://help.aliyun.com/zh/sms/developer-reference/api-dysmsapi-2017-05-25-getsmssign
"""

from __future__ import annotations

from collections.abc import Mapping

from otp_service.sandbox.answers import Answer, Refused, accepted
from otp_service.sandbox.reviews import Review
from otp_service.sandbox.state import SandboxState, demand

#: Since when the account has had its sign names and templates.
CREATED = "2025-06-04 11:42:17"
REVIEWED = "2025-06-04 13:35:10"

_ORDER = "20044156924"
#: What carriers say of a sign name's registration: done, or not begun.
_REGISTERED, _NOT_REGISTERED = 3, -2
_CARRIERS = ("mobile", "unicom", "telecom")


def query_sms_sign(desk: SandboxState, params: Mapping[str, str]) -> Answer:
    """Answer with the state of one sign name.

    Raises:
        Refused: The account has no such sign name.
    """
    name, review = _find(desk, params)
    return accepted(
        {
            "SignName": name,
            "SignStatus": int(review.state),
            "Reason": review.reason,
            "CreateDate": CREATED,
        }
    )


def get_sms_sign(desk: SandboxState, params: Mapping[str, str]) -> Answer:
    """Answer with the state of one sign name, and what carriers say of it.

    Raises:
        Refused: The account has no such sign name.
    """
    name, review = _find(desk, params)
    return accepted(
        {
            "SignName": name,
            "SignStatus": int(review.state),
            "SignTag": "2",
            "AuditInfo": audit_info(review),
            "CreateDate": CREATED,
            "OrderId": _ORDER,
            "ThirdParty": False,
            "RegisterResult": 1 if review.passed else -1,
            "SignIspRegisterDetailList": [_registration(carrier, review) for carrier in _CARRIERS],
        }
    )


def audit_info(review: Review) -> dict[str, object]:
    """Write what the Get actions tell of a review: its date, and why it was a rejection."""
    return {"AuditDate": REVIEWED, "RejectInfo": review.reason}


def _find(desk: SandboxState, params: Mapping[str, str]) -> tuple[str, Review]:
    (name,) = demand(params, "SignName")
    if name not in desk.config.sign_names:
        raise Refused("isv.SMS_SIGNATURE_ILLEGAL")
    return name, desk.config.review_of(name)


def _registration(carrier: str, review: Review) -> dict[str, object]:
    status = _REGISTERED if review.passed else _NOT_REGISTERED
    return {"OperatorCode": carrier, "RegisterStatus": status, "OperatorCompleteTime": REVIEWED}
