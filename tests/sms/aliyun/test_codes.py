from __future__ import annotations

import pytest

from otp_service.sms.aliyun.protocol.codes import (
    CODES,
    ErrorCodeInfo,
    ResponsibleParty,
    Retry,
    SendOutcome,
    lookup,
)
from otp_service.sms.aliyun.protocol.receipts import (
    RECEIPTS,
    Delivery,
    ReceiptCodeInfo,
    lookup_receipt,
    plain_code,
)

SEED = [
    "OK",
    "isp.RAM_PERMISSION_DENY",
    "isv.OUT_OF_SERVICE",
    "isv.PRODUCT_UN_SUBSCRIPT",
    "isv.PRODUCT_UNSUBSCRIBE",
    "isv.ACCOUNT_NOT_EXISTS",
    "isv.ACCOUNT_ABNORMAL",
    "isv.SMS_TEMPLATE_ILLEGAL",
    "isv.SMS_SIGNATURE_ILLEGAL",
    "isv.INVALID_PARAMETERS",
    "isp.SYSTEM_ERROR",
    "isv.MOBILE_NUMBER_ILLEGAL",
    "isv.MOBILE_COUNT_OVER_LIMIT",
    "isv.TEMPLATE_MISSING_PARAMETERS",
    "isv.BUSINESS_LIMIT_CONTROL",
    "isv.INVALID_JSON_PARAM",
    "isv.BLACK_KEY_CONTROL_LIMIT",
    "isv.PARAM_LENGTH_LIMIT",
    "isv.PARAM_NOT_SUPPORT_URL",
    "isv.AMOUNT_NOT_ENOUGH",
]

CASES = [
    ("OK", SendOutcome.ACCEPTED, ResponsibleParty.NONE, Retry.NO, 200),
    ("isv.BUSINESS_LIMIT_CONTROL", SendOutcome.REFUSED, ResponsibleParty.RECIPIENT_LIMIT, Retry.LATER, 200),
    ("isv.DAY_LIMIT_CONTROL", SendOutcome.REFUSED, ResponsibleParty.OPERATOR, Retry.LATER, 200),
    ("isv.MOBILE_NUMBER_ILLEGAL", SendOutcome.REFUSED, ResponsibleParty.RECIPIENT, Retry.NO, 200),
    ("isv.BLACK_KEY_CONTROL_LIMIT", SendOutcome.REFUSED, ResponsibleParty.RECIPIENT, Retry.NO, 200),
    ("isv.SMS_SIGNATURE_ILLEGAL", SendOutcome.REFUSED, ResponsibleParty.OPERATOR, Retry.NO, 200),
    ("isv.TEMPLATE_MISSING_PARAMETERS", SendOutcome.REFUSED, ResponsibleParty.DEVELOPER, Retry.NO, 200),
    ("isp.RAM_PERMISSION_DENY", SendOutcome.REFUSED, ResponsibleParty.OPERATOR, Retry.NO, 200),
    ("isp.SYSTEM_ERROR", SendOutcome.UNKNOWN, ResponsibleParty.PROVIDER, Retry.AFTER_RECEIPT, 200),
    ("isp.GATEWAY_ERROR", SendOutcome.UNKNOWN, ResponsibleParty.PROVIDER, Retry.AFTER_RECEIPT, 200),
    ("InvalidAccessKeyId.NotFound", SendOutcome.REFUSED, ResponsibleParty.OPERATOR, Retry.NO, 404),
    ("SignatureDoesNotMatch", SendOutcome.REFUSED, ResponsibleParty.OPERATOR, Retry.NO, 400),
    ("InvalidTimeStamp.Expired", SendOutcome.REFUSED, ResponsibleParty.OPERATOR, Retry.NO, 400),
    ("InvalidAction.NotFound", SendOutcome.REFUSED, ResponsibleParty.DEVELOPER, Retry.NO, 404),
    ("Throttling", SendOutcome.REFUSED, ResponsibleParty.PROVIDER, Retry.BACKOFF, 400),
    ("Throttling.User", SendOutcome.REFUSED, ResponsibleParty.PROVIDER, Retry.BACKOFF, 400),
    ("Throttling.Whatever", SendOutcome.REFUSED, ResponsibleParty.PROVIDER, Retry.BACKOFF, 400),
    ("MissingSignName", SendOutcome.REFUSED, ResponsibleParty.DEVELOPER, Retry.NO, 400),
    ("InvalidSomething", SendOutcome.REFUSED, ResponsibleParty.DEVELOPER, Retry.NO, 400),
    ("InvalidSecurityToken.Odd", SendOutcome.REFUSED, ResponsibleParty.OPERATOR, Retry.NO, 403),
    ("ServiceUnavailable", SendOutcome.UNKNOWN, ResponsibleParty.PROVIDER, Retry.AFTER_RECEIPT, 503),
    ("InternalError", SendOutcome.UNKNOWN, ResponsibleParty.PROVIDER, Retry.AFTER_RECEIPT, 500),
    ("isv.NEVER_SEEN", SendOutcome.REFUSED, ResponsibleParty.OPERATOR, Retry.NO, 200),
    ("Never.Seen", SendOutcome.REFUSED, ResponsibleParty.PROVIDER, Retry.NO, 200),
]


