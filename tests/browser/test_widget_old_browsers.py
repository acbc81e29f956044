"""The widget works from Chrome 80 and Safari 15 on; older browsers show a message."""

from __future__ import annotations

import pytest
from browser.answering import CORS
from playwright.sync_api import Browser, Page, expect
from support import chromium
from support.deployment import new_phone
from support.widget_shop import Shop

LACKING = {
    "AbortSignal.timeout": "delete AbortSignal.timeout;",
    "inert": "delete HTMLElement.prototype.inert;",
    "style sheets of scripts": """
        delete Document.prototype.adoptedStyleSheets;
        delete ShadowRoot.prototype.adoptedStyleSheets;
        window.CSSStyleSheet = class { constructor() { throw new TypeError("Illegal constructor"); } };
    """,
    "form-associated elements": """
        delete window.ElementInternals;
        delete HTMLElement.prototype.attachInternals;
    """,
    "internals without forms": "delete ElementInternals.prototype.setFormValue;",
    "names of regions": "delete Intl.DisplayNames;",
    "Object.hasOwn and others": """
        delete Object.hasOwn;
        delete window.structuredClone;
        delete Array.prototype.at;
        delete String.prototype.at;
        delete String.prototype.replaceAll;
        delete crypto.constructor.prototype.randomUUID;
        delete Promise.any;
        delete Array.prototype.findLast;
        delete Array.prototype.toSorted;
    """,
}
LACKING["all of them"] = "".join(LACKING.values()).replace(
    "delete ElementInternals.prototype.setFormValue;", ""
)


@pytest.mark.parametrize("script", LACKING.values(), ids=LACKING.keys())
def test_complete_verification_in_an_older_browser(browser: Browser, shop: Shop, script: str) -> None:
    with chromium.open_page(browser, bypass_csp=True) as (page, _):
        page.add_init_script(script)
        phone = new_phone()
        widget = shop.visit(page, 'purpose="login" required')
        before = len(shop.posted)
        page.get_by_role("button", name="Buy").click()
        expect(widget.phone).to_be_visible()
        expect(widget.code).to_be_hidden()
        assert chromium.accessibility_violations(page) == []
        widget.send(phone[3:])
        expect(widget.phone).to_be_hidden()
        assert chromium.accessibility_violations(page) == []
        widget.code.fill(shop.service.code(phone))
        expect(widget.done).to_be_visible()
        expect(widget.code).to_be_hidden()
        with page.expect_navigation():
            page.get_by_role("button", name="Buy").click()

    assert len(shop.posted) == before + 1
    proof = shop.posted[-1]["proof"][0]
    redeemed = shop.service.post("/otp/redeem", {"proof": proof, "purpose": "login"})
    assert (redeemed.status, redeemed.body["phone"]) == (200, phone)


def test_steps_are_separate_even_if_the_policy_blocks_styles(page: Page, shop: Shop) -> None:
    """An older browser needs an inline style, which such a policy blocks; the widget still works."""
    page.add_init_script(LACKING["style sheets of scripts"] + LACKING["inert"])
    phone = new_phone()
    widget = shop.visit(page)
    expect(widget.code).to_be_hidden()
    widget.send(phone[3:])
    expect(widget.phone).to_be_hidden()
    widget.code.fill(shop.service.code(phone))

    expect(widget.done).to_be_visible()


def test_hidden_field_follows_reset_and_disabled_of_its_form(page: Page, shop: Shop) -> None:
    page.add_init_script(LACKING["form-associated elements"])
    phone = new_phone()
    widget = shop.visit(page, 'purpose="login" name="checked"')
    value = "new FormData(document.getElementById('order')).get('checked')"
    widget.send(phone[3:])
    widget.code.fill(shop.service.code(phone))
    expect(widget.done).to_be_visible()
    verified = page.evaluate(value)
    widget.host.evaluate("element => element.setAttribute('disabled', '')")
    disabled = page.evaluate(value)
    widget.host.evaluate("element => element.removeAttribute('disabled')")
    enabled = page.evaluate(value)
    page.evaluate("document.getElementById('order').reset()")
    expect(widget.phone).to_have_value("")

    assert verified
    assert (disabled, enabled) == (None, verified)
    assert page.evaluate(value) is None


