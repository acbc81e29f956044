"""Spellings of codes and numbers over HTTP: calls and forms accept those of the table."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support import fakes, spellings
from support.html_forms import HtmlPage
from web.web_app import PHONE, WebApp, open_web_app

from otp_service.domain.codes import Code
from otp_service.domain.phone import PhoneRules
from otp_service.domain.policy import TestPhone

ID_SPELLINGS = [" {}", "{}\n", "\t{} ", "{}\u00a0", "\u200b{}", "\u2066{}\u2069", "{}\ufeff"]


def name_of(row: spellings.CodeSpelling | spellings.PhoneSpelling) -> str:
    return row["name"]


def web_app_with_code(code: str) -> WebApp:
    """Return a web app whose verifications of `PHONE` have the code *code*."""
    purpose = "login" if code.isdigit() else "transfer"
    test_phone = TestPhone(Code(code), fakes.NOW + 86_400)
    return open_web_app(
        fakes.harness(replace(fakes.SHOP, purposes=(purpose,)), test_phones={PHONE: test_phone})
    )


def attempts_left(web_app: WebApp, verification_id: str) -> int:
    answer = web_app.post("/otp/status", {"phone": PHONE, "verification_id": verification_id})
    return int(answer.get_json()["attempts_left"])


class Browser:
    """A browser on a hosted page."""

    def __init__(self, web_app: WebApp) -> None:
        created = web_app.post("/otp/pages", {"return_url": fakes.RETURN_URL})
        self.web_app, self.url = web_app, created.get_json()["url"]

    def page(self) -> HtmlPage:
        return HtmlPage(self.web_app.client.get(self.url).text)

    def send(self, action: str, **typed: str) -> HtmlPage:
        self.web_app.client.post(self.url, data={**self.page().form(action).fields, "wish": action, **typed})
        return self.page()


@pytest.mark.parametrize("row", spellings.CODES, ids=name_of)
def test_api_takes_a_code_in_any_spelling(row: spellings.CodeSpelling) -> None:
    web_app = web_app_with_code(row["code"] or "123456")
    verification_id = web_app.post("/otp/request", {"phone": PHONE}).get_json()["verification_id"]
    answer = web_app.verify(verification_id, row["typed"])

    if row["code"] is None:
        assert (answer.status_code, answer.get_json()["code"]) == (422, "invalid_code")
        assert attempts_left(web_app, verification_id) == 5
    else:
        assert answer.status_code == 200


@pytest.mark.parametrize("row", [row for row in spellings.CODES if row["code"]], ids=name_of)
def test_a_wrong_code_in_any_spelling_is_one_attempt(row: spellings.CodeSpelling) -> None:
    web_app = web_app_with_code("999999" if (row["code"] or "").isdigit() else "999ZZZ")
    verification_id = web_app.post("/otp/request", {"phone": PHONE}).get_json()["verification_id"]

    assert web_app.verify(verification_id, row["typed"]).get_json()["code"] == "wrong_code"
    assert attempts_left(web_app, verification_id) == 4


@pytest.mark.parametrize("row", spellings.CODES, ids=name_of)
def test_hosted_page_takes_a_code_in_any_spelling(row: spellings.CodeSpelling) -> None:
    browser = Browser(web_app_with_code(row["code"] or "123456"))
    browser.send("phone", phone=PHONE)
    page = browser.send("code", code=row["typed"])

    assert (page.title == "Your phone number is verified") == (row["code"] is not None)
    assert "attempts left" not in page.alert


def web_app_in(country: str) -> WebApp:
    """Return a web app of a service with this default region that sends to all countries of the table."""
    rules = PhoneRules(default_region=country, countries=frozenset(spellings.COUNTRIES))
    return open_web_app(fakes.harness(replace(fakes.SHOP, purposes=("login",)), phones=rules))


@pytest.mark.parametrize("row", spellings.PHONES, ids=name_of)
def test_api_takes_a_phone_in_any_spelling(row: spellings.PhoneSpelling) -> None:
    web_app = web_app_in(row["country"])
    answer = web_app.request(row["typed"])

    if row["e164"] is None:
        assert (answer.status_code, answer.get_json()["code"]) == (422, "invalid_phone")
    else:
        approved = web_app.verify(
            answer.get_json()["verification_id"], web_app.harness.sender.last_code, phone=row["e164"]
        )
        assert approved.get_json()["phone"] == row["e164"]


@pytest.mark.parametrize("row", spellings.PHONES, ids=name_of)
def test_hosted_page_takes_a_phone_in_any_spelling(row: spellings.PhoneSpelling) -> None:
    browser = Browser(web_app_in(row["country"]))
    page = browser.send("phone", phone=row["typed"])
    sent = [message.phone.e164 for message in browser.web_app.harness.sender.sent]

    assert sent == ([row["e164"]] if row["e164"] else [])
    assert page.alert == ("" if row["e164"] else "This is not a valid phone number.")


@pytest.mark.parametrize("spelling", ID_SPELLINGS, ids=ascii)
def test_pasted_id_is_found(web_app: WebApp, spelling: str) -> None:
    verification_id = web_app.open_verification()
    web_app.harness.clock.advance(61)
    pasted = spelling.format(f"{verification_id[:9]} {verification_id[9:]}")
    body = {"phone": PHONE, "verification_id": pasted}

    assert web_app.post("/otp/status", body).get_json()["verification_id"] == verification_id
    assert web_app.resend(pasted).get_json()["verification_id"] == verification_id
    assert web_app.verify(pasted, web_app.harness.sender.last_code).status_code == 200


def test_case_of_an_id_is_significant(web_app: WebApp) -> None:
    verification_id = web_app.open_verification()

    assert web_app.verify(verification_id.swapcase(), "123456").get_json()["code"] == "verification_not_found"
