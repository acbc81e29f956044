"""Spellings over HTTP: what the table says is the right code or number is right in a call and in a form."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support import fakes, spellings
from support.html_forms import HtmlPage
from web.desk import PHONE, Desk, open_desk

from otp_service.domain.codes import Code
from otp_service.domain.phone import PhoneRules
from otp_service.domain.policy import TestPhone

ID_SPELLINGS = [" {}", "{}\n", "\t{} ", "{}\u00a0", "\u200b{}", "\u2066{}\u2069", "{}\ufeff"]


def name_of(row: spellings.CodeSpelling | spellings.PhoneSpelling) -> str:
    return row["name"]


def desk_with_code(code: str) -> Desk:
    """Return a desk at which the code of every verification of `PHONE` is *code*."""
    purpose = "login" if code.isdigit() else "transfer"
    test_phone = TestPhone(Code(code), fakes.NOW + 86_400)
    return open_desk(fakes.house(replace(fakes.SHOP, purposes=(purpose,)), test_phones={PHONE: test_phone}))


def attempts_left(desk: Desk, verification_id: str) -> int:
    answer = desk.post("/otp/status", {"phone": PHONE, "verification_id": verification_id})
    return int(answer.get_json()["attempts_left"])


class Browser:
    """A browser on a hosted page."""

    def __init__(self, desk: Desk) -> None:
        made = desk.post("/otp/pages", {"return_url": fakes.RETURN_URL})
        self.desk, self.url = desk, made.get_json()["url"]

    def page(self) -> HtmlPage:
        return HtmlPage(self.desk.client.get(self.url).text)

    def send(self, wish: str, **typed: str) -> HtmlPage:
        self.desk.client.post(self.url, data={**self.page().form(wish).fields, "wish": wish, **typed})
        return self.page()


@pytest.mark.parametrize("row", spellings.CODES, ids=name_of)
def test_api_takes_a_code_in_any_spelling(row: spellings.CodeSpelling) -> None:
    desk = desk_with_code(row["code"] or "123456")
    opened = desk.post("/otp/request", {"phone": PHONE}).get_json()["verification_id"]
    answer = desk.verify(opened, row["typed"])

    if row["code"] is None:
        assert (answer.status_code, answer.get_json()["code"]) == (422, "invalid_code")
        assert attempts_left(desk, opened) == 5
    else:
        assert answer.status_code == 200


@pytest.mark.parametrize("row", [row for row in spellings.CODES if row["code"]], ids=name_of)
def test_a_wrong_code_in_any_spelling_is_one_attempt(row: spellings.CodeSpelling) -> None:
    desk = desk_with_code("999999" if (row["code"] or "").isdigit() else "999ZZZ")
    opened = desk.post("/otp/request", {"phone": PHONE}).get_json()["verification_id"]

    assert desk.verify(opened, row["typed"]).get_json()["code"] == "wrong_code"
    assert attempts_left(desk, opened) == 4


@pytest.mark.parametrize("row", spellings.CODES, ids=name_of)
def test_hosted_page_takes_a_code_in_any_spelling(row: spellings.CodeSpelling) -> None:
    browser = Browser(desk_with_code(row["code"] or "123456"))
    browser.send("phone", phone=PHONE)
    page = browser.send("code", code=row["typed"])

    assert (page.title == "Your phone number is verified") == (row["code"] is not None)
    assert "attempts left" not in page.alert


def desk_in(country: str) -> Desk:
    """Return a desk of a service with this default region that sends to all countries of the table."""
    rules = PhoneRules(default_region=country, countries=frozenset(spellings.COUNTRIES))
    return open_desk(fakes.house(replace(fakes.SHOP, purposes=("login",)), phones=rules))


@pytest.mark.parametrize("row", spellings.PHONES, ids=name_of)
def test_api_takes_a_phone_in_any_spelling(row: spellings.PhoneSpelling) -> None:
    desk = desk_in(row["country"])
    answer = desk.request(row["typed"])

    if row["e164"] is None:
        assert (answer.status_code, answer.get_json()["code"]) == (422, "invalid_phone")
    else:
        approved = desk.verify(
            answer.get_json()["verification_id"], desk.house.sender.last_code, phone=row["e164"]
        )
        assert approved.get_json()["phone"] == row["e164"]


@pytest.mark.parametrize("row", spellings.PHONES, ids=name_of)
def test_hosted_page_takes_a_phone_in_any_spelling(row: spellings.PhoneSpelling) -> None:
    browser = Browser(desk_in(row["country"]))
    page = browser.send("phone", phone=row["typed"])
    sent = [message.phone.e164 for message in browser.desk.house.sender.sent]

    assert sent == ([row["e164"]] if row["e164"] else [])
    assert page.alert == ("" if row["e164"] else "This is not a valid phone number.")


@pytest.mark.parametrize("spelling", ID_SPELLINGS, ids=ascii)
def test_an_id_that_was_pasted_is_found(desk: Desk, spelling: str) -> None:
    opened = desk.opened()
    desk.house.clock.advance(61)
    pasted = spelling.format(f"{opened[:9]} {opened[9:]}")
    body = {"phone": PHONE, "verification_id": pasted}

    assert desk.post("/otp/status", body).get_json()["verification_id"] == opened
    assert desk.resend(pasted).get_json()["verification_id"] == opened
    assert desk.verify(pasted, desk.house.sender.last_code).status_code == 200


def test_case_of_an_id_is_significant(desk: Desk) -> None:
    opened = desk.opened()

    assert desk.verify(opened.swapcase(), "123456").get_json()["code"] == "verification_not_found"
