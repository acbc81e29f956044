"""Input methods, digits of other scripts, pasted messages, and numbers of all countries."""

from __future__ import annotations

from typing import Any

import phonenumbers
import pytest
from browser.answering import SENT, answer_calls, serve_module_for
from phonenumbers import PhoneNumberFormat, PhoneNumberType
from playwright.sync_api import Page, expect
from support.deployment import new_phone
from support.widget_shop import Shop, Widget

from otp_service.domain.phone import COUNTRIES

WRONG = (422, {"code": "wrong_code", "attempts_left": 3})


def compose(page: Page, text: str) -> None:
    """Type *text* with an input method: compose it, then commit it."""
    devtools = page.context.new_cdp_session(page)
    for end in range(1, len(text) + 1):
        devtools.send(
            "Input.imeSetComposition", {"text": text[:end], "selectionStart": end, "selectionEnd": end}
        )
    devtools.send("Input.insertText", {"text": text})


FILL_SILENTLY = """(input, text) => {
  input.value = text;
  input.dispatchEvent(new Event("change", { bubbles: true }));
}"""
"""What some scripts that fill in forms do."""


# ── C2: input methods and scripts ──


NUMBERS = {"full width": "１３９２２２２００１２", "Arabic": "١٣٩٢٢٢٢٠٠١٢", "Devanagari": "१३९२२२२००१२"}


@pytest.mark.parametrize("way", ["typed", "composed", "set by a script", "set without an event"])
def test_number_in_other_digits_is_shown_and_posted_as_it_is(page: Page, shop: Shop, way: str) -> None:
    posted = answer_calls(page, request=(201, SENT))
    answer_calls(page, cancel=(204, {}))
    widget = shop.visit(page)
    found: dict[str, list[str]] = {}
    for script, digits in NUMBERS.items():
        widget.reset()
        expect(widget.phone).to_have_value("")
        posted.clear()
        widget.phone.focus()
        if way == "typed":
            for digit in digits:
                page.keyboard.insert_text(digit)
        elif way == "composed":
            compose(page, digits)
        elif way == "set by a script":
            widget.phone.evaluate(FILL_SILENTLY, digits)
        else:
            widget.phone.evaluate("(input, text) => { input.value = text; }", digits)
        if way != "set without an event":
            expect(widget.phone, script).to_have_value("139 2222 0012")
        widget.part("send").click()
        expect(widget.code, script).to_be_visible()
        found[script] = [body["phone"] for body in posted]

    assert found == {script: ["+8613922220012"] for script in NUMBERS}


@pytest.mark.parametrize("way", ["typed", "composed", "set by a script"])
def test_code_in_other_digits_is_submitted_automatically(page: Page, shop: Shop, way: str) -> None:
    phone = new_phone()
    widget = shop.visit(page)
    widget.send(phone[3:])
    code = shop.service.code(phone).translate({ord(str(i)): chr(0x660 + i) for i in range(10)})
    widget.code.focus()
    if way == "typed":
        for digit in code:
            page.keyboard.insert_text(digit)
    elif way == "composed":
        compose(page, code)
    else:
        widget.code.evaluate(FILL_SILENTLY, code)

    expect(widget.done).to_be_visible()


def test_code_is_not_submitted_during_composition(page: Page, shop: Shop) -> None:
    posted = answer_calls(page, request=(201, SENT), verify=WRONG)
    widget = shop.visit(page)
    widget.send("13800138000")
    widget.code.focus()
    devtools = page.context.new_cdp_session(page)
    devtools.send("Input.imeSetComposition", {"text": "１２３４５６", "selectionStart": 6, "selectionEnd": 6})
    expect(widget.code).to_have_value("１２３４５６")
    before = [body for body in posted if "code" in body]
    devtools.send("Input.insertText", {"text": "１２３４５６"})
    expect(widget.hint).to_contain_text("Wrong code")

    assert before == []
    assert [body["code"] for body in posted if "code" in body] == ["123456"]


