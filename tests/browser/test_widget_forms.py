"""The widget in forms and pages: proofs, attributes, disabled, reset, several widgets."""

from __future__ import annotations

from typing import Any

import pytest
from browser.answering import SENT, answer_calls, serve_module_for
from playwright.sync_api import Browser, Locator, Page, Route, expect
from support import chromium
from support.deployment import new_phone
from support.widget_shop import Shop, Widget


def verify(shop: Shop, widget: Widget, phone: str) -> None:
    widget.send(phone[3:])
    widget.code.fill(shop.service.code(phone))
    expect(widget.done).to_be_visible()


def status(shop: Shop, phone: str, verification_id: str) -> str:
    answer = shop.service.post("/otp/status", {"phone": phone, "verification_id": verification_id})
    return str(answer.body["status"])


def record_events(page: Page) -> None:
    page.evaluate("""
        window.received = [];
        for (const name of ["otp-sent", "otp-problem", "otp-verified", "otp-canceled"])
          document.addEventListener(name, (event) => received.push([event.type, event.detail]));
    """)


def ids(page: Page) -> list[str]:
    """Return the verification ids in the events that the page received."""
    return [detail["verification_id"] for name, detail in page.evaluate("received") if name == "otp-sent"]


# ── C7: changing the number and back ──


@pytest.mark.parametrize(
    "typed",
    [
        "{national}",
        "+86{national}",
        "86 {national}",
        "0{national}",
        "+86 0{national}",
        "0086 {national}",
        "0086 0{national}",
        "86 0{national}",
    ],
)
def test_same_number_again_goes_back_to_its_code(page: Page, shop: Shop, typed: str) -> None:
    phone = new_phone()
    widget = shop.visit(page)
    calls: list[str] = []
    page.on("request", lambda request: "/otp/" in request.url and calls.append(request.url.rsplit("/", 1)[1]))
    widget.send(phone[3:])
    widget.part("change").click()
    expect(widget.phone).to_be_visible()
    expect(widget.phone).to_have_value(f"{phone[3:6]} {phone[6:10]} {phone[10:]}")
    widget.phone.fill(typed.format(national=phone[3:]))
    widget.part("send").click()
    expect(widget.code).to_be_visible()
    expect(widget.part("resend")).to_have_attribute("aria-disabled", "true")
    widget.code.fill(shop.service.code(phone))

    expect(widget.done).to_be_visible()
    assert calls.count("request") == 1
    assert "cancel" not in calls
    assert len(shop.service.inbox(phone)) == 1


@pytest.mark.parametrize(
    ("country", "first", "then", "is_same"),
    [
        ("CN", "013922220012", "13922220012", True),
        ("CN", "+86 013922220012", "0086 13922220012", True),
        ("CN", "13922220012", "13922220013", False),
        ("GB", "07400123456", "+447400123456", True),
        ("GB", "+447400123456", "07400123456", True),
        ("GB", "+44 (0) 7400 123456", "07400 123456", True),
        ("MX", "+52 1 222 123 4567", "+52 222 123 4567", True),
        ("MX", "2221234567", "+52 1 222 123 4567", True),
        ("RU", "+7 912 345 67 89", "8 912 345 67 89", True),
        ("IT", "333 123 4567", "0333 123 4567", False),
        ("CI", "01 23 45 6789", "1 23 45 6789", False),
    ],
)
def test_going_back_works_for_the_same_number_in_every_country(
    page: Page, shop: Shop, country: str, first: str, then: str, *, is_same: bool
) -> None:
    """Where a zero is part of the number, as in Italy, it makes another number."""
    posted = answer_calls(page, request=(201, SENT), cancel=(204, {}))
    answer_calls(page, status=(200, SENT))
    serve_module_for(page, [country])
    widget = shop.visit(page)
    widget.send(first)
    widget.part("change").click()
    widget.phone.fill(then)
    widget.part("send").click()
    expect(widget.code).to_be_visible()

    assert len([body for body in posted if "locale" in body]) == (1 if is_same else 2)


