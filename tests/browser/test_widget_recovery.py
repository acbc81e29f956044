"""Recovery after a lost network, a reload or a closed tab, without another SMS or attempt."""

from __future__ import annotations

import json
from typing import Any

from playwright.sync_api import Browser, Page, Route, expect
from support import chromium
from support.deployment import new_phone
from support.widget_shop import Shop, Widget


def stored(page: Page) -> dict[str, Any]:
    """Return what the widget stores in the tab."""
    texts: list[str] = page.evaluate("Object.values({...sessionStorage})")
    return json.loads(texts[0]) if texts else {}


def lose_the_answer(route: Route) -> None:
    """Deliver the request and drop its answer."""
    route.fetch()
    route.abort()


def done(widget: Widget) -> None:
    expect(widget.done).to_be_visible()


def test_reload_continues_at_the_same_step(page: Page, shop: Shop) -> None:
    phone = new_phone()
    widget = shop.visit(page)
    widget.send(phone[3:])
    code = shop.service.code(phone)
    widget.code.press_sequentially(code[:3])
    with page.expect_response("**/otp/status") as response_info:
        page.reload()
    expect(widget.code).to_be_visible()
    expect(widget.code).to_have_value("")
    expect(widget.part("label").nth(1)).to_contain_text(f"****{phone[-4:]}")
    expect(widget.part("resend")).to_have_attribute("aria-disabled", "true")
    widget.code.fill(code)
    done(widget)

    assert response_info.value.json()["sends"] is None
    assert len(shop.service.inbox(phone)) == 1


def test_code_is_never_stored_and_nothing_is_stored_after_the_end(page: Page, shop: Shop) -> None:
    phone = new_phone()
    widget = shop.visit(page)
    widget.send(phone[3:])
    code = shop.service.code(phone)
    other = f"{(int(code) + 1) % 10**6:06d}"
    widget.code.fill(other)
    expect(widget.hint).to_contain_text("Wrong code")
    kept = stored(page)
    widget.code.fill(code)
    done(widget)

    assert kept["phone"] == phone
    assert kept["id"]
    assert {code, other} & set(map(str, kept.values())) == set()
    assert code not in json.dumps(kept)
    assert page.evaluate("sessionStorage.length") == 0
    assert page.evaluate("localStorage.length") == 0
    assert page.context.cookies() == []


def test_used_attempts_are_known_after_a_reload(page: Page, shop: Shop) -> None:
    phone = new_phone()
    widget = shop.visit(page)
    widget.send(phone[3:])
    widget.code.fill(f"{(int(shop.service.code(phone)) + 1) % 10**6:06d}")
    expect(widget.hint).to_have_text("Wrong code. Attempts left: 4.")
    page.reload()

    expect(widget.hint).to_have_text("Attempts left: 4.")


def test_back_button_continues_at_the_same_step(page: Page, shop: Shop) -> None:
    phone = new_phone()
    widget = shop.visit(page)
    widget.send(phone[3:])
    page.goto(f"{shop.url}/elsewhere")
    page.go_back()
    expect(widget.code).to_be_visible()
    widget.code.fill(shop.service.code(phone))

    done(widget)


def test_reload_after_expiry_shows_a_message(page: Page, shop: Shop) -> None:
    phone = new_phone()
    widget = shop.visit(page)
    widget.send(phone[3:])
    shop.service.post("/otp/cancel", {"phone": phone, "verification_id": stored(page)["id"]})
    page.reload()

    expect(widget.hint).to_have_text("This code was canceled. Ask for a new one.")
    expect(widget.phone).to_have_value(f"{phone[3:6]} {phone[6:10]} {phone[10:]}")


def test_lost_network_shows_a_message_and_the_request_is_repeated(page: Page, shop: Shop) -> None:
    phone = new_phone()
    widget = shop.visit(page)
    page.context.set_offline(True)
    widget.phone.fill(phone[3:])
    widget.part("send").click()
    expect(widget.hint).to_contain_text("The service cannot be reached.")
    page.context.set_offline(False)
    widget.code.wait_for()
    code = shop.service.code(phone)
    page.context.set_offline(True)
    widget.code.fill(code)
    expect(widget.hint).to_contain_text("The service cannot be reached.")
    page.context.set_offline(False)

    done(widget)
    assert len(shop.service.inbox(phone)) == 1


