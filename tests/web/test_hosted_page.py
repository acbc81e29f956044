"""The hosted page over HTTP, as a browser without scripts gets it: forms, cookies, headers, texts."""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from support import fakes
from support.html_forms import HtmlPage
from web.web_app import WebApp, open_web_app, problem
from werkzeug.test import TestResponse

from otp_service.domain.errors import DestinationBlocked, LimitReached, ProviderUnavailable, StoreUnavailable
from otp_service.web import create_blueprint
from otp_service.web.api.routes import ENDPOINTS
from otp_service.web.hosted_page.translations import CHINESE, ENGLISH, LANGUAGES, negotiate_language

PHONE = "13800138000"
XSS = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}"
FORM = "application/x-www-form-urlencoded"


@dataclass
class Visitor:
    """A browser: it keeps cookies and follows redirects."""

    web_app: WebApp
    url: str
    language: str = "en"

    def open(self) -> TestResponse:
        return self.web_app.client.get(self.url, headers={"Accept-Language": self.language})

    def page(self) -> HtmlPage:
        return HtmlPage(self.open().text)

    def send(self, action: str, **typed: str) -> HtmlPage:
        """Submit the form of *action* and return the next page."""
        form = self.page().form(action)
        answer = self.post({**form.fields, "wish": action, **typed})
        assert (answer.status_code, answer.text) == (303, "")
        assert answer.headers["Location"] == self.url.rpartition("/")[2]
        return self.page()

    def post(self, fields: dict[str, str]) -> TestResponse:
        return self.web_app.client.post(self.url, data=fields, headers={"Accept-Language": self.language})

    def code(self) -> str:
        return self.web_app.harness.sender.last_code

    def finish(self) -> HtmlPage:
        self.send("phone", phone=PHONE)
        return self.send("code", code=self.code())


def make(web_app: WebApp, **more: Any) -> Visitor:
    created = web_app.post("/otp/pages", {"purpose": "login", "return_url": fakes.RETURN_URL, **more})
    assert created.status_code == 201
    return Visitor(web_app, created.get_json()["url"])


@pytest.fixture
def visitor(web_app: WebApp) -> Visitor:
    return make(web_app, state="s1")


# ── a complete verification ──


def test_complete_verification_with_plain_forms(web_app: WebApp, visitor: Visitor) -> None:
    first = visitor.page()
    second = visitor.send("phone", phone=PHONE)
    last = visitor.send("code", code=visitor.code())

    assert [first.title, second.title, last.title] == [
        "Verify your phone number",
        "Enter the code",
        "Your phone number is verified",
    ]
    (form,) = last.forms
    assert (form.action, form.fields["state"]) == (fakes.RETURN_URL, "s1")
    assert set(form.fields) == {"proof", "state"}
    redeemed = web_app.post("/otp/redeem", {"proof": form.fields["proof"], "purpose": "login"})
    assert redeemed.get_json()["phone"] == "+8613800138000"


def test_answer_has_url_and_expiry(web_app: WebApp) -> None:
    created = web_app.post("/otp/pages", {"purpose": "login", "return_url": fakes.RETURN_URL}).get_json()

    assert re.fullmatch(r"http://localhost/otp/pages/[A-Za-z0-9_-]{32}", created["url"])
    assert (created["expires_in"], created["expires_at"]) == (600, "2026-11-23T08:17:41Z")


def test_public_url_is_the_prefix_of_every_page(web_app: WebApp) -> None:
    public = "https://otp.example.com/verify/"
    app = Flask("behind", static_folder=None)
    app.register_blueprint(create_blueprint(replace(web_app.deps, public_url=public)))
    client = app.test_client()
    key = {"Authorization": f"Bearer {fakes.SHOP_KEY}", "Host": "evil.example"}
    body = {"purpose": "login", "return_url": fakes.RETURN_URL}
    url = client.post("/otp/pages", json=body, headers=key).get_json()["url"]
    page_id = url.rpartition("/")[2]
    cookie = client.get(f"/otp/pages/{page_id}").headers["Set-Cookie"]

    assert url.startswith("https://otp.example.com/verify/otp/pages/")
    assert f"Path=/verify/otp/pages/{page_id}" in cookie
    assert "Secure" in cookie


