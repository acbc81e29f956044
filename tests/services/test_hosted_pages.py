"""Hosted pages: one browser per page, each form counts once, and the store holds only ciphertext."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace

import pytest
from support import fakes

from otp_service.domain import hosted_page
from otp_service.domain.clients import Clients
from otp_service.domain.crypto import NONCE_BYTES, Keyring
from otp_service.domain.errors import (
    AttemptsExhausted,
    CooldownActive,
    Forbidden,
    InvalidRequest,
    LimitReached,
    OtpError,
    StoreUnavailable,
    WrongCode,
)
from otp_service.domain.hosted_page import MAX_SUBMISSIONS, HostedPage, PageEvent, Step
from otp_service.domain.messages import SendResult, SendStatus
from otp_service.services.hosted_pages import (
    MAX_VERIFICATIONS_PER_PAGE,
    FormSubmission,
    HostedPages,
    PageUnavailable,
    PageUnavailableReason,
    PageView,
)

PHONE, OTHER_PHONE = "13800138000", "13900139000"
ADDRESS, OTHER_ADDRESS = "203.0.113.7", "203.0.113.8"


@dataclass
class Visit:
    """A browser that visits one hosted page."""

    harness: fakes.Harness
    page_id: str
    browser_token: str = ""

    def look(self) -> PageView:
        look = self.harness.pages.view(self.page_id, self.browser_token)
        self.browser_token = look.browser_token
        return look

    def send(self, action: str, **fields: str) -> OtpError | None:
        """Send the form that the page shows now."""
        form = FormSubmission(self.look().form_key, action, **fields)
        client, error = self.harness.pages.submit(self.page_id, self.browser_token, form, ADDRESS)
        assert client == "shop"
        return error

    def right_code(self) -> OtpError | None:
        return self.send("code", code=self.harness.sender.last_code)

    def wrong_code(self) -> OtpError | None:
        right = self.harness.sender.last_code
        return self.send("code", code="000000" if right != "000000" else "111111")

    @property
    def page(self) -> HostedPage:
        return self.look().page


def make(harness: fakes.Harness, **more: str) -> Visit:
    given = {"purpose": "login", "return_url": fakes.RETURN_URL, "state": "s", "locale": "", **more}
    return Visit(harness, harness.pages.create(fakes.SHOP, **given).page_id)


@pytest.fixture
def harness() -> fakes.Harness:
    return fakes.harness()


@pytest.fixture
def visit(harness: fakes.Harness) -> Visit:
    return make(harness)


# ── from start to proof ──


def test_page_leads_from_the_phone_number_to_a_proof(harness: fakes.Harness, visit: Visit) -> None:
    assert visit.page.step is Step.PHONE
    assert visit.send("phone", phone=PHONE) is None
    assert visit.page.active is not None
    assert visit.page.active.phone_masked == "+86 138****8000"
    assert visit.right_code() is None

    page = visit.page
    redeemed = harness.service.redeem(fakes.SHOP, page.proof, purpose="login")
    assert redeemed.proof.phone == "+8613800138000"
    assert (page.step, page.state, page.return_url) == (Step.DONE, "s", fakes.RETURN_URL)
    assert page.phone == ""


def test_limits_count_the_visitors_ip_address(harness: fakes.Harness, visit: Visit) -> None:
    visit.send("phone", phone=PHONE)
    visit.right_code()

    assert harness.store.prechecks[-1].ip_quota is not None
    assert harness.store.phone_keys[-1].ip_hash


def test_verification_uses_the_purpose_and_locale_of_the_page(harness: fakes.Harness) -> None:
    visit = make(harness, purpose="signup", locale="zh-CN")
    visit.send("phone", phone=PHONE)

    assert (harness.sender.sent[0].purpose, harness.sender.sent[0].locale) == ("signup", "zh-CN")


# ── creating a page ──


@pytest.mark.parametrize(
    "url",
    [
        "https://www.shop.example/verified/",
        "https://www.shop.example/verified?x=1",
        "https://www.shop.example/verified#x",
        "https://www.shop.example/verified/../evil",
        "https://www.shop.example/verified%2e",
        "https://www.shop.example",
        "https://www.shop.example.evil/verified",
        "https://www.shop.example@evil.example/verified",
        "https://user@www.shop.example/verified",
        "https://www.shop.example:443/verified",
        "https://WWW.shop.example/verified",
        "HTTPS://www.shop.example/verified",
        "http://www.shop.example/verified",
        "//www.shop.example/verified",
        "//evil.example",
        "/verified",
        "\\\\evil.example",
        "https:www.shop.example/verified",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://www.shop.example/verified\r\nSet-Cookie: a=b",
        " https://www.shop.example/verified",
        "",
    ],
)
def test_return_url_must_match_the_list_exactly(harness: fakes.Harness, url: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        make(harness, return_url=url)

    assert error.value.errors[0]["pointer"] == "/return_url"
    assert harness.page_store.stored() == {}


def test_client_without_return_urls_cannot_create_pages(harness: fakes.Harness) -> None:
    with pytest.raises(InvalidRequest):
        harness.pages.create(fakes.BANK, purpose=None, return_url=fakes.RETURN_URL, state="", locale="")


def test_purpose_of_another_client_is_refused(harness: fakes.Harness) -> None:
    with pytest.raises(InvalidRequest):
        make(harness, purpose="transfer")


def test_page_over_the_limit_is_not_stored(harness: fakes.Harness) -> None:
    harness.page_store.rate_error = LimitReached(60, "client_pages_per_10_minutes")

    with pytest.raises(LimitReached):
        make(harness)
    assert harness.page_store.stored() == {}


def test_page_counts_when_created_and_when_opened(harness: fakes.Harness) -> None:
    visit = make(harness, client_ip="2001:db8::1")
    made = list(harness.page_store.rate_checks)
    for _ in range(5):
        visit.look()
    looked = list(harness.page_store.rate_checks)
    visit.send("phone", phone="no number")
    visit.send("phone", phone=PHONE)
    opened = harness.page_store.rate_checks[1:]

    assert made == looked
    assert [(event, client, quota.total) for event, client, quota, _ in made] == [
        (PageEvent.CREATED, "shop", 10_000)
    ]
    assert [(event, client, quota.total) for event, client, quota, _ in opened] == [
        (PageEvent.OPENED, "shop", 1_000)
    ]
    assert {quota.per_ip for _, _, quota, _ in made + opened} == {30}
    assert made[0][3] == base64.urlsafe_b64encode(harness.keyring.ip_hash("2001:db8::/64")).decode()
    assert opened[0][3] == base64.urlsafe_b64encode(harness.keyring.ip_hash(ADDRESS)).decode()


def test_page_counts_once_for_a_double_click(harness: fakes.Harness, visit: Visit) -> None:
    form = FormSubmission(visit.look().form_key, "phone", phone=PHONE)

    def click() -> None:
        harness.page_store.before_swap = lambda: None
        harness.pages.submit(visit.page_id, visit.browser_token, form, ADDRESS)

    harness.page_store.before_swap = click
    harness.pages.submit(visit.page_id, visit.browser_token, form, ADDRESS)

    assert [event for event, *_ in harness.page_store.rate_checks].count(PageEvent.OPENED) == 1


@pytest.mark.parametrize(
    "error",
    [LimitReached(60, "address_pages_per_10_minutes"), StoreUnavailable()],
    ids=lambda error: error.code,
)
def test_page_over_the_limit_sends_nothing(harness: fakes.Harness, visit: Visit, error: OtpError) -> None:
    harness.page_store.rate_error = error
    for action in ("phone", "resend", "code", "solve"):
        assert visit.send(action, phone=PHONE) is error
    page = visit.page
    harness.page_store.rate_error = None

    assert harness.sender.sent == []
    assert page.form_error is not None
    assert (page.step, page.form_error.code) == (Step.PHONE, error.code)
    assert visit.send("phone", phone=PHONE) is None
    assert len(harness.sender.sent) == 1


def test_form_with_a_wrong_key_counts_nothing(harness: fakes.Harness, visit: Visit) -> None:
    visit.look()
    with pytest.raises(Forbidden):
        harness.pages.submit(
            visit.page_id, visit.browser_token, FormSubmission("0" * 32, "phone", phone=PHONE), ADDRESS
        )

    assert [event for event, *_ in harness.page_store.rate_checks] == [PageEvent.CREATED]


def test_invalid_client_ip_creates_no_page(harness: fakes.Harness) -> None:
    with pytest.raises(InvalidRequest) as error:
        make(harness, client_ip="localhost")

    assert error.value.errors[0]["pointer"] == "/client_ip"
    assert (harness.page_store.stored(), harness.page_store.rate_checks) == ({}, [])


def test_page_is_stored_for_ten_minutes(harness: fakes.Harness, visit: Visit) -> None:
    assert harness.page_store.ttls() == [600]


def test_page_ids_are_unique_and_have_at_least_128_bits(harness: fakes.Harness) -> None:
    ids = {make(harness).page_id for _ in range(50)}

    assert len(ids) == 50
    assert {len(page_id) for page_id in ids} == {32}


# ── binding to a browser ──


def test_page_belongs_to_the_browser_that_sends_the_first_form(harness: fakes.Harness, visit: Visit) -> None:
    visit.send("phone", phone=PHONE)
    for name in ("", "x" * 32, visit.browser_token[:-1], visit.browser_token + "A"):
        with pytest.raises(PageUnavailable) as closed:
            harness.pages.view(visit.page_id, name)
        assert closed.value.reason is PageUnavailableReason.TAKEN


def test_loading_a_page_does_not_change_it(harness: fakes.Harness, visit: Visit) -> None:
    before = harness.page_store.stored()
    for _ in range(20):
        harness.pages.view(visit.page_id, "")

    assert harness.page_store.stored() == before
    assert visit.send("phone", phone=PHONE) is None
    assert visit.page.step is Step.CODE


@pytest.mark.parametrize("origin", ["made up", "given to the attacker"])
def test_page_is_never_bound_to_a_planted_browser_token(
    harness: fakes.Harness, visit: Visit, origin: str
) -> None:
    """An attacker who knows the URL plants a cookie in the victim's browser before it opens the page."""
    planted = (
        harness.pages.view(visit.page_id, "").browser_token
        if origin == "given to the attacker"
        else "planted"
    )
    visit.browser_token = planted
    visit.send("phone", phone=PHONE)

    assert visit.browser_token != planted
    with pytest.raises(PageUnavailable) as closed:
        harness.pages.view(visit.page_id, planted)
    assert closed.value.reason is PageUnavailableReason.TAKEN


