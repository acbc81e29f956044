"""Requests that match the OpenAPI document and that do not: every answer is described in it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import CHECKS
from schemathesis.config import SchemathesisConfig
from support import fakes
from web.web_app import OTHER_PHONE, PHONE, WebApp, open_web_app

REFUSED_FOR_WHAT_IT_MEANS = ["400", "410", "413", "422"]
"""A schema says what a phone looks like, not whether there is such a number."""

CONFIG = SchemathesisConfig.from_dict(
    {
        "checks": {
            "positive_data_acceptance": {
                "expected-statuses": ["2xx", "401", "403", "404", "409", "429", *REFUSED_FOR_WHAT_IT_MEANS]
            },
        }
    }
)
PAGE = "https://shop.example"
PUBLISHABLE_KEY = "pk_shop-0123456789abcdefghijklmnop"
WEB_APP = open_web_app(
    fakes.harness(replace(fakes.SHOP, publishable_key=PUBLISHABLE_KEY, origins=frozenset({PAGE})), fakes.BANK)
)
SCHEMA = schemathesis.openapi.from_wsgi("/openapi.json", WEB_APP.client.application, config=CONFIG)
KEY = {"Authorization": f"Bearer {fakes.SHOP_KEY}"}
BROWSER = {"Authorization": f"Bearer {PUBLISHABLE_KEY}", "Origin": PAGE}

a_while = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@SCHEMA.parametrize()
@a_while
def test_every_answer_is_described(case: Case) -> None:
    case.call_and_validate(headers=KEY)


@SCHEMA.include(method="POST").parametrize()
@a_while
def test_every_answer_to_calls_with_existing_ids_is_described(case: Case) -> None:
    """Generated values rarely name an existing phone, verification or proof; here they do."""
    WEB_APP.harness.store.clear()  # the limits, too
    if isinstance(case.body, dict):
        case.body |= real_values(WEB_APP, case.body)

    # A generated invalid request may have become valid.
    case.call_and_validate(headers=KEY, excluded_checks=CHECKS.get_by_names(["negative_data_rejection"]))


@SCHEMA.include(method="POST").parametrize()
@a_while
def test_every_answer_to_a_browser_is_described(case: Case) -> None:
    """Server fields and calls are `forbidden`, even if the call is otherwise valid."""
    WEB_APP.harness.store.clear()  # the limits, too

    case.call_and_validate(headers=BROWSER)


def real_values(web_app: WebApp, body: dict[str, Any]) -> dict[str, Any]:
    """Return existing values for some fields of *body*."""
    if "proof" in body:
        return {"proof": web_app.proof(), "purpose": "login"}
    if "verification_id" not in body or not body.get("phone"):
        return {"phone": OTHER_PHONE} if "phone" in body else {}
    verification_id = web_app.open_verification()
    web_app.harness.clock.advance(61)
    known = {"phone": PHONE, "verification_id": verification_id}
    return known | ({"code": web_app.harness.sender.last_code} if "code" in body else {})


@pytest.mark.parametrize("name", ["POST /otp/request", "POST /otp/verify", "POST /otp/redeem"])
def test_every_call_is_among_them(name: str) -> None:
    assert name in {operation.ok().label for operation in SCHEMA.get_all_operations()}