def test_pending_verification_ends_when_another_number_gets_a_code(page: Page, shop: Shop) -> None:
    phone, other = new_phone(), new_phone()
    widget = shop.visit(page)
    record_events(page)
    widget.send(phone[3:])
    widget.part("change").click()
    widget.phone.fill("12")
    widget.part("send").click()
    expect(widget.hint).to_have_text("This is not a valid phone number.")
    while_choosing = status(shop, phone, ids(page)[0])
    with page.expect_response("**/otp/cancel"):
        widget.send(other[3:])

    assert while_choosing == "pending"
    assert status(shop, phone, ids(page)[0]) == "canceled"
    widget.code.fill(shop.service.code(other))
    expect(widget.done).to_be_visible()


def test_cooldown_of_another_number_does_not_prevent_going_back(page: Page, shop: Shop) -> None:
    phone, busy = new_phone(), new_phone()
    shop.service.request(busy)
    widget = shop.visit(page)
    widget.send(phone[3:])
    widget.part("change").click()
    widget.phone.fill(busy[3:])
    widget.part("send").click()
    expect(widget.part("send")).to_have_attribute("aria-disabled", "true")
    widget.phone.fill(phone[3:])
    widget.part("send").click()

    expect(widget.code).to_be_visible()


def test_cooldown_of_a_number_that_was_edited_during_the_call_does_not_apply(page: Page, shop: Shop) -> None:
    phone, busy = new_phone(), new_phone()
    shop.service.request(busy)
    widget = shop.visit(page)
    requests: list[Route] = []

    def hold(route: Route) -> None:
        requests.append(route)

    page.route("**/otp/request", hold, times=1)
    widget.phone.fill(busy[3:])
    with page.expect_request("**/otp/request"):
        widget.part("send").click()
    widget.phone.fill(phone[3:])
    with page.expect_response("**/otp/request"):
        requests[0].continue_()
    widget.part("send").click()

    expect(widget.code).to_be_visible()
    assert len(shop.service.inbox(phone)) == 1


def test_cooldown_does_not_apply_to_a_number_that_was_typed_during_a_repetition(
    page: Page, shop: Shop
) -> None:
    """The call is repeated by itself, here because an earlier one with its key is still in progress."""
    phone, busy = new_phone(), new_phone()
    widget = shop.visit(page)
    answers: list[tuple[int, dict[str, object]]] = [
        (409, {"code": "idempotency_in_progress", "retry_after": 1}),
        (429, {"code": "cooldown_active", "retry_after": 60}),
    ]

    def answer(route: Route) -> None:
        status, body = answers.pop(0)
        route.fulfill(status=status, json=body, headers={"access-control-allow-origin": "*"})

    page.route("**/otp/request", answer, times=2)
    widget.phone.fill(busy[3:])
    with page.expect_response("**/otp/request"):
        widget.part("send").click()
    with page.expect_response("**/otp/request"):
        widget.phone.fill(phone[3:])
    widget.part("send").click()

    expect(widget.code).to_be_visible()
    assert len(shop.service.inbox(phone)) == 1


def test_cooldown_does_not_apply_to_the_same_digits_in_another_country(page: Page, shop: Shop) -> None:
    """In Hong Kong and Singapore, digits are also grouped alike."""
    answer_calls(page, request=(429, {"code": "cooldown_active", "retry_after": 60}))
    serve_module_for(page, ["HK", "SG"])
    widget = shop.visit(page)
    widget.phone.fill("9123 4567")
    widget.part("send").click()
    expect(widget.hint).to_have_text("An SMS was sent a moment ago. Please wait.")
    expect(widget.part("send")).to_have_attribute("aria-disabled", "true")
    widget.part("country").select_option("SG")

    expect(widget.part("send")).to_have_attribute("aria-disabled", "false")


def test_going_back_works_after_a_reload(page: Page, shop: Shop) -> None:
    phone = new_phone()
    widget = shop.visit(page)
    widget.send(phone[3:])
    widget.part("change").click()
    expect(widget.phone).to_be_visible()
    page.reload()
    expect(widget.phone).to_be_visible()
    widget.part("send").click()
    widget.code.fill(shop.service.code(phone))

    expect(widget.done).to_be_visible()
    assert len(shop.service.inbox(phone)) == 1


def test_going_back_to_an_expired_code_requests_a_new_one(page: Page, shop: Shop) -> None:
    posted = answer_calls(page, request=(201, SENT), cancel=(204, {}))
    page.clock.install()
    widget = shop.visit(page)
    widget.send("13800138000")
    widget.part("change").click()
    page.clock.fast_forward(301_000)
    widget.part("send").click()
    widget.code.wait_for()

    assert [body["phone"] for body in posted if "purpose" in body] == ["+8613800138000"] * 2