def test_form_key_is_valid_only_with_its_browser_token(harness: fakes.Harness, visit: Visit) -> None:
    planted = harness.pages.view(visit.page_id, "").browser_token
    form = FormSubmission(visit.look().form_key, "phone", phone=PHONE)

    with pytest.raises(Forbidden):
        harness.pages.submit(visit.page_id, planted, form, ADDRESS)
    assert harness.sender.sent == []
    assert visit.send("phone", phone=PHONE) is None  # the refused form did not bind the page


def test_one_of_two_concurrent_browsers_gets_the_page(harness: fakes.Harness, visit: Visit) -> None:
    other = Visit(harness, visit.page_id)
    form = FormSubmission(other.look().form_key, "phone", phone=OTHER_PHONE)

    def another() -> None:
        harness.page_store.before_swap = lambda: None
        visit.send("phone", phone=PHONE)

    visit.look()
    harness.page_store.before_swap = another
    harness.pages.submit(visit.page_id, other.browser_token, form, ADDRESS)

    assert [sms.phone.e164 for sms in harness.sender.sent] == ["+8613800138000"]
    assert visit.page.step is Step.CODE
    with pytest.raises(PageUnavailable) as closed:
        other.look()
    assert closed.value.reason is PageUnavailableReason.TAKEN


