"""Errors and the messages of the widget, most of them from the real service."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from browser.answering import SENT
from playwright.sync_api import Browser, Page, Route, expect
from support import chromium
from support.deployment import new_phone, post
from support.widget_shop import PUBLISHABLE_KEY, Shop, open_shop

from otp_service.domain.clients import KeyKind
from otp_service.web.api.problems import status_of
from otp_service.web.api.routes import ENDPOINTS

FOR_BROWSERS = {call.name: call for call in ENDPOINTS if KeyKind.PUBLISHABLE in call.callers}


def answering(status: int, body: dict[str, Any]) -> Callable[[Route], None]:
    """Return a handler that answers instead of the service."""
    headers = {"access-control-allow-origin": "*", "access-control-allow-headers": "*"}
    text = json.dumps(body)

    def answer(route: Route) -> None:
        route.fulfill(status=status, headers=headers, content_type="application/problem+json", body=text)

    return answer


def wrong(code: str) -> str:
    """Return another code than *code*."""
    return f"{(int(code) + 1) % 10**6:06d}"


# ── codes ──


def test_wrong_codes_count_down_and_the_last_one_ends_the_verification(page: Page, shop: Shop) -> None:
    phone = new_phone()
    widget = shop.visit(page)
    widget.send(phone[3:])
    code = int(shop.service.code(phone))
    for left in (4, 3, 2, 1):
        widget.code.fill(f"{(code + left) % 10**6:06d}")
        expect(widget.hint).to_have_text(f"Wrong code. Attempts left: {left}.")
        expect(widget.code).to_have_attribute("aria-invalid", "true")
        expect(widget.code).to_be_focused()
    widget.code.fill(f"{(code + 9) % 10**6:06d}")

    expect(widget.hint).to_have_text("Too many wrong codes. Ask for a new one.")
    expect(widget.phone).to_be_visible()


def test_code_that_is_too_short_uses_no_attempt(page: Page, shop: Shop) -> None:
    phone = new_phone()
    widget = shop.visit(page)
    widget.send(phone[3:])
    code = shop.service.code(phone)
    widget.code.press_sequentially(code[:5])
    widget.part("verify").click()
    expect(widget.hint).to_have_text("This cannot be the code. Please check it.")
    widget.code.fill(wrong(code))

    expect(widget.hint).to_have_text("Wrong code. Attempts left: 4.")


def test_expired_code_is_not_submitted(page: Page, shop: Shop) -> None:
    page.clock.install()
    widget = shop.visit(page)
    widget.send(new_phone()[3:])
    page.clock.fast_forward(301_000)

    expect(widget.hint).to_have_text("The code has expired. Ask for a new one.")
    expect(widget.phone).to_be_visible()
    expect(widget.phone).not_to_have_value("")


@pytest.mark.parametrize(
    ("code", "status", "text"),
    [
        ("verification_expired", 410, "The code has expired. Ask for a new one."),
        ("verification_canceled", 410, "This code was canceled. Ask for a new one."),
        ("already_verified", 409, "This code has already been used. Ask for a new one."),
        ("attempts_exhausted", 429, "Too many wrong codes. Ask for a new one."),
        ("verification_not_found", 404, "This code is no longer valid. Ask for a new one."),
    ],
)
def test_ended_verification_returns_to_the_number(
    page: Page, shop: Shop, code: str, status: int, text: str
) -> None:
    phone = new_phone()
    widget = shop.visit(page)
    widget.send(phone[3:])
    page.route("**/otp/verify", answering(status, {"code": code}))
    widget.code.fill("123456")

    expect(widget.hint).to_have_text(text)
    expect(widget.phone).to_be_focused()
    expect(widget.phone).to_have_value(f"{phone[3:6]} {phone[6:10]} {phone[10:]}")


def test_unknown_verification_returns_to_the_number(page: Page, shop: Shop) -> None:
    phone = new_phone()
    widget = shop.visit(page)
    widget.send(phone[3:])
    code = shop.service.code(phone)
    with shop.service.redis.client() as client:
        client.delete(*client.scan_iter("otp:{*}*"))
    widget.code.fill(code)

    expect(widget.hint).to_have_text("This code is no longer valid. Ask for a new one.")


# ── sending ──


def test_second_sms_waits_for_the_cooldown(page: Page, shop: Shop) -> None:
    """The server decides: a browser whose clock is ahead gets a 429 and waits again."""
    page.clock.install()
    phone = new_phone()
    widget = shop.visit(page)
    widget.send(phone[3:])
    resend = widget.part("resend")
    first = resend.inner_text()
    page.clock.fast_forward(10_000)
    second = resend.inner_text()
    expect(resend).to_have_attribute("aria-disabled", "true")
    page.clock.fast_forward(51_000)
    expect(resend).to_have_attribute("aria-disabled", "false")
    expect(widget.host.locator("[role=status]")).to_have_text("You can request another SMS now.")
    resend.click()
    expect(widget.hint).to_have_text("An SMS was sent a moment ago. Please wait.")
    expect(resend).to_have_attribute("aria-disabled", "true")

    assert first.startswith("Send again 0:5") or first == "Send again 1:00"
    assert second.startswith("Send again 0:4") or second == "Send again 0:50"
    assert len(shop.service.inbox(phone)) == 1


def test_second_sms_has_the_same_code(page: Page, shop: Shop) -> None:
    page.clock.install()
    phone = new_phone()
    widget = shop.visit(page)
    widget.send(phone[3:])
    forget_sends(shop)
    page.clock.fast_forward(61_000)
    with page.expect_response("**/otp/request") as sent:
        widget.part("resend").click()
    assert sent.value.status == 201
    codes = {sms["code"] for sms in shop.service.inbox(phone)}
    (code,) = codes
    widget.code.fill(code)

    expect(widget.done).to_be_visible()
    assert len(shop.service.inbox(phone)) == 2


def forget_sends(shop: Shop) -> None:
    """Delete the state of all phones with their cooldowns; the verifications stay."""
    with shop.service.redis.client() as client:
        client.delete(*[key for key in client.scan_iter("otp:{*}") if b":" not in key[4:]])


def test_button_shows_the_countdown(page: Page, shop: Shop) -> None:
    phone = new_phone()
    shop.service.request(phone)
    widget = shop.visit(page)
    widget.phone.fill(phone[3:])
    widget.part("send").click()

    expect(widget.hint).to_have_text("An SMS was sent a moment ago. Please wait.")
    expect(widget.part("send")).to_have_attribute("aria-disabled", "true")
    expect(widget.part("send")).to_have_text(re.compile(r"Send code 0:[45]\d|Send code 1:00"))
    assert len(shop.service.inbox(phone)) == 1


UNREACHABLE = {
    "rejected": ("138 0000 1001", "This phone number cannot receive our SMS."),
    "flow control": ("138 0000 2001", "Too many SMS to this number. Please wait."),
    "landline": ("010 6552 9988", "We cannot send to this phone number."),
    "abroad": ("+44 7400 123456", "We cannot send to this phone number."),
    "short": ("12", "This is not a valid phone number."),
    "empty": ("", "This is not a valid phone number."),
}


def test_rejected_number_shows_the_reason(page: Page, shop: Shop) -> None:
    widget = shop.visit(page)
    for case, (number, text) in UNREACHABLE.items():
        widget.reset()
        expect(widget.phone).to_have_attribute("aria-invalid", "false")
        widget.phone.fill(number)
        widget.part("send").click()

        expect(widget.hint, case).to_have_text(text)
        expect(widget.phone, case).to_have_attribute("aria-invalid", "true")


def test_slow_or_silent_provider_leads_to_the_code_step(page: Page, shop: Shop) -> None:
    """The SMS may arrive, so the user can enter its code."""
    widget = shop.visit(page)
    widget.send("138 0000 5002")
    widget.code.fill(shop.service.code("+8613800005002"))

    expect(widget.done).to_be_visible()


# ── all problems ──


REFUSALS = sorted(
    {
        (name, problem.code, status_of(problem.__new__(problem)))
        for name, call in FOR_BROWSERS.items()
        if name in ("request", "verify")
        for problem in call.all_problems()
    }
)


@pytest.fixture(scope="module")
def texts(browser: Browser, shop: Shop) -> dict[str, list[str]]:
    """The widget's message for every problem of request and verify, in English and Chinese."""
    found: dict[str, list[str]] = {}
    for lang in ("en", "zh-CN"):
        with chromium.open_page(browser) as (page, _):
            shop.visit(page, lang=lang)
            facts = {"retry_after": 0, "attempts_left": 3, "title": "TITLE", "detail": "DETAIL"}
            for call, code, status in REFUSALS:
                refusal = [call, status, {"code": code, **facts}]
                found.setdefault(f"{call} {code}", []).append(page.evaluate(REFUSE, [refusal, SENT]))
    return found