# ── C7, C19: several widgets ──


def several(page: Page, shop: Shop, attributes: str = 'purpose="login"') -> tuple[Locator, Locator]:
    """Open a page with two widgets that have the same attributes."""
    shop.visit(page, attributes)
    page.evaluate(
        "document.querySelector('otp-verify').after(document.querySelector('otp-verify').cloneNode())"
    )
    return page.locator("otp-verify").first, page.locator("otp-verify").last


def send(host: Locator, phone: str) -> None:
    host.locator("#phone").fill(phone[3:])
    host.locator("[part~=send]").click()
    host.locator("#code").wait_for()


def test_equal_widgets_stay_independent_when_one_is_moved(page: Page, shop: Shop) -> None:
    """A finished widget once took over the code step of the other one."""
    phone, other = new_phone(), new_phone()
    first, second = several(page, shop)
    send(first, phone)
    first.locator("#code").fill(shop.service.code(phone))
    expect(first.locator("form:not([inert]) > [part~=done]")).to_be_visible()
    send(second, other)
    page.evaluate("document.querySelector('h1').after(document.querySelector('otp-verify'))")

    expect(first.locator("form:not([inert]) > [part~=done]")).to_be_visible()
    assert page.evaluate("new FormData(document.getElementById('order')).getAll('proof').length") == 0
    second.locator("#code").fill(shop.service.code(other))
    expect(second.locator("form:not([inert]) > [part~=done]")).to_be_visible()


@pytest.mark.parametrize("attributes", ['purpose="login"', 'purpose="login" name="mine"'])
def test_equal_widgets_each_continue_after_a_reload(page: Page, shop: Shop, attributes: str) -> None:
    phone, other = new_phone(), new_phone()
    first, second = several(page, shop, attributes)
    send(first, phone)
    send(second, other)
    page.reload()
    page.evaluate(
        "document.querySelector('otp-verify').after(document.querySelector('otp-verify').cloneNode())"
    )
    first.locator("#code").fill(shop.service.code(phone))
    second.locator("#code").fill(shop.service.code(other))

    for host in (first, second):
        expect(host.locator("form:not([inert]) > [part~=done]")).to_be_visible()


def test_changing_the_number_of_one_does_not_affect_the_other(page: Page, shop: Shop) -> None:
    phone, other = new_phone(), new_phone()
    first, second = several(page, shop)
    send(first, phone)
    send(second, other)
    first.locator("[part~=change]").click()
    first.locator("#phone").fill(new_phone()[3:])
    first.locator("[part~=send]").click()
    first.locator("#code").wait_for()
    second.locator("#code").fill(shop.service.code(other))

    expect(second.locator("form:not([inert]) > [part~=done]")).to_be_visible()


def test_recreated_element_continues(page: Page, shop: Shop) -> None:
    """A framework does so when it renders a part of its page again."""
    phone = new_phone()
    widget = shop.visit(page)
    widget.send(phone[3:])
    page.evaluate("""
        const before = document.querySelector("otp-verify");
        const copy = before.cloneNode();
        before.replaceWith(copy);
    """)
    widget.code.fill(shop.service.code(phone))

    expect(widget.done).to_be_visible()


# ── C10, C20: attributes ──


@pytest.mark.parametrize(
    "phone",
    ["", " ", "undefined", "null", "NaN", "[object Object]", "abc", "+", "Undefined", "undefined ", "false"],
)
def test_invalid_phone_attribute_keeps_the_field_editable(page: Page, shop: Shop, phone: str) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    number = new_phone()
    widget = shop.visit(page, f'purpose="login" phone="{phone}"')
    expect(widget.phone).not_to_have_attribute("readonly", "")
    expect(widget.phone).to_have_value("")
    verify(shop, widget, number)

    assert any(f'phone="{phone}"' in text for text in said) == bool(phone.strip())


def test_phone_attribute_that_becomes_invalid_is_reported_once(page: Page, shop: Shop) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    widget = shop.visit(page, 'purpose="login" phone="13800138000"')
    expect(widget.phone).to_have_value("13800138000")
    widget.host.evaluate("element => element.setAttribute('phone', undefined)")
    expect(widget.phone).not_to_have_attribute("readonly", "")

    assert len([text for text in said if 'phone="undefined"' in text]) == 1