def test_form_of_another_browser_does_nothing(harness: fakes.Harness, visit: Visit) -> None:
    visit.send("phone", phone=PHONE)
    key = visit.look().form_key

    for name in ("other", ""):
        with pytest.raises(PageUnavailable) as closed:
            harness.pages.submit(visit.page_id, name, FormSubmission(key, "resend"), ADDRESS)
        assert closed.value.reason is PageUnavailableReason.TAKEN
    assert len(harness.sender.sent) == 1


def test_form_with_a_wrong_key_does_not_bind_an_unopened_page(harness: fakes.Harness, visit: Visit) -> None:
    for key in ("", "0" * 32):
        with pytest.raises(Forbidden):
            harness.pages.submit(visit.page_id, "", FormSubmission(key, "phone", phone=PHONE), ADDRESS)

    assert visit.send("phone", phone=PHONE) is None


@pytest.mark.parametrize("page_id", ["", "x", "A" * 32, "A" * 5000, "ü" * 32])
def test_unknown_page_is_gone(harness: fakes.Harness, page_id: str) -> None:
    with pytest.raises(PageUnavailable) as closed:
        harness.pages.view(page_id, "")
    assert closed.value.reason is PageUnavailableReason.GONE


def test_page_of_a_removed_client_is_gone(harness: fakes.Harness, visit: Visit) -> None:
    look = visit.look()
    others = HostedPages(
        service=harness.service,
        clients=Clients([fakes.BANK]),
        store=harness.page_store,
        keyring=harness.keyring,
        clock=harness.clock,
        deadline=6,
        draw=bytes,
    )

    with pytest.raises(PageUnavailable):
        others.submit(
            visit.page_id, look.browser_token, FormSubmission(look.form_key, "phone", phone=PHONE), ADDRESS
        )


