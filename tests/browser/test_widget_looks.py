"""The widget's appearance: sizes, colours, languages and directions, without layout shifts."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from browser.answering import serve_module_for
from playwright.sync_api import Browser, Page, expect
from support import chromium
from support.deployment import new_phone
from support.widget_shop import Shop, Widget

ARABIC = {
    "phone": "رقم الهاتف",
    "note": "سنرسل رسالة قصيرة تحتوي على رمز.",
    "send": "إرسال الرمز",
    "code": "أُرسل الرمز إلى {phone}",
    "arriving": "قد يستغرق وصوله بضع ثوانٍ.",
    "verify": "تحقق",
    "resend": "إعادة الإرسال",
    "change": "تغيير الرقم",
    "cancel": "إلغاء",
    "wrong_code": "رمز خاطئ. المحاولات المتبقية: {attempts}.",
    "done": "تم التحقق من {phone}.",
}

LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "narrow": {"viewport": {"width": 320, "height": 640}},
    "forced colours": {"forced_colors": "active"},
    "zoomed": {"viewport": {"width": 640, "height": 400}, "device_scale_factor": 2},
}
LANGUAGES = {
    "English": {"lang": "en"},
    "Chinese": {"lang": "zh-CN"},
    "Arabic": {
        "lang": "ar",
        "direction": "rtl",
        "attributes": f"purpose=\"login\" texts='{json.dumps(ARABIC)}'",
    },
}


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06d}"


class WidgetStates:
    """Brings the widget into each of its states, and calls *look* in each."""

    def __init__(self, shop: Shop, widget: Widget) -> None:
        self.shop = shop
        self.widget = widget

    def show_each(self, look: Any) -> None:
        widget, phone = self.widget, new_phone()
        look("phone")
        widget.phone.fill("12")
        widget.part("send").click()
        expect(widget.hint).to_have_class(re.compile("bad"))
        look("phone problem")
        widget.send(phone[3:])
        look("code")
        code = self.shop.service.code(phone)
        widget.code.fill(wrong(code))
        expect(widget.hint).to_have_class(re.compile("bad"))
        look("code problem")
        widget.code.fill(code)
        expect(widget.done).to_be_visible()
        look("done")


COMBINATIONS = [
    *((look, language) for look in ("light", "dark", "narrow") for language in LANGUAGES),
    ("forced colours", "English"),
    ("zoomed", "English"),
]


def is_checked_by_axe(look: str, language: str) -> bool:
    """Return whether axe-core could find more than in the other combinations.

    The dark scheme changes only colours, and a language changes no colour.
    """
    return look != "dark" or language == "English"


@pytest.mark.parametrize(("look", "language"), COMBINATIONS)
def test_every_state_is_accessible_without_layout_shifts(
    browser: Browser, shop: Shop, look: str, language: str
) -> None:
    found: dict[str, list[str]] = {}
    places: dict[str, float] = {}
    with chromium.open_page(browser, reduced_motion="reduce", **LOOKS[look]) as (page, _):
        widget = shop.visit(page, **LANGUAGES[language])
        page.locator("otp-verify:defined").wait_for()

        def see(state: str) -> None:
            found[state] = (
                chromium.accessibility_violations(page) if is_checked_by_axe(look, language) else []
            )
            box = page.locator("#below").bounding_box()
            assert box
            places[state] = box["y"]

        WidgetStates(shop, widget).show_each(see)
        width = page.evaluate("document.documentElement.scrollWidth")

    assert [complaint for state in found.items() for complaint in state[1]] == []
    assert len(found) == 5
    assert len(set(places.values())) == 1
    assert width <= LOOKS[look].get("viewport", {"width": 1280})["width"]


def test_loading_the_module_shifts_nothing(page: Page, shop: Shop) -> None:
    """The page has the two lines of CSS from the docs."""
    page.add_init_script("""
        window.shifted = 0;
        new PerformanceObserver((list) => {
          for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
        }).observe({ type: "layout-shift", buffered: true });
    """)
    widget = shop.visit(page)
    expect(widget.part("send")).to_be_visible()
    page.wait_for_timeout(300)

    assert page.evaluate("shifted") < 0.02


def test_direction_is_that_of_the_page(page: Page, shop: Shop) -> None:
    widget = shop.visit(page, **LANGUAGES["Arabic"])
    phone = new_phone()
    widget.send(phone[3:])

    label = widget.host.locator("[for=code]")
    assert label.evaluate("label => getComputedStyle(label).direction") == "rtl"
    assert widget.code.evaluate("input => getComputedStyle(input).direction") == "ltr"
    resend, change = widget.part("resend").bounding_box(), widget.part("change").bounding_box()
    assert resend
    assert change
    assert resend["x"] > change["x"]
    expect(label).to_contain_text(f"\u2066+86 {phone[3:6]}****{phone[-4:]}\u2069")


def test_language_is_that_of_the_page_unless_the_widget_has_its_own(page: Page, shop: Shop) -> None:
    of_page = shop.visit(page, lang="zh-CN").part("send").inner_text()
    of_widget = shop.visit(page, 'purpose="login" locale="zh"').part("send").inner_text()
    other = shop.visit(page, 'purpose="login" locale="fr"').part("send").inner_text()
    own = shop.visit(page, """purpose="login" locale="fr" texts='{"send": "Envoyer"}'""")

    assert (of_page, of_widget, other) == ("获取验证码", "获取验证码", "Send code")
    expect(own.part("send")).to_have_text("Envoyer")
    expect(own.part("label").first).to_have_text("Phone number")
    own.host.evaluate("element => { element.texts = { send: 'Envoyez' }; }")
    expect(own.part("send")).to_have_text("Envoyez")
    own.host.evaluate("element => element.setAttribute('locale', 'zh-TW')")
    expect(own.part("label").first).to_have_text("手机号码")


def test_texts_that_are_not_json_are_ignored(page: Page, shop: Shop) -> None:
    widget = shop.visit(page, "purpose=\"login\" texts='{oops'")

    expect(widget.part("send")).to_have_text("Send code")


def test_texts_can_be_set_before_the_module_is_loaded(page: Page, shop: Shop) -> None:
    page.add_init_script("""
        new MutationObserver(() => {
          const widget = document.querySelector("otp-verify");
          if (widget && !customElements.get("otp-verify")) widget.texts = { send: "Send it" };
        }).observe(document, { childList: true, subtree: true });
    """)
    widget = shop.visit(page)

    expect(widget.part("send")).to_have_text("Send it")
    assert widget.host.evaluate("element => element.texts") == {"send": "Send it"}


def test_request_has_the_locale_of_the_sms(page: Page, shop: Shop) -> None:
    widget = shop.visit(page, lang="zh-CN")
    widget.phone.fill(new_phone()[3:])
    with page.expect_request("**/otp/request") as request_info:
        widget.part("send").click()

    assert request_info.value.post_data_json["locale"] == "zh-CN"


@pytest.mark.parametrize(
    "locale", ["x", "abcd", "en-a", "en-u-ca-buddhist-nu-latn-x-anything", "en_US", "<b>", "e" * 40, ""]
)
def test_invalid_locale_is_ignored(page: Page, shop: Shop, locale: str) -> None:
    widget = shop.visit(page, f'purpose="login" locale="{locale}"')
    widget.send(new_phone()[3:])

    expect(widget.part("verify")).to_have_text("Verify")


def test_page_can_style_colours_and_shapes(page: Page, shop: Shop) -> None:
    widget = shop.visit(page)
    page.evaluate("""
        const style = new CSSStyleSheet();
        style.replaceSync(`
          otp-verify { --otp-accent: rgb(90, 0, 90); --otp-radius: 0px; --otp-font: 20px serif; }
          otp-verify::part(send) { text-transform: uppercase; }
        `);
        document.adoptedStyleSheets = [style];
    """)
    style = widget.part("send").evaluate(
        "button => (({ backgroundColor, borderRadius, fontSize, textTransform }) =>"
        " [backgroundColor, borderRadius, fontSize, textTransform])(getComputedStyle(button))"
    )

    assert style == ["rgb(90, 0, 90)", "0px", "20px", "uppercase"]


def test_dark_widget_is_dark_only_where_the_page_is(browser: Browser, shop: Shop) -> None:
    with chromium.open_page(browser, color_scheme="dark") as (page, _):
        widget = shop.visit(page)
        colour = "input => getComputedStyle(input).backgroundColor"
        dark = widget.phone.evaluate(colour)
        page.evaluate("document.querySelector('meta[name=color-scheme]').content = 'light'")
        light = widget.phone.evaluate(colour)

    assert (dark, light) == ("rgb(20, 24, 29)", "rgb(255, 255, 255)")


def test_problems_and_countdown_are_announced_to_screen_readers(page: Page, shop: Shop) -> None:
    """Each once: otherwise a live region would announce every second of the countdown."""
    page.clock.install()
    widget = shop.visit(page)
    page.evaluate("""
        window.said = [];
        const root = document.querySelector("otp-verify").shadowRoot;
        for (const region of root.querySelectorAll("[aria-live], [role=status]"))
          new MutationObserver(() => region.textContent && said.push(region.textContent))
            .observe(region, { childList: true, characterData: true, subtree: true });
    """)
    phone = new_phone()
    widget.send(phone[3:])
    code = shop.service.code(phone)
    widget.code.fill(wrong(code))
    expect(widget.hint).to_contain_text("Wrong code")
    for _ in range(70):
        page.clock.run_for(1_000)

    said = page.evaluate("said")
    assert said.count("Wrong code. Attempts left: 4.") == 1
    assert said.count("You can request another SMS now.") == 1
    assert len(said) <= 4
    expect(widget.code).to_have_attribute("aria-describedby", "code-hint")


def test_fields_have_names_and_targets_are_large(page: Page, shop: Shop) -> None:
    phone = new_phone()
    widget = shop.visit(page)
    expect(page.get_by_role("textbox", name="Phone number")).to_be_visible()
    widget.send(phone[3:])
    expect(page.get_by_role("textbox", name="Code sent to")).to_be_visible()
    boxes = [widget.part(part).bounding_box() for part in ("code", "verify", "resend", "change", "cancel")]

    assert all(box and box["height"] >= 44 for box in boxes)


@pytest.mark.parametrize("countries", [["CN"], ["CN", "US", "GB", "SG"]], ids=["one", "several"])
def test_country_field_is_shown_only_with_several_countries(
    page: Page, shop: Shop, countries: list[str]
) -> None:
    serve_module_for(page, countries)
    widget = shop.visit(page)
    if countries == ["CN"]:
        expect(widget.part("country")).to_be_hidden()
        expect(widget.part("prefix")).to_have_text("+86")
        return
    expect(widget.part("prefix")).to_be_hidden()
    expect(widget.part("country").locator("option")).to_have_text(
        ["China +86", "United States +1", "United Kingdom +44", "Singapore +65"]
    )
    widget.part("country").select_option("US")
    widget.phone.fill("2015550123")
    expect(widget.phone).to_have_value("201 555 0123")
    widget.phone.fill("+6581234567")
    expect(widget.part("country")).to_have_value("SG")
    expect(widget.phone).to_have_value("8123 4567")
    widget.part("country").select_option("GB")
    widget.phone.fill("07400123456")
    expect(widget.phone).to_have_value("07400 123456")
    with page.expect_request("**/otp/request") as request_info:
        widget.part("send").click()

    assert request_info.value.post_data_json["phone"] == "+4407400123456"
    assert chromium.accessibility_violations(page) == []