@pytest.mark.parametrize("nothing", ["undefined", "null", ""])
@pytest.mark.parametrize("attribute", ["locale", "texts", "name", "purpose"])
def test_attributes_null_and_undefined_of_frameworks_are_ignored(
    page: Page, shop: Shop, attribute: str, nothing: str
) -> None:
    posted = answer_calls(page, request=(422, {"code": "invalid_phone"}))
    widget = shop.visit(page, f'{attribute}="{nothing}"', lang="zh-CN")
    expect(widget.part("send")).to_have_text("获取验证码")
    widget.phone.fill("13800138000")
    widget.part("send").click()
    expect(widget.hint).to_have_text("手机号码无效，请检查。")

    assert posted == [{"phone": "+8613800138000", "locale": "zh-CN"}]


@pytest.mark.parametrize("nothing", ["undefined", "null"])
def test_empty_texts_restore_the_built_in_ones(page: Page, shop: Shop, nothing: str) -> None:
    widget = shop.visit(page)
    widget.host.evaluate("element => { element.texts = { send: 'Send it' }; }")
    expect(widget.part("send")).to_have_text("Send it")
    widget.host.evaluate(f"element => {{ element.texts = {{ send: {nothing}, phone: 'Number' }}; }}")
    expect(widget.part("send")).to_have_text("Send code")
    expect(widget.part("label").first).to_have_text("Number")
    widget.host.evaluate(f"element => {{ element.texts = {nothing}; }}")

    expect(widget.part("label").first).to_have_text("Phone number")
    assert widget.host.evaluate("element => element.hasAttribute('texts')") is False
    assert widget.host.evaluate("element => element.texts") is None


def test_required_follows_html_and_warns_about_false(page: Page, shop: Shop) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    widget = shop.visit(page, 'purpose="login" required="false"')
    page.locator("otp-verify:defined").wait_for()

    assert widget.host.evaluate("element => element.matches(':invalid')") is True
    assert [text for text in said if 'required="false"' in text] != []


@pytest.mark.parametrize(
    ("locale", "language"),
    [("zh_CN", "zh-CN"), ("zh_Hant_TW", "zh-Hant-TW"), ("zh_CN.UTF-8", "zh-CN"), ("en_US", "en-US")],
)
@pytest.mark.parametrize("of_page", [True, False])
def test_locale_may_have_the_format_of_operating_systems(
    page: Page, shop: Shop, locale: str, language: str, *, of_page: bool
) -> None:
    posted = answer_calls(page, request=(201, SENT))
    attributes = 'purpose="login"' if of_page else f'purpose="login" locale="{locale}"'
    widget = shop.visit(page, attributes, lang=locale if of_page else "fr")
    widget.send("13800138000")

    assert posted[0]["locale"] == language
    expect(widget.part("verify")).to_have_text("验证" if language.startswith("zh") else "Verify")


IN_A_SHADOW = """lang => {
  const outer = document.createElement("div");
  outer.lang = lang;
  const inner = document.createElement("section");
  document.getElementById("order").append(outer);
  outer.attachShadow({ mode: "open" }).append(inner);
  inner.attachShadow({ mode: "closed" }).append(document.querySelector("otp-verify"));
}"""


def test_language_and_events_cross_shadow_roots(page: Page, shop: Shop) -> None:
    page.add_init_script(
        "Element.prototype.attachShadow = (original => function (options) {"
        " return original.call(this, {...options, mode: 'open'}); })(Element.prototype.attachShadow)"
    )
    phone = new_phone()
    widget = shop.visit(page)
    page.locator("otp-verify:defined").wait_for()
    page.evaluate(IN_A_SHADOW, "zh-CN")
    expect(widget.part("send")).to_have_text("获取验证码")
    record_events(page)
    verify(shop, widget, phone)

    assert [name for name, _ in page.evaluate("received")] == ["otp-sent", "otp-verified"]


# ── C17: proofs ──


def form_value(page: Page) -> Any:
    return page.evaluate("new FormData(document.getElementById('order')).get('proof')")