def test_page_works_under_a_prefix() -> None:
    web_app = open_web_app(prefix="/auth")
    created = web_app.post("/auth/otp/pages", {"purpose": "login", "return_url": fakes.RETURN_URL})
    visitor = Visitor(web_app, created.get_json()["url"])

    assert "/auth/otp/pages/" in visitor.url
    assert visitor.finish().forms[0].action == fakes.RETURN_URL


# ── the browser ──


def test_cookie_is_for_this_page_and_not_for_scripts(visitor: Visitor) -> None:
    cookie = visitor.open().headers["Set-Cookie"]

    assert re.fullmatch(
        r"otp_page=[\w-]{32}; Expires=[^;]+; Max-Age=600; HttpOnly; Path=/otp/pages/[\w-]{32}; SameSite=Lax",
        cookie,
    )


def test_cookie_is_secure_on_https(web_app: WebApp) -> None:
    visitor = make(web_app)
    answer = web_app.client.get(visitor.url.replace("http:", "https:"))

    assert "; Secure;" in answer.headers["Set-Cookie"]


def test_other_browser_is_rejected(web_app: WebApp, visitor: Visitor) -> None:
    form = visitor.send("phone", phone=PHONE).form("code")
    web_app.client.delete_cookie("otp_page", path=visitor.url.removeprefix("http://localhost"))
    shown = visitor.open()
    sent = visitor.post({**form.fields, "wish": "code", "code": visitor.code()})

    assert (shown.status_code, sent.status_code) == (403, 403)
    assert HtmlPage(shown.text).title == "This page was opened in another browser"
    assert "Set-Cookie" not in shown.headers


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_link_preview_does_not_claim_the_page(web_app: WebApp, visitor: Visitor, method: str) -> None:
    """Messengers, mail filters and browsers load links before users do."""
    bot = web_app.client.application.test_client()
    seen = [bot.open(visitor.url, method=method).status_code for _ in range(3)]

    assert seen == [200] * 3
    assert visitor.finish().title == "Your phone number is verified"
    assert bot.open(visitor.url, method=method).status_code == 403


@pytest.mark.parametrize("step", ["new", "begun", "gone"])
def test_head_answers_as_get(web_app: WebApp, visitor: Visitor, step: str) -> None:
    if step == "begun":
        visitor.send("phone", phone=PHONE)
    path = "/otp/pages/gone" if step == "gone" else visitor.url
    got, head = web_app.client.get(path), web_app.client.head(path)
    varying = {"Set-Cookie", "X-Request-Id"}

    assert (head.status_code, head.text) == (got.status_code, "")
    assert set(head.headers.keys()) == set(got.headers.keys())
    for name in set(got.headers.keys()) - varying:
        assert head.headers[name] == got.headers[name]


@pytest.mark.parametrize("path", ["/otp/pages/%ED%A0%80", "/otp/pages/%00", "/otp/pages/%41"])
def test_encoded_page_id_is_not_found(web_app: WebApp, path: str) -> None:
    assert web_app.client.get(path).status_code == 404


@pytest.mark.parametrize("path", ["/otp/pages/x", f"/otp/pages/{'A' * 32}"])
def test_page_that_never_existed_is_gone(web_app: WebApp, path: str) -> None:
    answer = web_app.client.get(path)

    assert answer.status_code == 410
    assert HtmlPage(answer.text).title == "This page is no longer valid"


def test_finished_page_is_gone_when_its_proof_has_expired(web_app: WebApp, visitor: Visitor) -> None:
    visitor.finish()
    web_app.harness.clock.advance(181)

    assert visitor.open().status_code == 410


# ── forged forms ──


@pytest.mark.parametrize("key", [None, "", "0" * 32])
def test_form_of_another_site_has_no_effect(web_app: WebApp, visitor: Visitor, key: str | None) -> None:
    """It may have the cookie, if a browser sends it, but not the form key."""
    visitor.open()
    fields = {"wish": "phone", "phone": PHONE} | ({} if key is None else {"form_key": key})
    answer = visitor.post(fields)

    assert answer.status_code == 403
    assert HtmlPage(answer.text).alert == "This form is out of date. Nothing was sent."
    assert web_app.harness.sender.sent == []