# ── forms ──


def test_form_with_a_wrong_key_does_nothing(harness: fakes.Harness, visit: Visit) -> None:
    other = make(harness)
    foreign = other.look().form_key
    visit.look()

    for key in ("", "0" * 32, foreign, visit.look().form_key[:-1], "é" * 32):
        with pytest.raises(Forbidden):
            harness.pages.submit(
                visit.page_id, visit.browser_token, FormSubmission(key, "phone", phone=PHONE), ADDRESS
            )
    assert harness.sender.sent == []


def test_repeated_form_does_nothing(harness: fakes.Harness, visit: Visit) -> None:
    key = visit.look().form_key
    for _ in range(3):
        harness.pages.submit(
            visit.page_id, visit.browser_token, FormSubmission(key, "phone", phone=PHONE), ADDRESS
        )

    assert len(harness.sender.sent) == 1
    assert visit.page.step is Step.CODE


def test_one_of_two_concurrent_clicks_counts(harness: fakes.Harness, visit: Visit) -> None:
    form = FormSubmission(visit.look().form_key, "phone", phone=PHONE)

    def click() -> None:
        harness.page_store.before_swap = lambda: None
        harness.pages.submit(visit.page_id, visit.browser_token, form, ADDRESS)

    harness.page_store.before_swap = click
    harness.pages.submit(visit.page_id, visit.browser_token, form, ADDRESS)

    assert len(harness.sender.sent) == 1
    assert harness.store.calls.count("precheck") == 1


def test_repeated_form_with_a_wrong_code_uses_one_attempt(harness: fakes.Harness, visit: Visit) -> None:
    visit.send("phone", phone=PHONE)
    wrong = "000000" if harness.sender.last_code != "000000" else "111111"
    form = FormSubmission(visit.look().form_key, "code", code=wrong)
    for _ in range(3):
        harness.pages.submit(visit.page_id, visit.browser_token, form, ADDRESS)

    assert harness.store.calls.count("attempt") == 1
    assert visit.page.form_error is not None
    assert visit.page.form_error.attempts_left == 4


def test_page_is_busy_only_while_a_form_is_processed(harness: fakes.Harness, visit: Visit) -> None:
    seen: list[bool] = []
    form = FormSubmission(visit.look().form_key, "phone", phone=PHONE)

    def before(swap: str) -> None:
        if swap == "of the outcome":
            seen.append(visit.look().is_busy)

    swaps = ["of the outcome", "of the turn"]
    harness.page_store.before_swap = lambda: before(swaps.pop())
    harness.pages.submit(visit.page_id, visit.browser_token, form, ADDRESS)
    harness.page_store.before_swap = lambda: None

    assert seen == [True]
    assert not visit.look().is_busy


