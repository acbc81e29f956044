"""Security of the widget: strict policies, texts that contain markup, and data leaks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from browser.answering import answer_calls
from playwright.sync_api import Page, Route, expect
from support.deployment import new_phone
from support.widget_shop import PUBLISHABLE_KEY, Shop

XSS = [
    "<img src=x onerror=window.broken=1>",
    '"><script>window.broken=1</script>',
    "javascript:window.broken=1",
    "${window.broken=1}{{window.broken=1}}",
    "</style><svg onload=window.broken=1>",
]
WATCH = """
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (event) => violations.push(event.violatedDirective));
"""


def test_widget_works_with_a_strict_policy(page: Page, shop: Shop) -> None:
    """The policy allows `'self'` and the service: no inline style, no inline script, no blob."""
    page.add_init_script(WATCH)
    phone = new_phone()
    widget = shop.visit(page)
    answer = page.reload()
    assert answer
    widget.send(phone[3:])
    widget.code.fill(shop.service.code(phone))
    expect(widget.done).to_be_visible()

    policy = answer.headers["content-security-policy"]
    assert policy.startswith(f"default-src 'self' {shop.service.url};")
    assert not {"unsafe-inline", "unsafe-eval", "blob:", "*"} & set(policy.replace("'", "").split())
    assert page.evaluate("violations") == []


def test_policy_of_the_test_blocks_inline_scripts(page: Page, shop: Shop) -> None:
    page.add_init_script(WATCH)
    shop.visit(page)
    page.evaluate("document.body.setAttribute('style', 'color: red')")
    page.wait_for_function("violations.length > 0")


def assert_page_is_intact(page: Page) -> None:
    page.wait_for_timeout(200)
    assert page.evaluate("window.broken") is None
    root = "document.querySelector('otp-verify').shadowRoot"
    assert page.evaluate(f"{root}.querySelectorAll('img, script, svg, style, iframe, a').length") == 0


@pytest.mark.parametrize(
    "attribute",
    ["purpose", "phone", "locale", "name", "texts", "lang", "part", "id", "service", "countries"],
)
def test_attributes_are_escaped(page: Page, shop: Shop, attribute: str) -> None:
    widget = shop.visit(page)
    for text in XSS:
        widget.host.evaluate("(element, [name, text]) => element.setAttribute(name, text)", [attribute, text])
        widget.part("send").click()

    assert_page_is_intact(page)


@pytest.mark.parametrize("text", XSS)
def test_custom_texts_are_escaped(page: Page, shop: Shop, text: str) -> None:
    phone = new_phone()
    widget = shop.visit(page)
    names = [
        "phone",
        "note",
        "send",
        "code",
        "arriving",
        "verify",
        "resend",
        "change",
        "cancel",
        "done",
        "wrong_code",
    ]
    widget.host.evaluate("(element, texts) => { element.texts = texts; }", dict.fromkeys(names, text))
    expect(widget.part("send")).to_contain_text(text[:2])
    widget.send(phone[3:])
    code = shop.service.code(phone)
    widget.code.fill(f"{(int(code) + 1) % 10**6:06d}")
    expect(widget.code).to_have_attribute("aria-invalid", "true")
    widget.code.fill(code)
    expect(widget.done).to_be_visible()

    assert_page_is_intact(page)


def test_typed_text_is_escaped(page: Page, shop: Shop) -> None:
    widget = shop.visit(page)
    for text in XSS:
        widget.phone.fill(text)
        widget.part("send").click()
        expect(widget.hint).to_have_text("This is not a valid phone number.")
    widget.send(new_phone()[3:])
    for text in XSS:
        widget.code.fill(text)

    assert_page_is_intact(page)


def answers(text: str) -> dict[str, dict[str, Any]]:
    """Return answers of a compromised service."""
    sent = {
        "verification_id": text, "status": text, "purpose": text, "phone_masked": text, "code_length": 6,
        "code_type": "digits", "expires_in": 300, "resend_in": 60, "attempts_left": text, "delivery": text,
    }  # fmt: skip
    return {
        "request": sent,
        "verify": {"code": "wrong_code", "title": text, "detail": text, "attempts_left": text},
        "status": {**sent, "status": "pending"},
    }


@pytest.mark.parametrize("text", XSS)
def test_texts_of_the_service_are_escaped(page: Page, shop: Shop, text: str) -> None:
    def answer(route: Route) -> None:
        call = route.request.url.rsplit("/", 1)[1]
        body = json.dumps(answers(text)[call])
        headers = {"access-control-allow-origin": "*", "access-control-allow-headers": "*"}
        status = 422 if call == "verify" else 201
        route.fulfill(status=status, headers=headers, content_type="application/json", body=body)

    widget = shop.visit(page)
    for call in ("request", "verify", "status"):
        page.route(f"**/otp/{call}", answer)
    widget.send("13800138000")
    expect(widget.host.locator("[for=code]")).to_contain_text(text)
    widget.code.fill("123456")
    expect(widget.hint).to_contain_text(text)
    page.reload()
    expect(widget.host.locator("[for=code]")).to_contain_text(text)

    assert_page_is_intact(page)


def test_unknown_problem_shows_a_general_message(page: Page, shop: Shop) -> None:
    widget = shop.visit(page)
    for code in ["constructor", "__proto__", "toString", "hasOwnProperty", ""]:
        page.unroute_all()
        answer_calls(page, request=(400, {"code": code}))
        widget.reset()
        expect(widget.host.locator("form:not([inert]) .bad")).to_have_count(0)
        widget.phone.fill("13800138000")
        widget.part("send").click()

        expect(widget.host.locator("form:not([inert]) .bad"), f"code: {code!r}").to_be_visible()
        expect(widget.hint, f"code: {code!r}").to_have_text("Something went wrong. Please try again later.")


def test_full_number_code_and_proof_are_in_no_url(page: Page, shop: Shop) -> None:
    seen: list[str] = []
    page.on("request", lambda request: seen.append(request.url + str(request.headers.get("referer"))))
    phone = new_phone()
    widget = shop.visit(page)
    widget.send(phone[3:])
    code = shop.service.code(phone)
    widget.code.fill(code)
    expect(widget.done).to_be_visible()

    assert [url for url in seen if phone[3:] in url or code in url or widget.proof() in url] == []


def test_calls_carry_no_cookies(page: Page, shop: Shop) -> None:
    page.context.add_cookies([{"name": "shop", "value": "secret", "url": shop.service.url}])
    widget = shop.visit(page)
    widget.phone.fill(new_phone()[3:])
    with page.expect_request("**/otp/request") as request_info:
        widget.part("send").click()

    assert "cookie" not in request_info.value.all_headers()
    assert request_info.value.headers["authorization"] == f"Bearer {PUBLISHABLE_KEY}"


def test_page_of_another_origin_gets_nothing(page: Page, shop: Shop) -> None:
    """The same page under another host name is another origin; the browser withholds the answers."""
    phone = new_phone()
    widget = shop.visit(page)
    page.goto(page.url.replace("127.0.0.1", "localhost"))
    widget.phone.fill(phone[3:])
    widget.part("send").click()

    expect(widget.hint).to_contain_text("The service cannot be reached.")
    assert shop.service.inbox(phone) == []


def test_module_can_be_loaded_twice(page: Page, shop: Shop) -> None:
    widget = shop.visit(page)
    page.evaluate("url => import(`${url}/otp/widget.js?again`)", shop.service.url)

    expect(widget.part("send")).to_be_visible()