def test_form_has_no_proof_after_going_back(page: Page, shop: Shop) -> None:
    phone = new_phone()
    widget = shop.visit(page, 'purpose="login" required')
    verify(shop, widget, phone)
    assert form_value(page)
    with page.expect_navigation():
        page.get_by_role("button", name="Buy").click()
    page.go_back()
    expect(widget.phone).to_be_visible()

    assert form_value(page) is None
    assert widget.host.evaluate("element => element.matches(':invalid')") is True


def test_restored_form_value_is_ignored(page: Page, shop: Shop) -> None:
    """Browsers restore values after Back, after a restart and for autofill."""
    phone = new_phone()
    widget = shop.visit(page)
    restore = "element => element.formStateRestoreCallback('an old proof', 'restore')"
    widget.host.evaluate(restore)
    before = form_value(page)
    verify(shop, widget, phone)
    proof = form_value(page)
    widget.host.evaluate(restore)

    assert before is None
    assert proof
    assert form_value(page) == proof


RETURN = "dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))"


def test_submitted_proof_is_removed_when_the_page_returns(page: Page, shop: Shop) -> None:
    """The browser restores the page from its back/forward cache."""
    phone = new_phone()
    widget = shop.visit(page, 'purpose="login" required')
    verify(shop, widget, phone)
    page.evaluate(RETURN)
    expect(widget.done).to_be_visible()
    page.evaluate("document.getElementById('order').addEventListener('submit', (e) => e.preventDefault())")
    assert form_value(page)  # reads the form as a submission does
    page.evaluate(RETURN)

    expect(widget.hint).to_have_text("That took too long. Please verify again.")
    assert form_value(page) is None
    assert widget.host.evaluate("element => element.matches(':invalid')") is True


@pytest.mark.parametrize("required", ["required", ""])
def test_expired_proof_makes_the_element_invalid(page: Page, shop: Shop, required: str) -> None:
    phone = new_phone()
    page.clock.install()
    widget = shop.visit(page, f'purpose="login" {required}')
    verify(shop, widget, phone)
    valid = widget.host.evaluate("element => element.matches(':valid')")
    page.clock.fast_forward(181_000)
    expect(widget.hint).to_have_text("That took too long. Please verify again.")

    assert valid is True
    assert widget.host.evaluate("element => element.matches(':invalid')") is True


def test_expired_proof_is_not_submitted_even_if_no_timer_ran(page: Page, shop: Shop) -> None:
    """Timers of background tabs run late."""
    phone = new_phone()
    page.add_init_script("window.setInterval = () => 0;")
    widget = shop.visit(page)
    verify(shop, widget, phone)
    sent = form_value(page)
    page.evaluate("Date.now = (now => () => now() + 181_000)(Date.now)")

    assert sent
    assert form_value(page) is None


def test_page_can_restart_the_widget_after_a_rejected_login(page: Page, shop: Shop) -> None:
    phone = new_phone()
    widget = shop.visit(page, 'purpose="login" required')
    verify(shop, widget, phone)
    widget.host.evaluate("element => element.restart()")

    expect(widget.phone).to_be_visible()
    expect(widget.phone).to_have_value(f"{phone[3:6]} {phone[6:10]} {phone[10:]}")
    assert form_value(page) is None
    assert widget.host.evaluate("element => element.matches(':invalid')") is True


# ── C18: disabled, and reset ──