def test_page_recovers_from_a_form_whose_worker_died(harness: fakes.Harness, visit: Visit) -> None:
    key = visit.look().form_key
    harness.store.failure = RuntimeError("died")
    with pytest.raises(RuntimeError):
        harness.pages.submit(
            visit.page_id, visit.browser_token, FormSubmission(key, "phone", phone=PHONE), ADDRESS
        )
    harness.store.failure = None

    assert visit.look().is_busy
    harness.clock.advance(10)
    assert not visit.look().is_busy
    assert visit.send("phone", phone=PHONE) is None


def test_page_closes_after_the_maximum_number_of_forms(harness: fakes.Harness, visit: Visit) -> None:
    for _ in range(MAX_SUBMISSIONS):
        visit.send("phone", phone="no number")

    with pytest.raises(PageUnavailable):
        visit.send("phone", phone=PHONE)
    assert harness.sender.sent == []


@pytest.mark.parametrize("action", ["code", "resend", "surprise", ""])
def test_action_of_another_step_does_nothing(harness: fakes.Harness, visit: Visit, action: str) -> None:
    assert visit.send(action, phone=PHONE, code="123456") is None
    assert (visit.page.step, harness.sender.sent) == (Step.PHONE, [])


# ── errors ──


def test_invalid_number_is_reported_and_stays_in_the_field(visit: Visit) -> None:
    error = visit.send("phone", phone="1380013800")

    assert error is not None
    assert visit.page.form_error is not None
    assert (visit.page.form_error.code, visit.page.phone) == ("invalid_phone", "1380013800")
    assert visit.page.step is Step.PHONE


def test_wrong_code_keeps_the_step_and_shows_the_attempts_left(visit: Visit) -> None:
    visit.send("phone", phone=PHONE)
    error = visit.wrong_code()

    assert isinstance(error, WrongCode)
    assert visit.page.form_error is not None
    assert visit.page.form_error.attempts_left == 4
    assert visit.page.step is Step.CODE


def test_last_wrong_code_leads_back_to_the_phone_step(harness: fakes.Harness, visit: Visit) -> None:
    visit.send("phone", phone=PHONE)
    for _ in range(5):
        visit.wrong_code()

    page = visit.page
    assert page.form_error is not None
    assert (page.step, page.form_error.code, page.active) == (Step.PHONE, AttemptsExhausted.code, None)
    assert page.phone == PHONE


def test_error_disappears_with_the_next_form(visit: Visit) -> None:
    visit.send("phone", phone=PHONE)
    visit.wrong_code()
    visit.right_code()

    assert visit.page.form_error is None


def test_resend_after_the_cooldown_sends_the_same_code(harness: fakes.Harness, visit: Visit) -> None:
    visit.send("phone", phone=PHONE)
    first = harness.sender.last_code
    early = visit.send("resend")
    page = visit.page
    harness.clock.advance(60)

    assert isinstance(early, CooldownActive)
    assert page.form_error is not None
    assert (page.step, page.form_error.until) == (Step.CODE, harness.clock.now())
    assert visit.send("resend") is None
    assert harness.sender.last_code == first
    assert visit.page.verifications == 1


def test_expired_code_leads_back_to_the_phone_step(harness: fakes.Harness, visit: Visit) -> None:
    visit.send("phone", phone=PHONE)
    harness.clock.advance(301)
    visit.right_code()

    assert visit.page.step is Step.PHONE
    assert visit.page.form_error is not None
    assert visit.page.form_error.code == "verification_expired"


def test_phone_number_can_be_changed_and_changed_back(harness: fakes.Harness, visit: Visit) -> None:
    visit.send("phone", phone=PHONE)
    visit.send("change")
    assert (visit.page.step, visit.page.phone) == (Step.PHONE, PHONE)

    visit.send("phone", phone=PHONE)  # leads back to the pending code
    assert (visit.page.step, len(harness.sender.sent)) == (Step.CODE, 1)

    visit.send("change")
    visit.send("phone", phone=OTHER_PHONE)
    assert [sms.phone.e164 for sms in harness.sender.sent] == ["+8613800138000", "+8613900139000"]
    assert visit.right_code() is None