def test_form_in_the_query_string_is_ignored(web_app: WebApp, visitor: Visitor) -> None:
    fields = visitor.page().form("phone").fields
    web_app.client.get(visitor.url, query_string={**fields, "wish": "phone", "phone": PHONE})
    web_app.client.post(
        visitor.url, query_string={**fields, "wish": "phone", "phone": PHONE}, content_type=FORM
    )

    assert web_app.harness.sender.sent == []


@pytest.mark.parametrize(
    ("media_type", "raw", "status"),
    [
        ("application/json", b"{}", 415),
        ("text/plain", b"wish=phone", 415),
        ("multipart/form-data", b"", 415),
        (FORM, b"a" * 9000, 413),
        (FORM, b"a=1&" * 11 + b"a=1", 400),
        (FORM, b"phone=\xff", 400),
        (FORM, b"phone=%ED%A0%80", 400),
        (FORM, b"form_key=%FF", 400),
    ],
)
def test_invalid_form_is_rejected_with_a_message(
    visitor: Visitor, media_type: str, raw: bytes, status: int
) -> None:
    visitor.open()
    answer = visitor.web_app.client.post(visitor.url, data=raw, content_type=media_type)

    assert answer.status_code == status
    assert answer.content_type == "text/html; charset=utf-8"
    assert HtmlPage(answer.text).alert


def test_compressed_form_is_rejected_with_a_message(web_app: WebApp, visitor: Visitor) -> None:
    fields = {**visitor.page().form("phone").fields, "wish": "phone", "phone": PHONE}
    raw = gzip.compress(urlencode(fields).encode())
    answer = web_app.client.post(
        visitor.url, data=raw, content_type=FORM, headers={"Content-Encoding": "gzip"}
    )

    assert answer.status_code == 415
    assert HtmlPage(answer.text).alert
    assert web_app.harness.sender.sent == []


def test_second_click_sends_nothing_and_shows_the_result_of_the_first(
    web_app: WebApp, visitor: Visitor
) -> None:
    fields = {**visitor.page().form("phone").fields, "wish": "phone", "phone": PHONE}
    answers = [visitor.post(fields), visitor.post(fields)]

    assert [answer.status_code for answer in answers] == [303, 303]
    assert visitor.page().title == "Enter the code"
    assert len(web_app.harness.sender.sent) == 1


def test_second_submission_waits_for_the_first(web_app: WebApp, visitor: Visitor) -> None:
    fields = {**visitor.page().form("phone").fields, "wish": "phone", "phone": PHONE}
    web_app.harness.store.failure = RuntimeError("died")
    assert visitor.post(fields).status_code == 500
    page = visitor.page()

    assert page.title == "One moment, please"
    assert page.attributes("meta", content="1")["http-equiv"] == "refresh"
    assert page.forms == []


# ── headers ──


def test_every_answer_forbids_framing_and_foreign_content(web_app: WebApp, visitor: Visitor) -> None:
    fields = visitor.page().form("phone").fields
    answers = [
        visitor.open(),
        visitor.post({**fields, "wish": "phone", "phone": PHONE}),
        visitor.post({"wish": "phone"}),
        web_app.client.get("/otp/pages/gone"),
    ]
    for answer in answers:
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"


def test_policy_allows_forms_to_this_origin_and_the_return_url(visitor: Visitor) -> None:
    assert visitor.open().headers["Content-Security-Policy"] == (
        "default-src 'none'; style-src 'self'; script-src 'self'; base-uri 'none'; "
        "form-action 'self' https://www.shop.example; frame-ancestors 'none'"
    )


def test_page_contains_nothing_that_the_policy_forbids(visitor: Visitor) -> None:
    for text in (visitor.open().text, visitor.finish() and visitor.open().text):
        page = HtmlPage(text)
        assert not [
            given for _, given in page.tags if "style" in given or any(n.startswith("on") for n in given)
        ]
        assert [given["src"] for tag, given in page.tags if tag == "script"] == ["../page.js"]
        assert "<style" not in text