def test_required_form_is_stopped_if_the_browser_does_not_do_it(page: Page, shop: Shop) -> None:
    page.add_init_script(LACKING["form-associated elements"])
    widget = shop.visit(page, 'purpose="login" required')
    before = len(shop.posted)
    page.get_by_role("button", name="Buy").click()

    expect(widget.hint).to_have_text("Please verify your phone number.")
    expect(widget.phone).to_be_focused()
    assert len(shop.posted) == before


# ── unsupported browsers ──


OLD_PAGE = """() => {
  const element = document.createElement("otp-verify");
  const words = document.createElement("p");
  words.textContent = "Please call us.";
  element.append(words);
  document.body.append(element);
}"""


@pytest.mark.parametrize(
    "script",
    ["delete Element.prototype.attachShadow;", "delete window.AbortController;", "delete Intl.Locale;"],
)
def test_unsupported_browser_shows_a_message(page: Page, shop: Shop, script: str) -> None:
    page.add_init_script(script)
    widget = shop.visit(page)
    page.evaluate(OLD_PAGE)

    expect(widget.host.first).to_contain_text("This browser is too old")
    expect(widget.host.last).to_have_text("Please call us.")
    expect(widget.host.last).to_be_visible()


def test_page_can_choose_the_message_for_unsupported_browsers(page: Page, shop: Shop) -> None:
    """A browser that cannot parse the module shows the content of the element."""
    headers = {"access-control-allow-origin": "*"}
    page.route(
        "**/otp/widget.js",
        lambda route: route.fulfill(content_type="text/javascript", headers=headers, body="globalThis.x ="),
    )
    page.add_init_script("window.addEventListener('error', (event) => event.preventDefault())")
    widget = shop.visit(page)
    page.evaluate(OLD_PAGE)

    expect(widget.host.last).to_be_visible()


def test_message_for_unsupported_browsers_is_hidden_in_others(page: Page, shop: Shop) -> None:
    widget = shop.visit(page)
    page.evaluate(OLD_PAGE)

    expect(widget.host.last.locator("#phone")).to_be_visible()
    expect(page.get_by_text("Please call us.")).to_be_hidden()


# ── errors that are not network failures ──


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        ("window.fetch = () => Promise.reject(new TypeError('Failed to fetch'))", "cannot be reached"),
        ("window.Request = class { constructor() { throw new TypeError('no'); } }", "Something went wrong"),
        ("JSON.stringify = () => { throw new TypeError('no'); }", "Something went wrong"),
    ],
    ids=["network", "request that cannot be made", "body that cannot be made"],
)
def test_only_a_network_failure_is_shown_as_one(page: Page, shop: Shop, break_it: str, message: str) -> None:
    widget = shop.visit(page)
    widget.phone.fill("13800138000")
    page.evaluate(f"() => {{ {break_it} }}")
    widget.part("send").click()

    expect(widget.hint).to_contain_text(message)


def test_invalid_key_is_not_shown_as_a_network_failure(page: Page, shop: Shop) -> None:
    widget = shop.visit(page)
    widget.host.evaluate("element => element.setAttribute('publishable-key', 'ключ')")
    widget.phone.fill("13800138000")
    widget.part("send").click()

    expect(widget.hint).to_have_text("Something went wrong. Please try again later.")


def test_call_is_aborted_after_a_time_without_abort_signal_timeout(page: Page, shop: Shop) -> None:
    page.add_init_script(LACKING["AbortSignal.timeout"])
    page.clock.install()
    page.route(
        "**/otp/request",
        lambda route: None if route.request.method == "POST" else route.fulfill(headers=CORS),
    )
    widget = shop.visit(page)
    widget.phone.fill("13800138000")
    with page.expect_request(
        lambda request: request.url.endswith("/otp/request") and request.method == "POST"
    ):
        widget.part("send").click()
    page.clock.fast_forward(21_000)

    expect(widget.hint).to_contain_text("The service cannot be reached.")
