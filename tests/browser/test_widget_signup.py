"""A complete verification with the widget, as a user sees it."""

from __future__ import annotations

import json
from typing import Any

from playwright.sync_api import Browser, Page, expect
from support import chromium
from support.chromium import BrowserLog
from support.deployment import new_phone
from support.widget_shop import Shop, Widget

SMS = "【Shop】Your code is {code}, valid for 5 minutes since 2026-11-25. Do not share it."


def verified(widget: Widget, phone: str, case: str | None = None) -> None:
    expect(widget.done, case).to_contain_text(f"{phone[-4:]}\u2069 is verified.")


def otp_calls(browser_log: BrowserLog) -> list[str]:
    return [url.rsplit("/", 1)[1] for url in browser_log.requests if "/otp/" in url]


def test_user_types_number_and_code_and_the_form_has_the_proof(
    page: Page, browser_log: BrowserLog, shop: Shop
) -> None:
    phone = new_phone()
    widget = shop.visit(page)

    widget.send(phone[3:])
    widget.code.press_sequentially(shop.service.code(phone))
    verified(widget, phone)
    page.get_by_role("button", name="Buy").click()
    page.get_by_text("Bought.").wait_for()

    proof = shop.posted[-1]["proof"][0]
    redeemed = shop.service.post("/otp/redeem", {"proof": proof, "purpose": "login"})
    assert (redeemed.status, redeemed.body["phone"]) == (200, phone)
    assert len(shop.service.inbox(phone)) == 1


def test_first_interaction_needs_one_request_and_no_third_party(
    page: Page, browser_log: BrowserLog, shop: Shop
) -> None:
    phone = new_phone()
    widget = shop.visit(page)
    page.wait_for_load_state("networkidle")
    at_rest = otp_calls(browser_log)
    widget.send(phone[3:])
    sent = otp_calls(browser_log)
    widget.code.fill(shop.service.code(phone))
    verified(widget, phone)

    assert at_rest == ["widget.js"]
    assert sent == ["widget.js", "request"]
    assert otp_calls(browser_log) == ["widget.js", "request", "verify"]
    origins = (shop.url, shop.service.url, "data:")
    assert [url for url in browser_log.requests if not url.startswith(origins)] == []


def test_double_clicks_send_one_sms_and_use_one_attempt(
    page: Page, browser_log: BrowserLog, shop: Shop
) -> None:
    phone = new_phone()
    widget = shop.visit(page)
    widget.phone.fill(phone[3:])
    widget.part("send").dblclick()
    widget.code.wait_for()
    code = shop.service.code(phone)
    wrong = f"{(int(code) + 1) % 10**6:06d}"
    widget.code.fill(wrong)
    widget.part("verify").dblclick()
    expect(widget.hint).to_have_text("Wrong code. Attempts left: 4.")
    widget.part("verify").dblclick()
    expect(widget.hint).to_have_text("Wrong code. Attempts left: 4.")

    assert otp_calls(browser_log) == ["widget.js", "request", "verify"]
    assert len(shop.service.inbox(phone)) == 1


def test_simultaneous_clicks_have_one_idempotency_key(page: Page, shop: Shop) -> None:
    """If both were sent, the service would still send only one SMS."""
    keys: list[str] = []
    page.route(
        "**/otp/request",
        lambda route: (keys.append(route.request.headers["idempotency-key"]), route.abort())[1],
    )
    widget = shop.visit(page)
    widget.phone.fill(new_phone()[3:])
    for _ in range(2):
        widget.part("send").click()
        expect(widget.hint).to_contain_text("cannot be reached")

    assert len(keys) == 2
    assert len(set(keys)) == 1


def test_code_is_found_in_pasted_text(browser: Browser, shop: Shop) -> None:
    with chromium.open_page(browser, permissions=["clipboard-read", "clipboard-write"]) as (page, _):
        widget = shop.visit(page)
        for pasted in ["{code}", " {head} {tail} ", "{head}-{tail}", SMS]:
            phone = new_phone()
            widget.reset()
            widget.send(phone[3:])
            code = shop.service.code(phone)
            page.evaluate(
                "text => navigator.clipboard.writeText(text)",
                pasted.format(code=code, head=code[:3], tail=code[3:]),
            )
            widget.code.focus()
            page.keyboard.press("Control+V")

            verified(widget, phone, f"pasted: {pasted}")


