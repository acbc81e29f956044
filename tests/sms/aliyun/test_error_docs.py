from __future__ import annotations

import re

import pytest
from generate_error_docs import COMMAND, PROBLEMS, generate_page, response_to_caller
from support.package_sources import ROOT

from otp_service.domain import errors
from otp_service.sms.aliyun.protocol.codes import (
    CODES,
    PNVS_CODES,
    ErrorCodeInfo,
    Product,
    ResponsibleParty,
    Retry,
    SendOutcome,
    lookup,
)
from otp_service.sms.aliyun.protocol.gateway_codes import GATEWAY_FAMILIES
from otp_service.sms.aliyun.protocol.receipts import RECEIPTS
from otp_service.web.api.problems import STATUSES

ERRORS_PAGE = (ROOT / "docs/aliyun-errors.md").read_text("utf-8")
SETUP_PAGE = (ROOT / "docs/aliyun-setup.md").read_text("utf-8")

SEED_CODES = [
    # The list of the document of 2017, except OK.
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


def count_rows(page: str, cell: str) -> int:
    return sum(line.startswith(f"| `{cell}` |") for line in page.splitlines())


def test_page_is_up_to_date() -> None:
    assert generate_page() == ERRORS_PAGE, f"docs/aliyun-errors.md is out of date; run: {COMMAND}"


def test_page_names_the_command_that_generates_it() -> None:
    assert COMMAND in ERRORS_PAGE


def test_every_table_row_has_as_many_cells_as_the_header() -> None:
    tables = re.findall(r"(?:^\|.*\n)+", ERRORS_PAGE, re.MULTILINE)

    assert len(tables) == 5
    assert [len({line.count("|") for line in table.splitlines()}) for table in tables] == [1] * 5


@pytest.mark.parametrize("code", [*CODES, *PNVS_CODES, *RECEIPTS])
def test_every_code_has_its_row(code: str) -> None:
    assert count_rows(ERRORS_PAGE, code) == 1


@pytest.mark.parametrize("family", [info.code for info in GATEWAY_FAMILIES])
def test_every_family_has_its_row(family: str) -> None:
    assert count_rows(ERRORS_PAGE, f"{family}…") == 1


@pytest.mark.parametrize("problem", sorted(set(PROBLEMS.values())))
def test_problems_exist_in_the_api(problem: str) -> None:
    known = {f"{status} `{error.code}`" for error, status in STATUSES.items()}

    assert problem in known
    assert issubclass(
        next(error for error in STATUSES if f"`{error.code}`" in problem),
        errors.ProviderError,
    )


@pytest.mark.parametrize(
    "responsible", [party for party in ResponsibleParty if party is not ResponsibleParty.NONE]
)
def test_a_refusal_becomes_the_problem_of_the_responsible_party(responsible: ResponsibleParty) -> None:
    info = ErrorCodeInfo("X", SendOutcome.REFUSED, responsible, Retry.NO, "", "", 200, "")

    assert response_to_caller(info) == PROBLEMS[responsible]


@pytest.mark.parametrize("info", PNVS_CODES.values(), ids=PNVS_CODES)
def test_pnvs_codes_have_no_prefix_and_are_not_sms_codes(info: ErrorCodeInfo) -> None:
    assert (info.product, info.outcome) == (Product.PNVS, SendOutcome.REFUSED)
    assert "." not in info.code
    assert lookup(info.code).product is Product.SMS
    assert info.english.endswith(".")
    assert not info.chinese.isascii()


@pytest.mark.parametrize("code", ["BUSINESS_LIMIT_CONTROL", "MOBILE_NUMBER_ILLEGAL"])
def test_pnvs_code_means_the_same_as_the_prefixed_sms_code(code: str) -> None:
    mine, other = PNVS_CODES[code], CODES[f"isv.{code}"]

    assert (mine.outcome, mine.responsible, mine.retry) == (other.outcome, other.responsible, other.retry)


@pytest.mark.parametrize("code", SEED_CODES)
def test_every_code_of_the_document_of_2017_is_known_and_documented(code: str) -> None:
    assert code in CODES
    assert count_rows(ERRORS_PAGE, code) == 1
    assert count_rows(SETUP_PAGE, code) == 1


def test_document_of_2017_has_nineteen_codes() -> None:
    assert len(set(SEED_CODES)) == 19


@pytest.mark.parametrize("parameter", SEED_PARAMETERS)
def test_every_parameter_of_the_document_of_2017_is_documented(parameter: str) -> None:
    assert count_rows(SETUP_PAGE, parameter) == 1


def test_every_file_named_by_the_setup_page_exists() -> None:
    paths = re.findall(r"`((?:otp_service|tests|docs)/[\w/.-]+)`", SETUP_PAGE)

    assert len(paths) > 20
    assert [path for path in paths if not (ROOT / path).exists()] == []