@pytest.mark.parametrize(("name", "kind"), [("css", "text/css"), ("js", "text/javascript")])
def test_style_and_script_are_served_by_the_service(web_app: WebApp, name: str, kind: str) -> None:
    answer = web_app.get(f"/otp/page.{name}")

    assert (answer.status_code, answer.content_type) == (200, f"{kind}; charset=utf-8")
    assert "http:" not in answer.text
    assert "https:" not in answer.text


# ── input of others ──


@pytest.mark.parametrize("field", ["phone", "code", "risk_solution", "form_key", "wish", "surprise"])
def test_typed_text_is_escaped(visitor: Visitor, field: str) -> None:
    visitor.send("phone", phone=PHONE)
    answers = []
    for action in ("change", "phone", "code", "resend", "solve"):
        fields = {**visitor.page().forms[0].fields, "wish": action, field: XSS}
        answers += [visitor.post(fields), visitor.open()]

    for answer in answers:
        assert "<script>" not in answer.text
        assert "<img" not in answer.text


def test_typed_number_is_shown_unchanged(visitor: Visitor) -> None:
    page = visitor.send("phone", phone=XSS[:60])

    assert page.attributes("input", id="phone")["value"] == XSS[:60]
    assert page.alert == "This is not a valid phone number."


def test_state_is_returned_unchanged(web_app: WebApp) -> None:
    visitor = make(web_app, state=XSS)
    page = visitor.finish()

    assert page.forms[0].fields["state"] == XSS
    assert len(page.forms) == 1


@pytest.mark.parametrize("state", ["a\r\nSet-Cookie: a=b", "\x00", "x" * 513, "\u2028\x85"])
def test_state_is_printable_and_short(web_app: WebApp, state: str) -> None:
    answer = web_app.post("/otp/pages", {"purpose": "login", "return_url": fakes.RETURN_URL, "state": state})

    assert problem(answer)["code"] == "invalid_request"


def test_return_url_that_is_not_listed_is_refused(web_app: WebApp) -> None:
    answer = web_app.post("/otp/pages", {"purpose": "login", "return_url": "https://evil.example/verified"})

    assert problem(answer)["errors"] == [{"pointer": "/return_url", "detail": "is not one of this client's"}]
    assert "evil" not in answer.text


def test_too_many_pages_are_refused_with_the_time_to_wait(web_app: WebApp) -> None:
    web_app.harness.page_store.rate_error = LimitReached(42, "client_pages_per_10_minutes")
    answer = web_app.post("/otp/pages", {"purpose": "login", "return_url": fakes.RETURN_URL})

    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "42")


def test_page_is_made_for_a_visitors_address(web_app: WebApp) -> None:
    make(web_app, client_ip="203.0.113.7")
    make(web_app)
    addresses = [address for *_, address in web_app.harness.page_store.rate_checks]

    assert len(addresses[0]) == 16
    assert addresses[1] == ""


@pytest.mark.parametrize("client_ip", ["localhost", "203.0.113.7, 203.0.113.8", "", 7])
def test_address_of_a_visitor_is_one_address(web_app: WebApp, client_ip: object) -> None:
    answer = web_app.post(
        "/otp/pages", {"purpose": "login", "return_url": fakes.RETURN_URL, "client_ip": client_ip}
    )

    assert [error["pointer"] for error in problem(answer)["errors"]] == ["/client_ip"]
    assert web_app.harness.page_store.stored() == {}


def test_visitor_beyond_the_quota_must_wait(web_app: WebApp, visitor: Visitor) -> None:
    visitor.open()
    web_app.harness.page_store.rate_error = LimitReached(42, "address_pages_per_10_minutes")
    page = visitor.send("phone", phone=PHONE)
    (event,) = [
        facts for facts in web_app.harness.events.of("http_request") if facts["endpoint"] == "hosted_form"
    ]

    assert page.alert == "There were too many requests. Please wait 42 seconds."
    assert page.attributes("input", id="phone")["value"] == PHONE
    assert (event["client"], event["code"]) == ("shop", "limit_reached")
    assert web_app.harness.sender.sent == []