@pytest.mark.parametrize(
    "spelling",
    [
        "+8613800138000",
        "008613800138000",
        "8613800138000",
        "138 0013 8000",
        "１３８００１３８０００",
        "138-0013-8000\u200b",
    ],
    ids=ascii,
)
def test_same_number_in_another_spelling_leads_back_to_its_code(
    harness: fakes.Harness, visit: Visit, spelling: str
) -> None:
    visit.send("phone", phone=PHONE)
    visit.send("change")
    visit.send("phone", phone=spelling)

    assert (visit.page.step, visit.page.form_error, len(harness.sender.sent)) == (Step.CODE, None, 1)
    assert visit.right_code() is None
    assert visit.page.step is Step.DONE


@pytest.mark.parametrize("text", ["", "1380013800", "1380013800a", OTHER_PHONE])
def test_other_text_is_not_the_same_number(harness: fakes.Harness, visit: Visit, text: str) -> None:
    visit.send("phone", phone=PHONE)
    visit.send("change")
    visit.send("phone", phone=text)

    assert (visit.page.step is Step.CODE) == (text == OTHER_PHONE)
    assert len(harness.sender.sent) == 1 + (text == OTHER_PHONE)


def test_mistyped_number_keeps_the_pending_code(harness: fakes.Harness, visit: Visit) -> None:
    visit.send("phone", phone=PHONE)
    visit.send("change")
    visit.send("phone", phone="1380013800")
    visit.send("phone", phone=PHONE)

    assert (visit.page.step, visit.page.form_error, len(harness.sender.sent)) == (Step.CODE, None, 1)
    assert visit.right_code() is None


def test_same_number_gets_a_new_code_after_expiry(harness: fakes.Harness, visit: Visit) -> None:
    visit.send("phone", phone=PHONE)
    visit.send("change")
    harness.clock.advance(301)
    visit.send("phone", phone=PHONE)

    assert len(harness.sender.sent) == 2


def test_page_creates_the_maximum_number_of_verifications(harness: fakes.Harness, visit: Visit) -> None:
    for number in range(MAX_VERIFICATIONS_PER_PAGE):
        assert visit.send("phone", phone=f"1380013800{number}") is None
        visit.send("change")
    error = visit.send("phone", phone=OTHER_PHONE)

    assert isinstance(error, LimitReached)
    assert (error.limit, error.retry_after) == ("page_verifications", 600)
    assert len(harness.sender.sent) == MAX_VERIFICATIONS_PER_PAGE


def test_unknown_outcome_leads_on_to_the_code_step(harness: fakes.Harness, visit: Visit) -> None:
    harness.sender.outcome = SendResult(SendStatus.UNKNOWN)
    assert visit.send("phone", phone=PHONE) is None
    assert visit.page.step is Step.CODE


def test_failing_store_is_reported_on_the_page(harness: fakes.Harness, visit: Visit) -> None:
    visit.look()
    harness.store.failure = StoreUnavailable()
    error = visit.send("phone", phone=PHONE)

    assert isinstance(error, StoreUnavailable)
    assert visit.page.form_error is not None
    assert visit.page.form_error.code == "store_unavailable"


def test_failing_page_store_is_an_error(harness: fakes.Harness, visit: Visit) -> None:
    harness.page_store.failure = StoreUnavailable()

    with pytest.raises(StoreUnavailable):
        visit.look()


# ── risk challenges ──


def test_page_shows_a_risk_challenge_until_it_is_solved(harness: fakes.Harness, visit: Visit) -> None:
    harness.store.risk_reasons = ("address_sends_per_hour",)
    visit.send("phone", phone=PHONE)
    with_challenge = visit.page
    visit.send("solve", solution="1:one")

    assert (with_challenge.pending_action, with_challenge.challenge) == (
        "phone",
        {"algorithm": "fake", "level": 1},
    )
    assert with_challenge.step is Step.PHONE
    assert (visit.page.step, visit.page.pending_action, len(harness.sender.sent)) == (Step.CODE, "", 1)