def test_leaving_the_field_after_a_wrong_code_submits_nothing(page: Page, shop: Shop) -> None:
    """The browser sends another change event when the field loses the focus."""
    posted = answer_calls(page, request=(201, SENT), verify=WRONG)
    widget = shop.visit(page)
    page.evaluate("""
        window.problems = 0;
        document.addEventListener("otp-problem", () => problems++);
    """)
    widget.send("13800138000")
    widget.code.press_sequentially("123456")
    expect(widget.hint).to_contain_text("Wrong code")
    widget.code.press("Tab")
    expect(widget.code).not_to_be_focused()

    assert len(posted) == 2
    assert page.evaluate("problems") == 1


def test_number_without_digits_is_never_posted(page: Page, shop: Shop) -> None:
    posted = answer_calls(page, request=(201, SENT))
    widget = shop.visit(page)
    for typed in ["", "+86", "0086", "٠٠", "+", "  ", "(", "abc"]:
        widget.reset()
        expect(widget.hint).not_to_have_text("This is not a valid phone number.")
        widget.phone.fill(typed)
        widget.part("send").click()

        expect(widget.hint, f"typed: {typed!r}").to_have_text("This is not a valid phone number.")
        assert posted == [], f"typed: {typed!r}"


# ── C12: whole messages ──


CHINESE = "【Shop】订单号 202611，验证码 123456，5分钟内有效。"
MESSAGES = {
    "after the word for code, in Chinese": (CHINESE, "123456"),
    "before another number": ("验证码：123456。订单号 202611", "123456"),
    "code is": ("Order 202611 of 20261125. Your code is 123456.", "123456"),
    "code with a space": ("Order 202611 shipped. Code: 123 456", "123456"),
    "grouped code alone": ("Your code: 123 456. Do not share it.", "123456"),
    "Arabic": ("الطلب ٢٠٢٦١١ رمز: ١٢٣٤٥٦", "123456"),
    "traditional Chinese": ("訂單 202611，驗證碼為 123456", "123456"),
    "OTP": ("Txn 202611 OTP is 123456", "123456"),
    "full-width": ("订单号　２０２６１１，验证码　１２３４５６", "123456"),
    "the only one": ("123456 ist Ihre Nummer, gültig bis 2026", "123456"),
    "the same twice": ("123456 (again: 123456)", "123456"),
    "two, and no word": ("Order 202611, number 123456", None),
    "two after the word": ("code 202611 or code 123456", None),
    "word that only ends like it": ("postcode 202611, number 123456", None),
    "two without any text": ("202611 123456", None),
    "seven digits": ("Call 1234567", None),
    "date": ("2026-11-28 nothing to type", None),
    "hotline": ("客服 400-820-8820 已收到", None),
    "letter inside": ("1234ß56", None),
    "in two parts, before another number": ("123-456 is your code. Order 202611", None),
    "in two parts, after another number": ("Order 202611: 123 456", None),
    "right behind the word": ("order#202611 code123456", "123456"),
    "right behind OTP": ("OTP123456 for 202611", "123456"),
    "right behind a word that only ends like it": ("postcode202611, number 123456", "123456"),
    "month": ("2026-11", None),
    "month in a message": ("Valid until 2026-11.", None),
    "month beside a code": ("123456, valid until 2026-11", "123456"),
}


def test_pasted_message_gives_its_code_or_waits_for_the_user(page: Page, shop: Shop) -> None:
    posted = answer_calls(page, request=(201, SENT), verify=WRONG, cancel=(204, {}))
    widget = shop.visit(page)
    found: dict[str, list[str]] = {}
    for name, (message, code) in MESSAGES.items():
        widget.reset()
        widget.send("13800138000")
        posted.clear()
        paste(widget, message)
        if code:
            expect(widget.hint, name).to_contain_text("Wrong code")
        else:
            expect(widget.code, name).not_to_have_value("")
            expect(widget.part("verify"), name).to_have_attribute("aria-disabled", "false")
        found[name] = [body["code"] for body in posted]

    assert found == {name: [code] if code else [] for name, (_, code) in MESSAGES.items()}