# ── errors ──


def test_wrong_code_shows_the_remaining_attempts(visitor: Visitor) -> None:
    visitor.send("phone", phone=PHONE)
    wrong = "111111" if visitor.code() == "000000" else "000000"
    page = visitor.send("code", code=wrong)

    assert page.alert == "This code is wrong. You have 4 attempts left."
    assert page.title == "Error: Enter the code"
    assert page.attributes("input", id="code")["aria-invalid"] == "true"
    assert wrong not in visitor.open().text


def test_code_is_accepted_in_usual_spellings(visitor: Visitor) -> None:
    visitor.send("phone", phone=PHONE)
    code = visitor.code()
    wide = "".join(chr(ord(digit) + 0xFEE0) for digit in code)

    assert visitor.send("code", code=f" {wide[:3]} - {wide[3:]}\t").title == "Your phone number is verified"


def test_early_resend_shows_how_long_to_wait(web_app: WebApp, visitor: Visitor) -> None:
    visitor.send("phone", phone=PHONE)
    early = visitor.send("resend")
    web_app.harness.clock.advance(60)
    again = visitor.send("resend")

    assert early.alert == "It is too soon to send another SMS to this number. Please wait 60 seconds."
    assert again.alert == ""
    assert len(web_app.harness.sender.sent) == 2


def test_number_can_be_changed(visitor: Visitor) -> None:
    visitor.send("phone", phone=PHONE)
    page = visitor.send("change")

    assert page.attributes("input", id="phone")["value"] == PHONE
    assert visitor.send("phone", phone="13900139000").title == "Enter the code"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (StoreUnavailable(), "The service is not available at the moment. Please wait 2 seconds."),
        (DestinationBlocked(), "We cannot send a code to this number. Please use another one."),
    ],
)
def test_rejection_by_the_service_is_shown(visitor: Visitor, error: Exception, message: str) -> None:
    visitor.open()
    visitor.web_app.harness.store.failure = error

    assert visitor.send("phone", phone=PHONE).alert == message


def test_unavailable_provider_is_shown_on_the_page(visitor: Visitor) -> None:
    visitor.web_app.harness.sender.failure = ProviderUnavailable(3)

    assert visitor.send("phone", phone=PHONE).alert == "The SMS could not be sent. Please wait 3 seconds."


def test_unavailable_store_is_shown_with_a_message(web_app: WebApp, visitor: Visitor) -> None:
    web_app.harness.page_store.failure = StoreUnavailable()
    answer = visitor.open()

    assert answer.status_code == 503
    assert HtmlPage(answer.text).alert == "The service is not available at the moment. Please wait 2 seconds."


def test_risk_challenge_says_that_it_needs_javascript(web_app: WebApp, visitor: Visitor) -> None:
    web_app.harness.store.risk_reasons = ("address_sends_per_hour",)
    page = visitor.send("phone", phone=PHONE)

    assert "needs JavaScript" in visitor.open().text
    assert page.has("change")
    challenge = page.attributes("form", id="solve")["data-riddle"]
    assert json.loads(challenge) == {"algorithm": "fake", "level": 1}
    (solve,) = [form for form in page.forms if "risk_solution" in form.fields]
    assert visitor.post({**solve.fields, "risk_solution": "1:x"}).status_code == 303
    assert visitor.page().title == "Enter the code"


def test_code_field_matches_the_code_type(visitor: Visitor) -> None:
    given = visitor.send("phone", phone=PHONE).attributes("input", id="code")

    assert (given["inputmode"], given["autocomplete"]) == ("numeric", "one-time-code")
    assert "pattern" not in given  # only the service knows every spelling


# ── languages ──


@pytest.mark.parametrize(
    ("language", "title"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "验证手机号"),
        ("zh-Hant-TW", "验证手机号"),
        ("fr;q=0.9,zh;q=0.5", "验证手机号"),
        ("en-GB,zh;q=0.1", "Verify your phone number"),
        ("fr", "Verify your phone number"),
        ("", "Verify your phone number"),
        ("*", "Verify your phone number"),
        ("\x80;;;q=x", "Verify your phone number"),
    ],
)
def test_page_is_in_the_browsers_language(web_app: WebApp, language: str, title: str) -> None:
    visitor = replace(make(web_app), language=language)

    assert visitor.page().title == title