@pytest.mark.parametrize(("code", "outcome", "who", "retry", "status"), CASES, ids=[c[0] for c in CASES])
def test_code_is_classified(
    code: str, outcome: SendOutcome, who: ResponsibleParty, retry: Retry, status: int
) -> None:
    info = lookup(code)

    assert (info.code, info.outcome, info.responsible, info.retry, info.http_status) == (
        code,
        outcome,
        who,
        retry,
        status,
    )


@pytest.mark.parametrize("code", SEED)
def test_original_code_has_a_row(code: str) -> None:
    assert code in CODES


@pytest.mark.parametrize("info", CODES.values(), ids=CODES)
def test_row_explains_itself_in_both_languages(info: ErrorCodeInfo) -> None:
    assert info.english.endswith(".")
    assert not info.chinese.isascii()
    assert info.message


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("MissingSignName", "SignName is mandatory for this action."),
        ("InvalidFormat", "Specified parameter Format is not valid."),
    ],
)
def test_family_names_the_parameter_in_its_message(code: str, message: str) -> None:
    assert lookup(code).message == message


@pytest.mark.parametrize(
    ("code", "delivery", "who"),
    [
        ("DELIVERED", Delivery.DELIVERED, ResponsibleParty.NONE),
        ("DELIVRD", Delivery.DELIVERED, ResponsibleParty.NONE),
        ("REQUEST_SUCCESS", Delivery.WAITING, ResponsibleParty.PROVIDER),
        ("MOBILE_NOT_ON_SERVICE", Delivery.UNDELIVERED, ResponsibleParty.RECIPIENT),
        ("PORT_NOT_REGISTERED", Delivery.UNDELIVERED, ResponsibleParty.OPERATOR),
        ("MK:0012", Delivery.UNDELIVERED, ResponsibleParty.PROVIDER),
        ("UNDELIV", Delivery.UNDELIVERED, ResponsibleParty.PROVIDER),
        ("EXPIRED", Delivery.UNDELIVERED, ResponsibleParty.RECIPIENT),
        ("REJECTD", Delivery.UNDELIVERED, ResponsibleParty.PROVIDER),
        ("ACCEPTD", Delivery.WAITING, ResponsibleParty.PROVIDER),
    ],
)
def test_receipt_code_is_classified(code: str, delivery: Delivery, who: ResponsibleParty) -> None:
    info = lookup_receipt(code)

    assert (info.code, info.delivery, info.responsible) == (code, delivery, who)


def test_receipt_code_of_aliyuns_example_is_read() -> None:
    assert lookup_receipt("SP_UNKNOW_ERROR") == lookup_receipt("SP_UNKNOWN_ERROR")
    assert plain_code("SP_UNKNOW_ERROR") == "SP_UNKNOWN_ERROR"


@pytest.mark.parametrize(
    ("code_as_sent", "code"),
    [
        ("MK:0012", "MK:0012"),
        (" DELIVRD ", "DELIVRD"),
        (17, "17"),
        (17.0, "17"),
        (True, ""),
        (None, ""),
        ([], ""),
    ],
    ids=str,
)
def test_receipt_code_may_be_a_number(code_as_sent: object, code: str) -> None:
    assert plain_code(code_as_sent) == code


@pytest.mark.parametrize("info", RECEIPTS.values(), ids=RECEIPTS)
def test_receipt_explains_itself_in_both_languages(info: ReceiptCodeInfo) -> None:
    assert info.english.endswith(".")
    assert not info.chinese.isascii()