def paste(widget: Widget, text: str) -> None:
    widget.code.evaluate(
        """(input, text) => {
          const clipboardData = new DataTransfer();
          clipboardData.setData("text", text);
          const options = { clipboardData, bubbles: true, cancelable: true };
          input.dispatchEvent(new ClipboardEvent("paste", options));
        }""",
        text,
    )


def test_user_chooses_one_of_two_codes(page: Page, shop: Shop) -> None:
    posted = answer_calls(page, request=(201, SENT), verify=WRONG)
    widget = shop.visit(page)
    widget.send("13800138000")
    posted.clear()
    paste(widget, "Order 202611, number 123456")
    expect(widget.code).to_have_value("202611 123456")
    widget.part("verify").click()
    expect(widget.hint).to_have_text("This cannot be the code. Please check it.")
    assert posted == []
    widget.code.press("Home")
    for _ in range(7):
        widget.code.press("Delete")
    expect(widget.hint).to_contain_text("Wrong code")

    assert [body["code"] for body in posted] == ["123456"]


def test_code_of_another_length_is_not_truncated(page: Page, shop: Shop) -> None:
    posted = answer_calls(page, request=(201, SENT), verify=WRONG)
    widget = shop.visit(page)
    widget.send("13800138000")
    posted.clear()
    widget.code.fill("1234567")
    widget.part("verify").click()

    expect(widget.hint).to_have_text("This cannot be the code. Please check it.")
    assert posted == []


# ── C3: calling codes, in every country ──


SEND_ALL = """async ([country, texts]) => {
  const root = document.querySelector("otp-verify").shadowRoot;
  const part = (name) => root.querySelector(`[part~=${name}]`);
  const [phone, select, send] = ["phone", "country", "send"].map(part);
  const posted = [];
  window.fetch = async (request) => {
    posted[posted.length - 1].push(JSON.parse(await request.text()).phone);
    return new Response('{"code": "invalid_phone"}', { status: 422 });
  };
  for (const text of texts) {
    posted.push([]);
    select.value = country;
    phone.value = text;
    phone.dispatchEvent(new InputEvent("input"));
    const shown = new Promise((resolve) => document.addEventListener("otp-problem", resolve, { once: true }));
    send.click();
    await shown;
    await new Promise((resolve) => setTimeout(resolve));
  }
  return posted;
}"""


def spellings_of(country: str) -> dict[str, str]:
    """Return spellings of the example number of a country, each with the number that it means."""
    texts: dict[str, str] = {}
    number: Any = phonenumbers.example_number_for_type(country, PhoneNumberType.MOBILE)
    if number is not None:
        bare = phonenumbers.national_significant_number(number)
        national = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
        code = number.country_code
        written = [bare, national, f"{code}{bare}", f"{code} {national}", f"00{code}{bare}", f"+{code}{bare}"]
        texts |= dict.fromkeys(written, f"+{code}{bare}")
    return texts


def read(text: str, region: str) -> str:
    """Return the number that *text* means for a service with this default region; empty if invalid."""
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return ""
    is_valid = phonenumbers.is_valid_number(number)
    return phonenumbers.format_number(number, PhoneNumberFormat.E164) if is_valid else ""


def test_selected_country_does_not_change_the_meaning_of_a_number(page: Page, shop: Shop) -> None:
    """A mobile number with or without its calling code is the same number."""
    countries = sorted(COUNTRIES - {"CN"})
    wrong = []
    for i, country in enumerate(countries):
        if i % 25 == 0:
            page.unroute_all()
            serve_module_for(page, ["CN", *countries[i : i + 25]])
            shop.visit(page)
            page.locator("otp-verify:defined").wait_for()
        texts = spellings_of(country)
        for text, posted in zip(texts, page.evaluate(SEND_ALL, [country, list(texts)]), strict=True):
            got = next(filter(None, (read(number, "CN") for number in posted)), "")
            if got != texts[text]:
                wrong.append((country, text, posted))

    assert wrong == []
