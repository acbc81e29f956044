"""The hosted page in Chromium, with and without scripts: complete verifications and errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from browser.hosting import Hosting, hosting
from playwright.sync_api import Browser, Page, Route, expect
from support import chromium
from support.deployment import new_phone

SCRIPTS = pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
XSS = "<img src=x onerror=alert(1)>\"'</script>"


@pytest.fixture(scope="module")
def hosted() -> Iterator[Hosting]:
    with hosting() as running:
        yield running


@pytest.fixture(scope="module")
def suspicious() -> Iterator[Hosting]:
    """A service that soon requires a risk challenge from every address."""
    limits = {"sends_per_hour": 2, "sends_per_day": 100, "phones_per_day": 2, "verified_allowance_ratio": 0}
    with hosting(ip_limits=limits) as running:
        running.exhaust(limits["sends_per_hour"])
        yield running


@pytest.fixture
def plain(browser: Browser) -> Iterator[Page]:
    """A page of a browser without scripts."""
    with chromium.open_page(browser, java_script_enabled=False) as (page, _):
        yield page


def ask(page: Page, phone: str) -> None:
    page.fill("#phone", phone[3:])
    page.click("button.main")


def submit(page: Page, code: str, *, scripts: bool) -> None:
    """Type a code; with scripts it is submitted automatically."""
    page.fill("#code", code)
    if not scripts:
        page.click("button.main")


def wrong(code: str) -> str:
    return "111111" if code == "000000" else "000000"


def finish(page: Page, hosted: Hosting, *, scripts: bool) -> dict[str, str]:
    """Complete a verification and return the form that the site received."""
    phone = new_phone()
    ask(page, phone)
    page.wait_for_selector("#code")
    submit(page, hosted.code(phone), scripts=scripts)
    if not scripts:
        page.click("#return button")
    page.wait_for_url("**/verified")
    returned = hosted.returned[-1]
    redeemed = hosted.post("/otp/redeem", {"proof": returned["proof"], "purpose": "signup"})
    assert redeemed["phone"] == phone
    return returned


# ── a complete verification ──


@SCRIPTS
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_complete_verification_is_accessible_and_calls_no_other_host(
    browser: Browser, hosted: Hosting, scheme: str, *, scripts: bool
) -> None:
    options: dict[str, Any] = {"java_script_enabled": scripts, "color_scheme": scheme}
    with chromium.open_page(browser, **options) as (page, browser_log):
        page.goto(hosted.create_page(state="a state of mine"))
        returned = finish(page, hosted, scripts=scripts)

        assert page.title() == "Shop"
        assert returned["state"] == "a state of mine"
        assert [url for url in browser_log.requests if not url.startswith((hosted.url, hosted.site))] == []
        assert not any("proof" in url or "code" in url or "phone" in url for url in browser_log.requests)


@pytest.mark.parametrize(("scheme", "locale"), [("light", "en-US"), ("dark", "zh-CN")])
def test_axe_finds_no_violation(browser: Browser, hosted: Hosting, scheme: str, locale: str) -> None:
    """Colours depend on the scheme and texts on the language; no rule of axe-core depends on both."""
    with chromium.open_page(browser, color_scheme=scheme, locale=locale, bypass_csp=True) as (page, _):
        page.goto(hosted.create_page())
        assert chromium.accessibility_violations(page) == []
        page.fill("#phone", "12")
        page.click("button.main")
        page.wait_for_selector("#error")
        assert chromium.accessibility_violations(page) == []
        phone = new_phone()
        ask(page, phone)
        page.wait_for_selector("#code")
        assert chromium.accessibility_violations(page) == []
        submit(page, wrong(hosted.code(phone)), scripts=True)
        page.wait_for_selector("#error")
        assert chromium.accessibility_violations(page) == []
        page.route("**/page.js", lambda route: route.abort())
        page.reload()
        page.fill("#code", hosted.code(phone))
        page.click("button.main")
        page.wait_for_selector("#return")
        assert chromium.accessibility_violations(page) == []
        page.goto(f"{hosted.url}/otp/pages/gone")
        assert chromium.accessibility_violations(page) == []


@SCRIPTS
def test_chinese_browser_gets_chinese_texts(browser: Browser, hosted: Hosting, *, scripts: bool) -> None:
    with chromium.open_page(browser, java_script_enabled=scripts, locale="zh-CN") as (page, _):
        page.goto(hosted.create_page())
        expect(page.locator("h1")).to_have_text("验证手机号")
        ask(page, new_phone())
        expect(page.locator("h1")).to_have_text("输入验证码")
        expect(page.locator("html")).to_have_attribute("lang", "zh-CN")


@pytest.mark.parametrize("width", [320, 1280])
def test_page_fits_its_screen_and_does_not_shift(browser: Browser, hosted: Hosting, width: int) -> None:
    with chromium.open_page(browser, viewport={"width": width, "height": 640}) as (page, _):
        page.goto(hosted.create_page())
        ask(page, new_phone())
        page.wait_for_selector("#code")

        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_page_can_be_used_with_the_keyboard(page: Page, hosted: Hosting) -> None:
    page.goto(hosted.create_page())
    phone = new_phone()
    expect(page.locator("#phone")).to_be_focused()
    page.keyboard.type(phone[3:])
    page.keyboard.press("Enter")
    expect(page.locator("#code")).to_be_focused()
    page.keyboard.type(hosted.code(phone))

    page.wait_for_url("**/verified")


# ── errors ──


@SCRIPTS
def test_wrong_code_is_shown_and_the_right_one_is_accepted_afterwards(
    browser: Browser, hosted: Hosting, *, scripts: bool
) -> None:
    with chromium.open_page(browser, java_script_enabled=scripts) as (page, _):
        phone = new_phone()
        page.goto(hosted.create_page())
        ask(page, phone)
        page.wait_for_selector("#code")
        submit(page, wrong(hosted.code(phone)), scripts=scripts)
        expect(page.locator("#error")).to_have_text("This code is wrong. You have 4 attempts left.")
        expect(page.locator("#code")).to_be_focused()
        submit(page, hosted.code(phone), scripts=scripts)
        if not scripts:
            page.click("#return button")
        page.wait_for_url("**/verified")


@SCRIPTS
def test_double_click_sends_one_sms(browser: Browser, hosted: Hosting, *, scripts: bool) -> None:
    with chromium.open_page(browser, java_script_enabled=scripts) as (page, _):
        phone = new_phone()
        page.goto(hosted.create_page())
        page.fill("#phone", phone[3:])
        page.dblclick("button.main", no_wait_after=True)
        page.wait_for_selector("#code")

        assert len(hosted.inbox(phone)) == 1


def test_code_that_is_complete_before_the_script_is_loaded_is_sent(page: Page, hosted: Hosting) -> None:
    page.goto(hosted.create_page())
    phone = new_phone()
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/page.js", hold, times=1)
    page.fill("#phone", phone[3:])
    with page.expect_request("**/page.js"):
        page.click("button.main", no_wait_after=True)
    page.fill("#code", hosted.code(phone))
    held[0].continue_()
    page.wait_for_url("**/verified")


@SCRIPTS
def test_reload_and_back_lose_nothing(browser: Browser, hosted: Hosting, *, scripts: bool) -> None:
    with chromium.open_page(browser, java_script_enabled=scripts) as (page, _):
        phone = new_phone()
        page.goto(hosted.create_page())
        ask(page, phone)
        page.wait_for_selector("#code")
        page.reload()
        expect(page.locator("#code")).to_be_visible()
        page.click("text=Change the number")
        expect(page.locator("#phone")).to_have_value(phone[3:])
        page.click("button.main")
        page.wait_for_selector("#code")

        assert len(hosted.inbox(phone)) == 1


@SCRIPTS
def test_early_resend_is_rejected_with_a_message(browser: Browser, hosted: Hosting, *, scripts: bool) -> None:
    with chromium.open_page(browser, java_script_enabled=scripts) as (page, _):
        phone = new_phone()
        page.goto(hosted.create_page())
        ask(page, phone)
        page.wait_for_selector("#code")
        button = page.locator("text=Send it again")
        if scripts:
            expect(button).to_be_disabled()
        else:
            button.click()
            expect(page.locator("#error")).to_contain_text("It is too soon to send another SMS")

        assert len(hosted.inbox(phone)) == 1


def test_countdown_counts_down(page: Page, hosted: Hosting) -> None:
    page.goto(hosted.create_page())
    ask(page, new_phone())
    first = page.locator("#wait").inner_text()
    page.wait_for_function("text => document.getElementById('wait').textContent !== text", arg=first)

    expect(page.locator("#wait")).to_contain_text("seconds")


# ── risk challenges ──


def test_risk_challenge_is_solved_automatically(page: Page, suspicious: Hosting) -> None:
    page.goto(suspicious.create_page())
    finish(page, suspicious, scripts=True)


def test_risk_challenge_without_scripts_shows_a_message(plain: Page, suspicious: Hosting) -> None:
    phone = new_phone()
    plain.goto(suspicious.create_page())
    ask(plain, phone)

    expect(plain.locator("noscript .error")).to_contain_text("This step needs JavaScript")
    plain.click("text=Change the number")
    expect(plain.locator("#phone")).to_have_value(phone[3:])
    assert suspicious.inbox(phone) == []


def test_browser_that_cannot_solve_it_shows_a_message(page: Page, suspicious: Hosting) -> None:
    page.add_init_script("Object.defineProperty(window, 'crypto', { value: {} })")
    page.goto(suspicious.create_page())
    ask(page, new_phone())

    expect(page.locator("#failed")).to_be_visible()


# ── one address, one browser, ten minutes ──


def test_second_browser_is_rejected(browser: Browser, page: Page, hosted: Hosting) -> None:
    url = hosted.create_page()
    page.goto(url)
    phone = new_phone()
    with chromium.open_page(browser) as (other, _):
        other.goto(url)  # no form was submitted yet
        ask(page, phone)
        expect(page.locator("#code")).to_be_visible()
        answer = other.goto(url)

        assert answer is not None
        assert answer.status == 403
        expect(other.locator("h1")).to_have_text("This page was opened in another browser")
    with page.expect_navigation(url=f"{hosted.site}/verified"):
        submit(page, hosted.code(phone), scripts=True)


def test_finished_page_does_not_redirect_again(page: Page, hosted: Hosting) -> None:
    page.goto(hosted.create_page())
    finish(page, hosted, scripts=True)
    count = len(hosted.returned)
    page.go_back()

    expect(page.locator("h1")).to_have_text("Your phone number is verified")
    page.wait_for_timeout(300)
    assert len(hosted.returned) == count


def test_expired_page_says_so(page: Page, hosted: Hosting) -> None:
    url = hosted.create_page()
    page.goto(url)
    with hosted.redis.client() as client:
        for key in client.scan_iter("otp:page:*"):
            client.pexpire(key, 1)
    page.wait_for_timeout(20)
    ask(page, new_phone())

    expect(page.locator("h1")).to_have_text("This page is no longer valid")


# ── attacks ──


def test_page_cannot_be_framed(page: Page, hosted: Hosting) -> None:
    page.goto(f"{hosted.site}/frame?page={hosted.create_page()}")
    page.wait_for_load_state("networkidle")

    assert page.locator("iframe").count() == 1
    assert page.frame_locator("iframe").locator("main").count() == 0


@SCRIPTS
def test_typed_markup_is_shown_as_text(browser: Browser, hosted: Hosting, *, scripts: bool) -> None:
    with chromium.open_page(browser, java_script_enabled=scripts) as (page, _):
        page.on("dialog", lambda dialog: pytest.fail(dialog.message))
        page.goto(hosted.create_page(state=XSS))
        page.fill("#phone", XSS)
        page.click("button.main")

        expect(page.locator("#phone[aria-invalid]")).to_have_value(XSS)  # the answer has arrived
        assert page.locator("img").count() == 0
        assert finish(page, hosted, scripts=scripts)["state"] == XSS


def test_form_of_another_site_sends_nothing(page: Page, hosted: Hosting) -> None:
    """The browser has the page's cookie, and the other site knows the URL."""
    url, phone = hosted.create_page(), new_phone()
    page.goto(url)
    page.goto(f"{hosted.site}/frame?page=about:blank")
    page.evaluate(
        """([url, phone]) => {
            const form = document.createElement("form");
            form.method = "post";
            form.action = url;
            for (const [name, value] of [["wish", "phone"], ["phone", phone], ["form_key", "0".repeat(32)]]) {
                const field = document.createElement("input");
                [field.name, field.value] = [name, value];
                form.append(field);
            }
            document.body.append(form);
            form.submit();
        }""",
        [url, phone],
    )

    expect(page.locator("main")).to_have_attribute("data-view", "failed")
    assert hosted.inbox(phone) == []