REFUSE = """async ([[call, status, body], sent]) => {
  const element = document.querySelector("otp-verify");
  const find = (selector) => element.shadowRoot.querySelector(selector);
  const answers = { request: [201, sent], [call]: [status, body] };
  window.fetch = async (request) => {
    const [status, body] = answers[request.url.split("/").pop()] ?? [200, {}];
    const headers = { "content-type": "application/problem+json" };
    return new Response(JSON.stringify(body), { status, headers });
  };
  const type = (id, text) => {
    const input = find(`#${id}`);
    input.value = text;
    input.dispatchEvent(new InputEvent("input"));
  };
  const event = (name) => new Promise((resolve) => {
    element.addEventListener(name, () => setTimeout(resolve), { once: true });
  });
  const refused = event("otp-problem");
  const isSent = event("otp-sent");
  type("phone", "13800138000");
  find("[part~=send]").click();
  if (call === "verify") {
    await isSent;
    type("code", "123456");
  }
  await refused;
  const hint = find("form:not([inert]) .hint").textContent;
  element.formResetCallback();
  return hint;
}"""
"""Rejects a call and returns the message that the widget shows."""


@pytest.mark.parametrize("refusal", [f"{call} {code}" for call, code, _ in REFUSALS])
def test_every_problem_has_a_message(texts: dict[str, list[str]], refusal: str) -> None:
    english, chinese = texts[refusal]

    assert english.isascii()
    assert english.endswith(".")
    assert chinese.endswith("。")
    assert not {"TITLE", "DETAIL", "{", "undefined"} & set(english.split())
    assert "{" not in english + chinese