def test_wrong_solution_leads_to_another_challenge(harness: fakes.Harness, visit: Visit) -> None:
    harness.store.risk_reasons = ("address_sends_per_hour",)
    visit.send("phone", phone=PHONE)
    visit.send("solve", solution="nothing")

    assert (visit.page.pending_action, harness.sender.sent) == ("phone", [])


def test_resend_may_require_a_challenge(harness: fakes.Harness, visit: Visit) -> None:
    visit.send("phone", phone=PHONE)
    harness.clock.advance(60)
    harness.store.risk_reasons = ("address_sends_per_hour",)
    visit.send("resend")
    with_challenge = visit.page
    visit.send("solve", solution="1:one")

    assert with_challenge.pending_action == "resend"
    assert (visit.page.step, len(harness.sender.sent), visit.page.verifications) == (Step.CODE, 2, 1)


def test_phone_number_can_be_changed_instead_of_solving(harness: fakes.Harness, visit: Visit) -> None:
    harness.store.risk_reasons = ("address_sends_per_hour",)
    visit.send("phone", phone=PHONE)
    visit.send("change")

    assert (visit.page.step, visit.page.pending_action, visit.page.challenge) == (Step.PHONE, "", {})


# ── limits of browsers apply ──


@pytest.mark.parametrize("level", [1, 2])
def test_a45_page_solves_a_challenge_while_the_wrong_code_alarm_is_on(
    harness: fakes.Harness, visit: Visit, level: int
) -> None:
    harness.usage_counters.level = level
    visit.send("phone", phone=PHONE)
    with_challenge = visit.page
    visit.send("solve", solution=f"{level}:one")

    assert (with_challenge.pending_action, with_challenge.challenge) == (
        "phone",
        {"algorithm": "fake", "level": level},
    )
    assert (visit.page.step, len(harness.sender.sent)) == (Step.CODE, 1)


def test_a45_page_solves_a_challenge_for_a_resend_while_the_alarm_is_on(
    harness: fakes.Harness, visit: Visit
) -> None:
    visit.send("phone", phone=PHONE)
    harness.clock.advance(60)
    harness.usage_counters.level = 1
    visit.send("resend")

    assert (visit.page.pending_action, len(harness.sender.sent)) == ("resend", 1)


def test_a36_address_over_its_misses_reaches_only_its_own_verifications(
    harness: fakes.Harness, visit: Visit
) -> None:
    """The browser has moved to an IP address from which other callers tried out ids."""
    visit.send("phone", phone=PHONE)
    harness.usage_counters.wait = 40
    form = FormSubmission(visit.look().form_key, "code", code=harness.sender.last_code)
    _, refusal = harness.pages.submit(visit.page_id, visit.browser_token, form, OTHER_ADDRESS)

    assert isinstance(refusal, LimitReached)
    assert (refusal.limit, refusal.retry_after) == ("address_misses_per_10_minutes", 40)
    assert visit.right_code() is None


# ── the end ──


def test_finished_page_ignores_forms_and_keeps_its_proof(harness: fakes.Harness, visit: Visit) -> None:
    visit.send("phone", phone=PHONE)
    visit.right_code()
    proof = visit.page.proof

    assert visit.send("phone", phone=OTHER_PHONE) is None
    assert visit.send("change") is None
    assert (visit.page.proof, len(harness.sender.sent)) == (proof, 1)


def test_finished_page_expires_with_its_proof(harness: fakes.Harness, visit: Visit) -> None:
    visit.send("phone", phone=PHONE)
    visit.right_code()
    harness.clock.advance(179)
    assert visit.page.step is Step.DONE
    harness.clock.advance(1)

    with pytest.raises(PageUnavailable) as closed:
        visit.look()
    assert closed.value.reason is PageUnavailableReason.GONE


# ── encryption in the store ──


def test_store_holds_no_plaintext(harness: fakes.Harness) -> None:
    visit = make(harness, state="state-in-clear")
    visit.send("phone", phone=PHONE)
    visit.right_code()
    page = visit.page
    ((page_hash, kept),) = harness.page_store.stored().items()
    seen = page_hash.encode() + kept.encrypted

    for secret in (
        PHONE,
        "state-in-clear",
        "shop.example",
        "login",
        page.proof,
        visit.page_id,
        visit.browser_token,
    ):
        assert secret.encode() not in seen