WAYS = {
    "attribute": "element => element.toggleAttribute('disabled')",
    "fieldset": """element => {
      const fence = element.closest("fieldset") || document.createElement("fieldset");
      if (fence.isConnected) { fence.disabled = !fence.disabled; return; }
      fence.disabled = true;
      element.replaceWith(fence);
      fence.append(element);
    }""",
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_disabled_widget_does_nothing(page: Page, shop: Shop, way: str) -> None:
    posted = answer_calls(
        page, request=(201, SENT), verify=(503, {"code": "store_unavailable"}), cancel=(204, {})
    )
    widget = shop.visit(page)
    widget.host.evaluate(way)
    for name in ("phone", "send"):
        expect(widget.part(name)).to_be_disabled()
    widget.host.evaluate("element => element.shadowRoot.querySelector('form').requestSubmit()")
    widget.host.evaluate(way)
    expect(widget.part("phone")).to_be_enabled()
    assert posted == []

    widget.send("13800138000")
    posted.clear()
    widget.host.evaluate(way)
    for name in ("code", "verify", "resend", "change", "cancel"):
        expect(widget.part(name).last).to_be_disabled()
    widget.code.evaluate(
        "input => { input.value = '123456'; input.dispatchEvent(new InputEvent('input'));"
        " input.dispatchEvent(new Event('change')); }"
    )
    for name in ("verify", "resend", "change", "cancel"):
        widget.part(name).evaluate("button => button.click()")
    page.evaluate("dispatchEvent(new Event('online'))")
    page.wait_for_timeout(600)
    expect(widget.code).to_be_visible()

    assert [body for body in posted if "code" in body or "locale" in body] == []


def test_waiting_request_is_not_sent_while_disabled(page: Page, shop: Shop) -> None:
    """The service answers with a `Retry-After` of a second; meanwhile the page disables the form."""
    posted = answer_calls(page, request=(409, {"code": "idempotency_in_progress", "retry_after": 1}))
    page.clock.install()
    widget = shop.visit(page)
    widget.phone.fill("13800138000")
    with page.expect_response("**/otp/request"):
        widget.part("send").click()
    widget.host.evaluate(WAYS["attribute"])
    for _ in range(20):
        page.clock.run_for(250)
    while_disabled = len(posted)
    widget.host.evaluate(WAYS["attribute"])
    with page.expect_response("**/otp/request"):
        for _ in range(8):
            page.clock.run_for(250)

    assert while_disabled == 1


def test_restored_network_does_not_start_a_disabled_widget(page: Page, shop: Shop) -> None:
    widget = shop.visit(page)
    page.context.set_offline(True)
    widget.phone.fill(new_phone()[3:])
    widget.part("send").click()
    expect(widget.hint).to_contain_text("The service cannot be reached.")
    widget.host.evaluate(WAYS["attribute"])
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.context.set_offline(False)
    page.wait_for_timeout(600)

    assert asked == []


def test_reset_clears_the_number(page: Page, shop: Shop) -> None:
    phone = new_phone()
    widget = shop.visit(page)
    widget.phone.fill(phone[3:])
    page.evaluate("document.getElementById('order').reset()")
    expect(widget.phone).to_have_value("")
    verify(shop, widget, phone)
    page.evaluate("document.getElementById('order').reset()")

    expect(widget.phone).to_have_value("")
    assert page.evaluate("sessionStorage.length") == 0


def test_reset_before_the_element_is_connected_has_no_effect(page: Page, shop: Shop) -> None:
    shop.visit(page)
    page.locator("otp-verify:defined").wait_for()
    page.evaluate("""
        const form = document.createElement("form");
        const element = document.createElement("otp-verify");
        form.append(element);
        form.reset();
        element.formResetCallback();
        element.disabled = true;
        element.setAttribute("disabled", "");
        element.setAttribute("phone", "13800138000");
        element.restart();
        document.body.append(form);
    """)

    expect(page.locator("otp-verify").last.locator("#phone")).to_have_value("13800138000")


def test_reset_before_the_element_is_connected_clears_the_stored_state(page: Page, shop: Shop) -> None:
    """The stored number is that of an earlier copy, as after a reload."""
    widget = shop.visit(page)
    widget.send(new_phone()[3:])
    widget.part("change").click()
    page.evaluate("""
        const before = document.querySelector("otp-verify");
        const copy = before.cloneNode();
        before.remove();
        const form = document.createElement("form");
        form.append(copy);
        form.reset();
        document.body.append(form);
    """)

    expect(widget.part("send")).to_be_visible()
    expect(widget.phone).to_have_value("")
    assert page.evaluate("sessionStorage.length") == 0


# ── axe-core ──


def test_new_states_are_accessible(browser: Browser, shop: Shop) -> None:
    with chromium.open_page(browser) as (page, _):
        answer_calls(page, request=(201, SENT))
        widget = shop.visit(page)
        page.locator("otp-verify:defined").wait_for()
        widget.host.evaluate(WAYS["attribute"])
        disabled = chromium.accessibility_violations(page)
        widget.host.evaluate(WAYS["attribute"])
        widget.send("13800138000")
        widget.code.fill("1234567")
        too_long = chromium.accessibility_violations(page)
        widget.part("change").click()
        left = chromium.accessibility_violations(page)

    assert [disabled, too_long, left] == [[], [], []]