def test_code_field_accepts_letters_for_alphanumeric_codes(page: Page, shop: Shop) -> None:
    phone = new_phone()
    widget = shop.visit(page, 'purpose="signup"')
    widget.send(phone[3:])

    expect(widget.code).to_have_attribute("inputmode", "text")
    expect(widget.code).to_have_attribute("pattern", "[0-9A-Za-z]{6}")
    widget.code.press_sequentially(shop.service.code(phone).lower())
    verified(widget, phone)


def test_code_field_is_a_single_labelled_field(page: Page, shop: Shop) -> None:
    widget = shop.visit(page)
    widget.send(new_phone()[3:])

    expect(widget.host.locator("form:not([inert]) input")).to_have_count(1)
    expect(widget.code).to_have_attribute("autocomplete", "one-time-code")
    expect(widget.code).to_have_attribute("inputmode", "numeric")
    expect(widget.code).to_have_attribute("pattern", "[0-9]{6}")
    expect(widget.phone).to_have_attribute("autocomplete", "tel")


def test_number_may_be_filled_in_by_the_browser_in_any_spelling(page: Page, shop: Shop) -> None:
    widget = shop.visit(page)
    for filled in ["{e164}", "{national}", "0086{national}", "+86 139-{rest}"]:
        phone = new_phone()
        widget.reset()
        widget.phone.fill(filled.format(e164=phone, national=phone[3:], rest=phone[6:]))

        expect(widget.phone, filled).to_have_value(f"{phone[3:6]} {phone[6:10]} {phone[10:]}")
        widget.part("send").click()
        widget.code.wait_for()
        assert len(shop.service.inbox(phone)) == 1, filled


def test_code_may_be_filled_in_by_the_browser(page: Page, shop: Shop) -> None:
    """Autofill sets the whole value and sends one event."""
    phone = new_phone()
    widget = shop.visit(page)
    widget.send(phone[3:])
    widget.code.evaluate(
        "(input, code) => { input.value = code; input.dispatchEvent(new InputEvent('input')); }",
        shop.service.code(phone),
    )

    verified(widget, phone)


def test_code_is_read_from_the_sms_if_the_browser_supports_it(page: Page, shop: Shop) -> None:
    page.add_init_script("""
        window.OTPCredential = class {};
        window.asked = [];
        Object.defineProperty(navigator, "credentials", { value: {
          get: (options) => new Promise((resolve, reject) => {
            asked.push(options.otp.transport.join());
            options.signal.addEventListener("abort", () => reject(asked.push("aborted")));
            window.sms = (code) => resolve({ code });
          }),
        } });
    """)
    phone = new_phone()
    widget = shop.visit(page)
    widget.send(phone[3:])
    widget.part("change").click()
    expect(widget.phone).to_be_visible()
    other = new_phone()
    widget.send(other[3:])
    page.evaluate("code => sms(code)", shop.service.code(other))

    verified(widget, other)
    assert page.evaluate("asked") == ["sms", "aborted", "sms"]


def test_widget_can_be_used_with_the_keyboard(page: Page, shop: Shop) -> None:
    phone = new_phone()
    widget = shop.visit(page)
    keys = page.keyboard
    keys.press("Tab")
    keys.type(phone[3:])
    keys.press("Enter")
    expect(widget.code).to_be_focused()
    for part in ("verify", "resend", "change", "cancel"):
        keys.press("Tab")
        expect(widget.part(part)).to_be_focused()
    keys.press("Shift+Tab")
    keys.press("Enter")  # change the number
    expect(widget.phone).to_be_focused()
    other = new_phone()
    keys.press("Control+A")
    keys.type(other[3:])
    keys.press("Tab")
    keys.press("Space")
    expect(widget.code).to_be_focused()
    keys.type(shop.service.code(other))
    verified(widget, other)
    keys.press("Tab")
    expect(widget.part("restart")).to_be_focused()
    keys.press("Tab")
    expect(page.get_by_role("button", name="Buy")).to_be_focused()


KEYS = {
    "typed": (["1", "3", "8", "0", "0"], "138 00", 6),
    "in the middle": (["1", "3", "8", "0", "0", "ArrowLeft", "ArrowLeft", "ArrowLeft", "9"], "138 900", 5),
    "deleted": (["1", "3", "8", "0", "Backspace"], "138", 3),
    "whole": (["+", "8", "6", "1", "3", "8", "0"], "138 0", 5),
    "full width": (["１", "３", "８", "０"], "138 0", 5),
}


def test_number_is_grouped_while_it_is_typed(page: Page, shop: Shop) -> None:
    widget = shop.visit(page)
    for case, (keys, value, caret) in KEYS.items():
        widget.reset()
        expect(widget.phone).to_have_value("")
        widget.phone.focus()
        for key in keys:
            page.keyboard.insert_text(key) if len(key) == 1 else page.keyboard.press(key)

        expect(widget.phone, case).to_have_value(value)
        assert widget.phone.evaluate("input => input.selectionStart") == caret, case