# ── the store and the provider ──


@pytest.fixture
def breakable_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop that a test may break."""
    with open_shop(tmp_path_factory.mktemp("frail")) as shop:
        yield shop


def test_unavailable_store_shows_a_message_and_is_retried(page: Page, breakable_shop: Shop) -> None:
    phone = new_phone()
    widget = breakable_shop.visit(page)
    widget.send(phone[3:])
    breakable_shop.service.redis.process.kill()
    breakable_shop.service.redis.process.wait()
    widget.code.fill(breakable_shop.service.code(phone))
    expect(widget.hint).to_have_text("The service is not available. Please try again.")
    expect(widget.code).to_be_visible()
    widget.part("cancel").click()
    widget.phone.fill(new_phone()[3:])
    widget.part("send").click()

    expect(widget.hint).to_have_text("The service is not available. Please try again.")


def test_unavailable_provider_shows_a_message(page: Page, breakable_shop: Shop) -> None:
    widget = breakable_shop.visit(page)
    widget.phone.fill("138 0000 3001")
    widget.part("send").click()
    expect(widget.hint).to_have_text("The SMS could not be sent. Please try again.")
    breakable_shop.service.sandbox.close()
    expect(widget.part("send")).to_have_attribute("aria-disabled", "false")
    widget.phone.fill(new_phone()[3:])
    widget.part("send").click()

    expect(widget.hint).to_have_text("The SMS could not be sent. Please try again.")


def test_rejected_provider_account_shows_a_message(page: Page, breakable_shop: Shop) -> None:
    widget = breakable_shop.visit(page)
    widget.phone.fill("138 0000 1005")
    widget.part("send").click()

    expect(widget.hint).to_have_text("SMS cannot be sent at the moment.")


# ── limits and risk challenges ──


@pytest.fixture(scope="module")
def suspicious_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop that requires a challenge after one SMS from an address, with one SMS per phone and hour."""

    def strict(text: str) -> str:
        text = text.replace("sends_per_hour = 10000\n", "sends_per_hour = 1\nblock_multiplier = 100\n")
        return text + "\n[limits]\nsends_per_hour = 1\n"

    with open_shop(tmp_path_factory.mktemp("guarded"), strict) as shop:
        request_from_page(shop, new_phone())
        yield shop