def test_lost_answer_to_a_request_sends_no_second_sms(page: Page, shop: Shop) -> None:
    phone = new_phone()
    page.route("**/otp/request", lose_the_answer, times=1)
    widget = shop.visit(page)
    widget.phone.fill(phone[3:])
    widget.part("send").click()
    expect(widget.hint).to_contain_text("The service cannot be reached.")
    widget.part("send").click()
    widget.code.fill(shop.service.code(phone))

    done(widget)
    assert len(shop.service.inbox(phone)) == 1


def test_reload_before_the_answer_sends_no_second_sms(page: Page, shop: Shop) -> None:
    phone = new_phone()
    page.route("**/otp/request", lose_the_answer, times=1)
    widget = shop.visit(page)
    widget.phone.fill(phone[3:])
    widget.part("send").click()
    expect(widget.hint).to_contain_text("The service cannot be reached.")
    page.reload()
    expect(widget.phone).to_have_value(f"{phone[3:6]} {phone[6:10]} {phone[10:]}")
    widget.part("send").click()
    widget.code.fill(shop.service.code(phone))

    done(widget)
    assert len(shop.service.inbox(phone)) == 1


def test_reload_while_the_sms_is_sent_waits_for_it(page: Page, shop: Shop) -> None:
    """The provider takes three seconds; the second request meets the first one in progress."""
    phone = "+8613800004001"
    widget = shop.visit(page)
    widget.phone.fill(phone[3:])
    with page.expect_request("**/otp/request"):
        widget.part("send").click()
    page.reload()
    widget.part("send").click()
    widget.code.wait_for()

    assert len(shop.service.inbox(phone)) == 1


def test_lost_answer_to_a_code_uses_one_attempt_and_loses_no_proof(page: Page, shop: Shop) -> None:
    phone = new_phone()
    widget = shop.visit(page)
    widget.send(phone[3:])
    code = shop.service.code(phone)
    page.route("**/otp/verify", lose_the_answer, times=1)
    widget.code.fill(code)
    expect(widget.hint).to_contain_text("The service cannot be reached.")
    widget.part("verify").click()

    done(widget)
    assert shop.service.post("/otp/redeem", {"proof": widget.proof(), "purpose": "login"}).status == 200


def test_foreign_answer_does_not_end_the_verification(page: Page, shop: Shop) -> None:
    """An HTML page of a proxy, for example."""
    phone = new_phone()
    page.route(
        "**/otp/request",
        lambda route: route.fulfill(
            status=502, headers={"access-control-allow-origin": "*"}, body="<html>Bad Gateway</html>"
        ),
        times=1,
    )
    widget = shop.visit(page)
    widget.phone.fill(phone[3:])
    widget.part("send").click()
    expect(widget.hint).to_contain_text("The service cannot be reached.")
    widget.part("send").click()

    widget.code.wait_for()


def test_two_tabs_are_independent(browser: Browser, shop: Shop) -> None:
    phone, other = new_phone(), new_phone()
    with chromium.open_page(browser) as (page, _):
        first = shop.visit(page)
        second = shop.visit(page.context.new_page())
        first.send(phone[3:])
        second.phone.fill(phone[3:])
        second.part("send").click()
        expect(second.hint).to_have_text("An SMS was sent a moment ago. Please wait.")
        third = shop.visit(page.context.new_page())
        third.send(other[3:])
        first.code.fill(shop.service.code(phone))
        third.code.fill(shop.service.code(other))

        done(first)
        done(third)
        assert len(shop.service.inbox(phone)) == 1


def test_element_can_be_moved_within_the_page(page: Page, shop: Shop) -> None:
    phone = new_phone()
    widget = shop.visit(page)
    widget.send(phone[3:])
    page.evaluate("document.querySelector('h1').after(document.querySelector('otp-verify'))")
    expect(widget.code).to_be_visible()
    widget.code.fill(shop.service.code(phone))

    done(widget)
