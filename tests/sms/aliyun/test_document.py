from __future__ import annotations

import re

import pytest
from support.package_sources import ROOT

from otp_service.domain import errors
from otp_service.sms.aliyun.protocol.codes import (
    CODES,
    PNVS_CODES,
    CodeRow,
    Outcome,
    Product,
    Retry,
    Who,
    lookup,
)
from otp_service.sms.aliyun.protocol.document import PROBLEMS, REGENERATE, answer_to_caller, document
from otp_service.sms.aliyun.protocol.gateway_codes import GATEWAY_FAMILIES
from otp_service.sms.aliyun.protocol.receipts import RECEIPTS
from otp_service.web.api.problems import STATUSES

ERRORS_PAGE = (ROOT / "docs/aliyun-errors.md").read_text("utf-8")
SETUP_PAGE = (ROOT / "docs/aliyun-setup.md").read_text("utf-8")

SEED_CODES = [
    # The list of the document of 2017, beside OK.
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
SEED_PARAMETERS = [
    "PhoneNumbers",
    "SignName",
    "TemplateCode",
    "TemplateParam",
    "OutId",
    "RequestId",
    "Code",
    "Message",
    "BizId",
]


def lines_of(page: str, cell: str) -> int:
    return sum(line.startswith(f"| `{cell}` |") for line in page.splitlines())


def test_the_page_is_what_the_table_says() -> None:
    assert document() == ERRORS_PAGE, f"docs/aliyun-errors.md is not of this table; run: {REGENERATE}"


def test_the_page_says_how_to_write_it() -> None:
    assert REGENERATE in ERRORS_PAGE


def test_every_line_of_a_table_has_as_many_cells_as_its_head() -> None:
    tables = re.findall(r"(?:^\|.*\n)+", ERRORS_PAGE, re.MULTILINE)

    assert len(tables) == 5
    assert [len({line.count("|") for line in table.splitlines()}) for table in tables] == [1] * 5


@pytest.mark.parametrize("code", [*CODES, *PNVS_CODES, *RECEIPTS])
def test_every_code_has_its_row(code: str) -> None:
    assert lines_of(ERRORS_PAGE, code) == 1


@pytest.mark.parametrize("family", [row.code for row in GATEWAY_FAMILIES])
def test_every_family_has_its_row(family: str) -> None:
    assert lines_of(ERRORS_PAGE, f"{family}…") == 1


@pytest.mark.parametrize("problem", sorted(set(PROBLEMS.values())))
def test_problems_are_those_of_the_service(problem: str) -> None:
    known = {f"{status} `{error.code}`" for error, status in STATUSES.items()}

    assert problem in known
    assert issubclass(
        next(error for error in STATUSES if f"`{error.code}`" in problem),
        errors.ProviderError,
    )


@pytest.mark.parametrize("who", [who for who in Who if who is not Who.NOBODY])
def test_a_refusal_is_a_problem_whoever_must_act(who: Who) -> None:
    row = CodeRow("X", Outcome.REFUSED, who, Retry.NO, "", "", 200, "")

    assert answer_to_caller(row) == PROBLEMS[who]


@pytest.mark.parametrize("row", PNVS_CODES.values(), ids=PNVS_CODES)
def test_codes_of_pnvs_have_no_prefix_and_are_no_codes_of_the_sms_service(row: CodeRow) -> None:
    assert (row.product, row.outcome) == (Product.PNVS, Outcome.REFUSED)
    assert "." not in row.code
    assert lookup(row.code).product is Product.SMS
    assert row.english.endswith(".")
    assert not row.chinese.isascii()


@pytest.mark.parametrize("code", ["BUSINESS_LIMIT_CONTROL", "MOBILE_NUMBER_ILLEGAL"])
def test_codes_of_pnvs_mean_what_they_mean_with_their_prefix(code: str) -> None:
    mine, other = PNVS_CODES[code], CODES[f"isv.{code}"]

    assert (mine.outcome, mine.who, mine.retry) == (other.outcome, other.who, other.retry)


@pytest.mark.parametrize("code", SEED_CODES)
def test_every_code_of_the_first_document_is_known_and_told(code: str) -> None:
    assert code in CODES
    assert lines_of(ERRORS_PAGE, code) == 1
    assert lines_of(SETUP_PAGE, code) == 1


def test_the_first_document_has_nineteen_codes() -> None:
    assert len(set(SEED_CODES)) == 19


@pytest.mark.parametrize("parameter", SEED_PARAMETERS)
def test_every_parameter_of_the_first_document_is_told(parameter: str) -> None:
    assert lines_of(SETUP_PAGE, parameter) == 1


def test_every_file_that_the_setup_page_names_exists() -> None:
    paths = re.findall(r"`((?:otp_service|tests|docs)/[\w/.-]+)`", SETUP_PAGE)

    assert len(paths) > 20
    assert [path for path in paths if not (ROOT / path).exists()] == []