def request_from_page(shop: Shop, phone: str) -> int:
    body = {"phone": phone, "purpose": "login"}
    headers = {"Authorization": f"Bearer {PUBLISHABLE_KEY}", "Origin": shop.url}
    return post(f"{shop.service.url}/otp/request", body, **headers).status


def test_page_stays_responsive_while_the_challenge_is_solved(page: Page, suspicious_shop: Shop) -> None:
    phone = new_phone()
    widget = suspicious_shop.visit(page)
    page.evaluate("""
        let ticks = 0;
        setInterval(() => ticks++, 10);
        window.calls = [];
        const call = window.fetch;
        window.fetch = (...request) => {
          window.calls.push([performance.now(), ticks]);
          return call(...request);
        };
    """)
    statuses: list[int] = []
    page.on("response", lambda response: "/otp/request" in response.url and statuses.append(response.status))
    widget.send(phone[3:])

    assert statuses == [403, 201]
    assert len(suspicious_shop.service.inbox(phone)) == 1
    (began, before), (ended, after) = page.evaluate("calls.slice(0, 2)")
    assert after - before >= min(3, (ended - began) // 300), "no timer ran while the puzzle was solved"
    widget.code.fill(suspicious_shop.service.code(phone))
    expect(widget.done).to_be_visible()


def test_message_says_that_the_browser_is_checked(page: Page, suspicious_shop: Shop) -> None:
    page.add_init_script("crypto.subtle.digest = () => new Promise(() => {})")
    widget = suspicious_shop.visit(page)
    widget.phone.fill(new_phone()[3:])
    widget.part("send").click()

    expect(widget.hint).to_have_text("Checking your browser. This takes a moment…")
    expect(widget.phone).to_have_attribute("aria-invalid", "false")


def test_unsolved_risk_challenge_shows_a_message(page: Page, suspicious_shop: Shop) -> None:
    page.add_init_script("crypto.subtle.digest = async () => new ArrayBuffer(32)")
    widget = suspicious_shop.visit(page)
    widget.phone.fill(new_phone()[3:])
    widget.part("send").click()

    expect(widget.hint).to_have_text("The browser check failed. Please try again.")


def test_reached_limit_shows_its_time(page: Page, suspicious_shop: Shop) -> None:
    phone = new_phone()
    suspicious_shop.service.request(phone)
    widget = suspicious_shop.visit(page)
    widget.phone.fill(phone[3:])
    widget.part("send").click()

    expect(widget.hint).to_have_text("Too many requests. Please wait.")
    expect(widget.part("send")).to_have_text(re.compile(r"Send code (59|60|1:00):\d\d"))
    assert len(suspicious_shop.service.inbox(phone)) == 1