@pytest.mark.parametrize("locale", ["zh-CN", "zh_CN", "zh_CN.UTF-8"])
def test_locale_of_the_page_overrides_the_browsers(web_app: WebApp, locale: str) -> None:
    visitor = replace(make(web_app, locale=locale), language="en")
    page = visitor.page()

    assert (page.title, page.attributes("html")["lang"]) == ("验证手机号", "zh-CN")


def test_gone_page_is_in_the_browsers_language(web_app: WebApp) -> None:
    answer = web_app.client.get("/otp/pages/x", headers={"Accept-Language": "zh"})

    assert HtmlPage(answer.text).title == "此页面已失效"


def test_all_languages_have_the_same_texts() -> None:
    assert ENGLISH.sentences.keys() == CHINESE.sentences.keys()
    assert ENGLISH.errors.keys() == CHINESE.errors.keys()
    for name, sentence in {**ENGLISH.sentences, **ENGLISH.errors}.items():
        other = {**CHINESE.sentences, **CHINESE.errors}[name]
        gaps = [set(re.findall(r"{\w+}", text)) for text in (sentence, other)]
        assert gaps[0] == gaps[1] or name == "attempts_left_one"


@pytest.mark.parametrize("words", LANGUAGES, ids=lambda words: words.tag)
def test_every_problem_of_a_page_has_a_text(words: Any) -> None:
    calls = [call for call in ENDPOINTS if call.name in ("request", "verify")]
    never = {
        *("invalid_request", "unauthorized", "payload_too_large", "unsupported_media_type"),
        *("idempotency_in_progress", "idempotency_key_reused", "challenge_required"),
    }
    codes = {error.code for call in calls for error in call.all_problems()} - never

    assert codes - words.errors.keys() == set()


@pytest.mark.parametrize(
    ("seconds", "english", "chinese"),
    [
        (1, "1 second", "1 秒"),
        (2, "2 seconds", "2 秒"),
        (119, "119 seconds", "119 秒"),
        (120, "2 minutes", "2 分钟"),
        (121, "3 minutes", "3 分钟"),
    ],
)
def test_durations_are_formatted(seconds: int, english: str, chinese: str) -> None:
    assert (ENGLISH.duration(seconds), CHINESE.duration(seconds)) == (english, chinese)


def test_unknown_problem_has_a_text() -> None:
    assert negotiate_language("en").error("new_in_the_next_version") == ENGLISH.errors["internal_error"]


# ── the log ──


def test_every_form_is_an_event_with_its_client_and_outcome(web_app: WebApp, visitor: Visitor) -> None:
    visitor.send("phone", phone=PHONE)
    visitor.send("code", code="000001" if visitor.code() == "000000" else "000000")
    facts_of_events = [
        facts for facts in web_app.harness.events.of("http_request") if facts["endpoint"] == "hosted_form"
    ]

    assert [(facts["client"], facts["status"], facts["code"]) for facts in facts_of_events] == [
        ("shop", 303, ""),
        ("shop", 303, "wrong_code"),
    ]
    assert facts_of_events[0]["phone_masked"] == "+86 138****8000"
    assert facts_of_events[0]["client_ip_hash"]


def test_no_secret_of_a_page_is_logged(web_app: WebApp, visitor: Visitor) -> None:
    proof = visitor.finish().forms[0].fields["proof"]
    said = repr(web_app.harness.events.emitted)

    for secret in (PHONE, visitor.code(), proof, visitor.url.rpartition("/")[2]):
        assert secret not in said


def test_page_never_contains_code_or_number(visitor: Visitor) -> None:
    visitor.send("phone", phone=PHONE)
    asked = visitor.open().text
    code = visitor.code()
    visitor.send("code", code=code)
    done = visitor.open().text

    assert PHONE not in asked
    assert code not in asked + done
    assert PHONE not in done
