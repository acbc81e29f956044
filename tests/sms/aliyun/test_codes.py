from __future__ import annotations

import pytest

from otp_service.sms.aliyun.protocol.codes import CODES, CodeRow, Outcome, Retry, Who, lookup
from otp_service.sms.aliyun.protocol.receipts import (
    RECEIPTS,
    Delivery,
    ReceiptRow,
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
    ("OK", Outcome.ACCEPTED, Who.NOBODY, Retry.NO, 200),
    ("isv.BUSINESS_LIMIT_CONTROL", Outcome.REFUSED, Who.LIMIT, Retry.LATER, 200),
    ("isv.DAY_LIMIT_CONTROL", Outcome.REFUSED, Who.OPERATOR, Retry.LATER, 200),
    ("isv.MOBILE_NUMBER_ILLEGAL", Outcome.REFUSED, Who.NUMBER, Retry.NO, 200),
    ("isv.BLACK_KEY_CONTROL_LIMIT", Outcome.REFUSED, Who.NUMBER, Retry.NO, 200),
    ("isv.SMS_SIGNATURE_ILLEGAL", Outcome.REFUSED, Who.OPERATOR, Retry.NO, 200),
    ("isv.TEMPLATE_MISSING_PARAMETERS", Outcome.REFUSED, Who.CALLER, Retry.NO, 200),
    ("isp.RAM_PERMISSION_DENY", Outcome.REFUSED, Who.OPERATOR, Retry.NO, 200),
    ("isp.SYSTEM_ERROR", Outcome.UNKNOWN, Who.PROVIDER, Retry.AFTER_RECEIPT, 200),
    ("isp.GATEWAY_ERROR", Outcome.UNKNOWN, Who.PROVIDER, Retry.AFTER_RECEIPT, 200),
    ("InvalidAccessKeyId.NotFound", Outcome.REFUSED, Who.OPERATOR, Retry.NO, 404),
    ("SignatureDoesNotMatch", Outcome.REFUSED, Who.OPERATOR, Retry.NO, 400),
    ("InvalidTimeStamp.Expired", Outcome.REFUSED, Who.OPERATOR, Retry.NO, 400),
    ("InvalidAction.NotFound", Outcome.REFUSED, Who.CALLER, Retry.NO, 404),
    ("Throttling", Outcome.REFUSED, Who.PROVIDER, Retry.BACKOFF, 400),
    ("Throttling.User", Outcome.REFUSED, Who.PROVIDER, Retry.BACKOFF, 400),
    ("Throttling.Whatever", Outcome.REFUSED, Who.PROVIDER, Retry.BACKOFF, 400),
    ("MissingSignName", Outcome.REFUSED, Who.CALLER, Retry.NO, 400),
    ("InvalidSomething", Outcome.REFUSED, Who.CALLER, Retry.NO, 400),
    ("InvalidSecurityToken.Odd", Outcome.REFUSED, Who.OPERATOR, Retry.NO, 403),
    ("ServiceUnavailable", Outcome.UNKNOWN, Who.PROVIDER, Retry.AFTER_RECEIPT, 503),
    ("InternalError", Outcome.UNKNOWN, Who.PROVIDER, Retry.AFTER_RECEIPT, 500),
    ("isv.NEVER_SEEN", Outcome.REFUSED, Who.OPERATOR, Retry.NO, 200),
    ("Never.Seen", Outcome.REFUSED, Who.PROVIDER, Retry.NO, 200),
]


@pytest.mark.parametrize(("code", "outcome", "who", "retry", "status"), CASES, ids=[c[0] for c in CASES])
def test_code_is_classified(code: str, outcome: Outcome, who: Who, retry: Retry, status: int) -> None:
    row = lookup(code)

    assert (row.code, row.outcome, row.who, row.retry, row.http_status) == (
        code,
        outcome,
        who,
        retry,
        status,
    )


@pytest.mark.parametrize("code", SEED)
def test_original_code_has_a_row(code: str) -> None:
    assert code in CODES


@pytest.mark.parametrize("row", CODES.values(), ids=CODES)
def test_row_explains_itself_in_both_languages(row: CodeRow) -> None:
    assert row.english.endswith(".")
    assert not row.chinese.isascii()
    assert row.message


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
        ("DELIVERED", Delivery.DELIVERED, Who.NOBODY),
        ("DELIVRD", Delivery.DELIVERED, Who.NOBODY),
        ("REQUEST_SUCCESS", Delivery.WAITING, Who.PROVIDER),
        ("MOBILE_NOT_ON_SERVICE", Delivery.UNDELIVERED, Who.NUMBER),
        ("PORT_NOT_REGISTERED", Delivery.UNDELIVERED, Who.OPERATOR),
        ("MK:0012", Delivery.UNDELIVERED, Who.PROVIDER),
        ("UNDELIV", Delivery.UNDELIVERED, Who.PROVIDER),
        ("EXPIRED", Delivery.UNDELIVERED, Who.NUMBER),
        ("REJECTD", Delivery.UNDELIVERED, Who.PROVIDER),
        ("ACCEPTD", Delivery.WAITING, Who.PROVIDER),
    ],
)
def test_receipt_code_is_classified(code: str, delivery: Delivery, who: Who) -> None:
    row = lookup_receipt(code)

    assert (row.code, row.delivery, row.who) == (code, delivery, who)


def test_receipt_code_is_read_as_aliyun_spells_it_in_its_example() -> None:
    assert lookup_receipt("SP_UNKNOW_ERROR") == lookup_receipt("SP_UNKNOWN_ERROR")
    assert plain_code("SP_UNKNOW_ERROR") == "SP_UNKNOWN_ERROR"


@pytest.mark.parametrize(
    ("told", "code"),
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
def test_receipt_code_may_be_a_number(told: object, code: str) -> None:
    assert plain_code(told) == code


@pytest.mark.parametrize("row", RECEIPTS.values(), ids=RECEIPTS)
def test_receipt_explains_itself_in_both_languages(row: ReceiptRow) -> None:
    assert row.english.endswith(".")
    assert not row.chinese.isascii()