def test_page_cannot_be_decrypted_with_another_id_or_other_keys(harness: fakes.Harness, visit: Visit) -> None:
    ((_, kept),) = harness.page_store.stored().items()
    other = Keyring({"k1": b"x" * 32}, "k1", b"pseudonym key ".ljust(32, b"2"))
    newer = Keyring({"k2": b"x" * 32}, "k2", b"pseudonym key ".ljust(32, b"2"))

    assert hosted_page.decrypt_page(kept.encrypted, harness.keyring, visit.page_id)
    assert hosted_page.decrypt_page(kept.encrypted, harness.keyring, "A" * 32) is None
    assert hosted_page.decrypt_page(kept.encrypted, other, visit.page_id) is None
    assert hosted_page.decrypt_page(kept.encrypted, newer, visit.page_id) is None


def test_page_stored_under_another_id_is_gone(harness: fakes.Harness, visit: Visit) -> None:
    other = make(harness)
    page_hashes = [harness.keyring.page_hash(page_id) for page_id in (visit.page_id, other.page_id)]
    harness.page_store.replace(page_hashes[0], harness.page_store.stored()[page_hashes[1]].encrypted)

    with pytest.raises(PageUnavailable):
        visit.look()


def test_changed_page_cannot_be_decrypted(harness: fakes.Harness, visit: Visit) -> None:
    ((_, kept),) = harness.page_store.stored().items()
    whole = kept.encrypted

    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1
        assert hosted_page.decrypt_page(bytes(changed), harness.keyring, visit.page_id) is None
    for end in range(len(whole)):
        assert hosted_page.decrypt_page(whole[:end], harness.keyring, visit.page_id) is None


def test_page_of_an_earlier_format_is_gone(harness: fakes.Harness, visit: Visit) -> None:
    """That format began with the length of the key id and used a cipher based on HMAC-SHA256."""
    ((page_hash, kept),) = harness.page_store.stored().items()
    harness.page_store.replace(page_hash, b"\2k1" + bytes(range(256)))

    assert kept.encrypted.startswith(b"\2\2k1")
    with pytest.raises(PageUnavailable) as closed:
        visit.look()
    assert closed.value.reason is PageUnavailableReason.GONE


def test_page_is_encrypted_with_a_new_nonce_each_time(harness: fakes.Harness, visit: Visit) -> None:
    (one,) = harness.page_store.stored().values()
    visit.send("phone", phone=PHONE)
    (other,) = harness.page_store.stored().values()
    nonce = slice(len(b"\2\2k1"), len(b"\2\2k1") + NONCE_BYTES)

    assert one.encrypted[nonce] != other.encrypted[nonce]


def test_page_can_be_decrypted_after_a_key_rotation(harness: fakes.Harness, visit: Visit) -> None:
    ((_, kept),) = harness.page_store.stored().items()
    roots = {"k1": b"root secret ".ljust(32, b"1"), "k2": b"x" * 32}
    rotated = Keyring(roots, "k2", b"pseudonym key ".ljust(32, b"2"))

    assert hosted_page.decrypt_page(kept.encrypted, rotated, visit.page_id)


def test_repr_shows_no_personal_data(visit: Visit) -> None:
    visit.send("phone", phone=PHONE)
    visit.right_code()

    assert repr(visit.page) == "HostedPage(shop, done)"
    assert "123456" not in repr(FormSubmission("k", "code", code="123456"))


def test_form_keys_differ_by_sequence_page_and_browser(harness: fakes.Harness) -> None:
    keys = {
        hosted_page.form_key(harness.keyring, page_id, name, turn)
        for page_id in ("a" * 32, "b" * 32)
        for name in ("one", "two")
        for turn in range(3)
    }

    assert len(keys) == 12


def test_code_without_a_verification_does_nothing(harness: fakes.Harness, visit: Visit) -> None:
    look = visit.look()
    sent = replace(look.page, step=Step.CODE)

    assert sent.active is None
    assert visit.send("code", code="123456") is None