def test_page_can_have_its_own_phone_field(page: Page, shop: Shop) -> None:
    phone = new_phone()
    widget = shop.visit(page, f'purpose="login" phone="{phone}"')

    expect(widget.phone).to_have_attribute("readonly", "")
    widget.part("send").click()
    widget.code.wait_for()
    expect(widget.part("change")).to_be_hidden()
    other = new_phone()
    widget.host.evaluate("(element, phone) => element.setAttribute('phone', phone)", other)
    expect(widget.phone).to_have_value(other)
    widget.part("send").click()
    widget.code.wait_for()
    widget.code.fill(shop.service.code(other))

    verified(widget, other)


def test_page_receives_the_events(page: Page, shop: Shop) -> None:
    phone = new_phone()
    widget = shop.visit(page)
    page.evaluate("""
        window.received = [];
        for (const name of ["otp-sent", "otp-problem", "otp-verified", "otp-canceled"])
          document.addEventListener(name, (event) => received.push([event.type, event.detail]));
    """)
    widget.send(phone[3:])
    code = shop.service.code(phone)
    widget.code.fill("000000" if code != "000000" else "000001")
    expect(widget.hint).to_contain_text("Wrong code")
    widget.code.fill(code)
    verified(widget, phone)

    received: list[tuple[str, dict[str, Any]]] = page.evaluate("received")
    assert [name for name, _ in received] == ["otp-sent", "otp-problem", "otp-verified"]
    assert received[1][1] == {"code": "wrong_code"}
    assert received[2][1].keys() == {"proof", "proof_expires_in", "verification_id", "purpose"}
    assert received[2][1]["proof"] == widget.proof()
    assert phone[3:] not in json.dumps(received[0])


def test_cancel_ends_the_verification_in_widget_and_service(page: Page, shop: Shop) -> None:
    phone = new_phone()
    widget = shop.visit(page)
    page.evaluate("""
        window.received = [];
        document.addEventListener("otp-sent", (event) => received.push(event.detail.verification_id));
        document.addEventListener("otp-canceled", () => received.push("canceled"));
    """)
    widget.send(phone[3:])
    with page.expect_response("**/otp/cancel") as ended:
        widget.part("cancel").click()
    assert ended.value.status == 204
    expect(widget.phone).to_be_visible()
    expect(widget.phone).to_have_value("")

    vid, canceled = page.evaluate("received")
    status = shop.service.post("/otp/status", {"phone": phone, "verification_id": vid})
    assert (status.body["status"], canceled) == ("canceled", "canceled")


def test_expired_proof_is_removed_from_the_form(page: Page, shop: Shop) -> None:
    phone = new_phone()
    page.clock.install()
    widget = shop.visit(page, 'purpose="login" required')
    widget.send(phone[3:])
    widget.code.fill(shop.service.code(phone))
    verified(widget, phone)
    assert widget.proof()
    page.clock.fast_forward(181_000)

    expect(widget.hint).to_have_text("That took too long. Please verify again.")
    assert widget.proof() == ""


def test_required_form_is_not_submitted_without_the_proof(page: Page, shop: Shop) -> None:
    phone = new_phone()
    before = len(shop.posted)
    widget = shop.visit(page, 'purpose="login" required name="checked"')
    page.get_by_role("button", name="Buy").click()
    message = widget.host.evaluate("element => element.matches(':invalid')")
    widget.send(phone[3:])
    widget.code.fill(shop.service.code(phone))
    verified(widget, phone)
    with page.expect_navigation():
        page.get_by_role("button", name="Buy").click()

    assert message is True
    assert [list(form) for form in shop.posted[before:]] == [["checked"]]


def test_reset_restarts_the_widget_and_a_disabled_one_sends_nothing(page: Page, shop: Shop) -> None:
    phone = new_phone()
    widget = shop.visit(page)
    widget.send(phone[3:])
    widget.code.fill(shop.service.code(phone))
    verified(widget, phone)
    page.evaluate("document.getElementById('order').reset()")
    expect(widget.phone).to_be_visible()
    assert widget.proof() == ""

    page.evaluate("""
        const fence = document.createElement("fieldset");
        const widget = document.querySelector("otp-verify");
        widget.replaceWith(fence);
        fence.append(widget);
        fence.disabled = true;
    """)
    expect(widget.part("send")).to_be_disabled()
