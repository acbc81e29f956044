"""The widget from the first key to the proof, as a person sees it."""

from __future__ import annotations

from browsing import Witness
from deployment import new_phone
from playwright.sync_api import Page, expect
from shop import Shop


def test_person_types_number_and_code_and_the_form_has_the_proof(
    page: Page, witness: Witness, shop: Shop
) -> None:
    phone = new_phone()
    widget = shop.visit(page)

    widget.send(phone[3:])
    widget.code.press_sequentially(shop.service.code(phone))
    expect(widget.done).to_contain_text(f"{phone[-4:]}\u2069 is verified.")
    page.get_by_role("button", name="Buy").click()
    page.get_by_text("Bought.").wait_for()

    proof = shop.posted[-1]["proof"][0]
    redeemed = shop.service.post("/otp/redeem", {"proof": proof, "purpose": "login"})
    assert (redeemed.status, redeemed.body["phone"]) == (200, phone)
    assert len(shop.service.inbox(phone)) == 1
    origins = (shop.url, shop.service.url, "data:")
    assert [url for url in witness.requests if not url.startswith(origins)] == []
