"""The calls of the API: their answers, and what these do not contain."""

from __future__ import annotations

import json

import pytest
from support import fakes
from web.web_app import OTHER_PHONE, PHONE, UNKNOWN_ID, WebApp, open_web_app, pointers, problem

from otp_service.domain.errors import CooldownActive, StoreUnavailable
from otp_service.domain.messages import FailureCause, SendResult, SendStatus

# ── request ──


def test_answer_to_a_request_has_all_fields_that_a_page_needs(web_app: WebApp) -> None:
    answer = web_app.request()

    document = answer.get_json()
    assert answer.status_code == 201
    assert answer.content_type == "application/json"
    assert len(document.pop("verification_id")) == 22
    assert document == {
        "status": "pending",
        "purpose": "login",
        "phone_masked": "+86 138****8000",
        "code_length": 6,
        "code_type": "digits",
        "expires_at": "2026-11-23T08:12:41Z",
        "expires_in": 300,
        "resend_at": "2026-11-23T08:08:41Z",
        "resend_in": 60,
        "sends_left": 3,
        "attempts_left": 5,
        "delivery": "accepted",
    }


def test_times_are_rounded_to_the_safe_side(web_app: WebApp) -> None:
    web_app.harness.clock.advance(0.4)

    document = web_app.request().get_json()

    assert document["expires_at"] == "2026-11-23T08:12:41Z"
    assert document["resend_at"] == "2026-11-23T08:08:42Z"


def test_a_send_of_unknown_outcome_is_a_202(web_app: WebApp) -> None:
    web_app.harness.sender.outcome = SendResult(SendStatus.UNKNOWN, route="main")

    answer = web_app.request()

    assert answer.status_code == 202
    assert answer.get_json()["delivery"] == "unknown"


def test_a_purpose_may_be_left_out_when_there_is_one_only(web_app: WebApp) -> None:
    answer = web_app.post("/otp/request", {"phone": PHONE, "client_ip": "203.0.113.7"}, key=fakes.BANK_KEY)

    assert answer.get_json()["purpose"] == "transfer"
    assert answer.get_json()["code_type"] == "alnum6"


def test_a_purpose_is_required_if_there_are_several(web_app: WebApp) -> None:
    assert pointers(web_app.post("/otp/request", {"phone": PHONE})) == ["/purpose"]


@pytest.mark.parametrize("purpose", ["transfer", "", "LOGIN", "no/such"])
def test_unknown_purpose_is_rejected(web_app: WebApp, purpose: str) -> None:
    assert pointers(web_app.request(purpose=purpose)) == ["/purpose"]


@pytest.mark.parametrize(
    "field", ["purpose", "locale", "client_ip", "known_phone", "accepts_challenge", "risk_solution"]
)
def test_an_optional_field_may_be_null(web_app: WebApp, field: str) -> None:
    answer = web_app.post("/otp/request", {"phone": PHONE, "purpose": "login", field: None})

    assert answer.status_code == (400 if field == "purpose" else 201)


@pytest.mark.parametrize(
    "field",
    [
        {"locale": "zh-CN"},
        {"locale": "zh-Hant-HK"},
        {"locale": "zh_CN"},
        {"known_phone": True},
        {"risk_solution": "x" * 4096},
    ],
    ids=["short locale", "long locale", "underscore", "known_phone", "risk_solution"],
)
def test_optional_field_is_accepted(web_app: WebApp, field: dict[str, object]) -> None:
    assert web_app.request(**field).status_code == 201
    assert web_app.harness.sender.sent[-1].locale == field.get("locale", "")


@pytest.mark.parametrize("written", ["zh_CN.UTF-8", "zh_CN.utf8", "zh_CN@pinyin", "zh_CN.UTF-8@pinyin"])
def test_locale_may_have_the_format_of_operating_systems(web_app: WebApp, written: str) -> None:
    """The character set is ignored."""
    assert web_app.request(locale=written).status_code == 201
    assert web_app.harness.sender.sent[-1].locale == "zh_CN"


@pytest.mark.parametrize("locale", ["", "zh CN", "中文", "z", "en-", "*", "a" * 36, ".UTF-8", "zh_CN.UTF 8"])
def test_locale_is_a_language_code(web_app: WebApp, locale: str) -> None:
    assert pointers(web_app.request(locale=locale)) == ["/locale"]


@pytest.mark.parametrize("phone", ["", "1", "13800138000,13900139000", "110", "+8613800138000;ext=5"])
def test_invalid_phone_is_rejected_as_such(web_app: WebApp, phone: str) -> None:
    answer = web_app.request(phone)

    assert answer.status_code == 422
    assert problem(answer)["code"] == "invalid_phone"


@pytest.mark.parametrize("phone", ["+14155552671", "400-820-8820", "010-65521234"])
def test_a_phone_of_another_country_or_kind_is_blocked(web_app: WebApp, phone: str) -> None:
    assert problem(web_app.request(phone))["code"] == "destination_blocked"


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (SendResult(SendStatus.REFUSED, cause=FailureCause.RECIPIENT), "destination_rejected"),
        (
            SendResult(SendStatus.REFUSED, cause=FailureCause.RECIPIENT_RATE_LIMIT, retry_after=60),
            "provider_rate_limited",
        ),
        (SendResult(SendStatus.REFUSED, cause=FailureCause.ACCOUNT), "provider_misconfigured"),
        (SendResult(SendStatus.REFUSED, cause=FailureCause.PROVIDER), "provider_unavailable"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_rejection_by_the_provider_does_not_contain_its_message(
    web_app: WebApp, outcome: SendResult, code: str
) -> None:
    web_app.harness.sender.outcome = SendResult(
        outcome.status,
        "main",
        outcome.cause,
        outcome.retry_after,
        provider_code="isv.SECRET",
        request_id="SECRET",
    )

    answer = web_app.request()

    assert problem(answer)["code"] == code
    assert "SECRET" not in answer.text


# ── resend ──


def test_a_resend_sends_the_same_code_of_the_same_verification(web_app: WebApp) -> None:
    verification_id = web_app.open_verification()
    web_app.harness.clock.advance(60)

    answer = web_app.resend(verification_id)

    assert answer.status_code == 201
    assert answer.get_json()["verification_id"] == verification_id
    assert answer.get_json()["sends_left"] == 2
    assert len({sms.code for sms in web_app.harness.sender.sent}) == 1


def test_early_resend_has_a_retry_after(web_app: WebApp) -> None:
    answer = web_app.resend(web_app.open_verification())

    assert answer.status_code == 429
    assert problem(answer)["limit"] == "phone_cooldown"
    assert answer.headers["Retry-After"] == "60"


@pytest.mark.parametrize("purpose", ["login", "signup"])
def test_resend_accepts_no_purpose(web_app: WebApp, purpose: str) -> None:
    verification_id = web_app.open_verification()
    web_app.harness.clock.advance(60)

    assert pointers(web_app.request(verification_id=verification_id, purpose=purpose)) == ["/purpose"]
    assert len(web_app.harness.sender.sent) == 1


@pytest.mark.parametrize("verification_id", ["", "x", UNKNOWN_ID, "../../etc/passwd", "{otp}", "ä" * 22])
def test_an_unknown_verification_is_not_found(web_app: WebApp, verification_id: str) -> None:
    named = {"phone": PHONE, "verification_id": verification_id}

    answers = [
        web_app.resend(verification_id),
        web_app.verify(verification_id, "123456"),
        web_app.post("/otp/status", named),
        web_app.post("/otp/cancel", named),
    ]

    assert [problem(answer)["code"] for answer in answers] == ["verification_not_found"] * 4


# ── the end user's address ──


def test_client_may_be_required_to_send_the_address(web_app: WebApp) -> None:
    without = {"phone": PHONE, "purpose": "transfer"}
    attempt = {"phone": PHONE, "verification_id": UNKNOWN_ID, "code": "23456A"}

    assert pointers(web_app.post("/otp/request", without, key=fakes.BANK_KEY)) == ["/client_ip"]
    assert pointers(web_app.post("/otp/verify", attempt, key=fakes.BANK_KEY)) == ["/client_ip"]
    assert web_app.harness.store.calls == []


@pytest.mark.parametrize("client_ip", ["203.0.113.7", "2001:db8::1", "::ffff:203.0.113.7"])
def test_address_is_accepted_in_every_spelling(web_app: WebApp, client_ip: str) -> None:
    answer = web_app.post("/otp/request", {"phone": PHONE, "client_ip": client_ip}, key=fakes.BANK_KEY)

    assert answer.status_code == 201


# ── verify ──


def test_the_right_code_earns_a_proof(web_app: WebApp) -> None:
    verification_id = web_app.open_verification()

    answer = web_app.verify(verification_id, web_app.harness.sender.last_code)

    document = answer.get_json()
    assert answer.status_code == 200
    assert document.pop("proof")
    assert document == {
        "status": "approved",
        "verification_id": verification_id,
        "purpose": "login",
        "phone": PHONE,
        "proof_expires_in": 180,
    }


def test_a_wrong_code_uses_an_attempt_up(web_app: WebApp) -> None:
    answer = web_app.verify(web_app.open_verification(), "000000")

    assert answer.status_code == 422
    assert problem(answer)["attempts_left"] == 4


def test_letters_of_a_code_may_be_lower_case(web_app: WebApp) -> None:
    asked = {"phone": PHONE, "client_ip": "203.0.113.7"}
    opened = web_app.post("/otp/request", asked, key=fakes.BANK_KEY).get_json()
    attempt = {**asked, "verification_id": opened["verification_id"]}
    attempt["code"] = web_app.harness.sender.last_code.lower()

    assert web_app.post("/otp/verify", attempt, key=fakes.BANK_KEY).status_code == 200


def test_a_second_right_code_is_a_conflict(web_app: WebApp) -> None:
    verification_id = web_app.open_verification()
    codes = [web_app.verify(verification_id, web_app.harness.sender.last_code) for _ in range(2)]

    assert problem(codes[1])["code"] == "already_verified"


def test_the_last_wrong_code_ends_it(web_app: WebApp) -> None:
    verification_id = web_app.open_verification()

    answers = [web_app.verify(verification_id, "000000") for _ in range(6)]

    assert [problem(answer)["code"] for answer in answers] == ["wrong_code"] * 5 + ["attempts_exhausted"]
    assert "Retry-After" not in answers[-1].headers


ODD_CODES: dict[str, object] = {
    "empty": "",
    "five digits": "12345",
    "seven digits": "1234567",
    "circled digits": "➊➋➌➍➎➏",
    "Chinese numerals": "一二三四五六",
    "roman numerals": "ⅠⅡⅢⅣⅤⅥ",
    "newline and a seventh digit": "123456\n7",
    "underscore": "1_2345",
    "sign": "+12345",
    "minus": "-12345",
    "decimal point": "1234.5",
    "exponent": "1e5000",
    "hexadecimal": "0x1234",
    "NUL at the end": "123456\x00",
    "NUL": "\x00" * 6,
    "right-to-left mark for a digit": "12345\u200f",
    "zero-width space for a digit": "123\u200b45",
    "dotless i": "ıııııı",
    "long s, with a separator of no code": "ſſ_ſſſſ",
    "sharp s": "ßßß",
    "emoji": "😀😀😀😀😀😀",
    "wildcard": "******",
    "sql": "' OR 1",
    "6 kB": "1" * 6_000,
    "10 kB": "1" * 10_000,
    "integer": 123456,
    "zero": 0,
    "float": 123456.0,
    "true": True,
    "null": None,
    "list": ["123456"],
    "list of many": ["000000", "123456"],
    "object": {"$ne": ""},
    "nested": [[[]]],
}


@pytest.mark.parametrize("code", ODD_CODES.values(), ids=ODD_CODES)
def test_malformed_code_is_rejected_and_uses_no_attempt(web_app: WebApp, code: object) -> None:
    verification_id = web_app.open_verification()

    answer = web_app.verify(verification_id, code)

    assert problem(answer)["code"] in {"invalid_code", "invalid_request", "payload_too_large"}
    assert 400 <= answer.status_code < 500
    left = web_app.post("/otp/status", {"phone": PHONE, "verification_id": verification_id}).get_json()
    assert left["attempts_left"] == 5


# ── redeem ──


def test_a_proof_is_redeemed_once(web_app: WebApp) -> None:
    proof = web_app.proof()
    web_app.harness.clock.advance(7)

    answers = [web_app.post("/otp/redeem", {"proof": proof, "purpose": "login"}) for _ in range(2)]

    document = answers[0].get_json()
    assert len(document.pop("verification_id")) == 22
    assert document == {
        "phone": PHONE,
        "purpose": "login",
        "client": "shop",
        "verified_at": "2026-11-23T08:07:41Z",
        "amr": ["sms"],
    }
    assert problem(answers[1])["code"] == "proof_redeemed"


@pytest.mark.parametrize("proof", ["", "x", "a.b.c", ".", "ä", "e30.AAAAAA.x", "x" * 2048])
def test_malformed_proof_is_rejected(web_app: WebApp, proof: str) -> None:
    answer = web_app.post("/otp/redeem", {"proof": proof, "purpose": "login"})

    assert answer.status_code == 422
    assert problem(answer)["code"] == "invalid_proof"


def test_proof_is_invalid_for_another_purpose_client_or_time(web_app: WebApp) -> None:
    proof = web_app.proof()

    other_purpose = web_app.post("/otp/redeem", {"proof": proof, "purpose": "signup"})
    other_client = web_app.post("/otp/redeem", {"proof": proof, "purpose": "login"}, key=fakes.BANK_KEY)
    web_app.harness.clock.advance(181)
    too_late = web_app.post("/otp/redeem", {"proof": proof, "purpose": "login"})

    codes = [problem(answer)["code"] for answer in (other_purpose, other_client, too_late)]
    assert codes == ["invalid_proof", "invalid_proof", "proof_expired"]


# ── status ──


def test_status_shows_the_delivery_of_each_send(web_app: WebApp) -> None:
    verification_id = web_app.open_verification()
    web_app.harness.clock.advance(60)
    web_app.harness.sender.outcome = SendResult(SendStatus.UNKNOWN, route="spare")
    web_app.resend(verification_id)

    answer = web_app.post("/otp/status", {"phone": PHONE, "verification_id": verification_id})

    document = answer.get_json()
    assert answer.status_code == 200
    assert document["delivery"] == "unknown"
    assert document["sends"] == [
        {"number": 1, "delivery": "accepted", "at": "2026-11-23T08:07:41Z", "route": "main", "reason": None},
        {"number": 2, "delivery": "unknown", "at": "2026-11-23T08:08:41Z", "route": "spare", "reason": None},
    ]


def test_ended_verification_allows_no_attempts_or_sends(web_app: WebApp) -> None:
    verification_id = web_app.open_verification()
    web_app.harness.clock.advance(301)

    document = web_app.post("/otp/status", {"phone": PHONE, "verification_id": verification_id}).get_json()

    assert (document["status"], document["expires_in"], document["sends_left"]) == ("expired", 0, 0)
    assert document["resend_at"] is None
    assert document["resend_in"] is None


def test_a_verification_of_another_phone_is_not_found(web_app: WebApp) -> None:
    named = {"phone": OTHER_PHONE, "verification_id": web_app.open_verification()}

    assert problem(web_app.post("/otp/status", named))["code"] == "verification_not_found"


# ── cancel ──


def test_answer_to_cancel_has_no_content(web_app: WebApp) -> None:
    verification_id = web_app.open_verification()
    named = {"phone": PHONE, "verification_id": verification_id}

    answers = [web_app.post("/otp/cancel", named) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [204, 204]
    assert answers[0].data == b""
    assert "Content-Type" not in answers[0].headers
    assert answers[0].headers["Cache-Control"] == "no-store"
    assert (
        problem(web_app.verify(verification_id, web_app.harness.sender.last_code))["code"]
        == "verification_canceled"
    )


# ── unlock ──


def test_unlock_resets_the_failures_of_the_phone(web_app: WebApp) -> None:
    answer = web_app.post("/otp/unlock", {"phone": "138 0013 8000"})

    assert (answer.status_code, answer.data) == (204, b"")
    assert web_app.harness.store.unlocked == [web_app.harness.keyring.phone_hash(PHONE)]


def test_unlock_is_an_event(web_app: WebApp) -> None:
    web_app.post("/otp/unlock", {"phone": PHONE})

    phone_hash = web_app.harness.keyring.phone_hash(PHONE)
    assert web_app.harness.events.of("phone_unlocked") == [
        {"phone_hash": phone_hash, "phone_masked": "+86 138****8000", "client": "shop"}
    ]


def test_client_that_may_not_unlock_is_refused(web_app: WebApp) -> None:
    answer = web_app.post("/otp/unlock", {"phone": PHONE}, key=fakes.BANK_KEY)

    assert answer.status_code == 403
    assert problem(answer)["code"] == "forbidden"
    assert web_app.harness.store.calls == []
    assert web_app.harness.events.of("phone_unlocked") == []


def test_unlock_of_an_invalid_phone_is_rejected(web_app: WebApp) -> None:
    answers = [web_app.post("/otp/unlock", {"phone": phone}) for phone in ("1", "+14155552671")]

    assert [problem(answer)["code"] for answer in answers] == ["invalid_phone", "destination_blocked"]
    assert web_app.harness.store.calls == []


def test_unlock_that_failed_is_no_event(web_app: WebApp) -> None:
    web_app.harness.store.failure = StoreUnavailable()

    assert web_app.post("/otp/unlock", {"phone": PHONE}).status_code == 503
    assert web_app.harness.events.of("phone_unlocked") == []


# ── what no answer contains ──


def test_no_answer_contains_a_code_and_only_two_contain_the_phone(web_app: WebApp) -> None:
    verification_id = web_app.open_verification()
    code = web_app.harness.sender.last_code
    wrong = "000000" if code != "000000" else "111111"
    named = {"phone": PHONE, "verification_id": verification_id}
    web_app.resend(verification_id)
    web_app.verify(verification_id, wrong)
    web_app.verify(verification_id, "odd")
    web_app.post("/otp/status", named)
    approved = web_app.verify(verification_id, code)
    redeemed = web_app.post("/otp/redeem", {"proof": approved.get_json()["proof"], "purpose": "login"})
    web_app.post("/otp/status", named)
    web_app.post("/otp/cancel", named)
    web_app.request("+861380013800")
    web_app.harness.store.failure = StoreUnavailable()
    web_app.post("/otp/status", named)

    for answer in web_app.answers:
        text = answer.text + json.dumps(list(answer.headers))
        assert code not in text
        assert ("13800138000" in text) is (answer in (approved, redeemed))


def test_reached_limit_is_reported_with_name_and_time(web_app: WebApp) -> None:
    web_app.harness.store.failure = CooldownActive(17, "cooldown")

    answer = web_app.request()

    document = problem(answer)
    assert (document["retry_after"], document["limit"]) == (17, "cooldown")
    assert answer.headers["Retry-After"] == "17"


def test_service_with_one_client_serves_that_client() -> None:
    web_app = open_web_app(fakes.harness(fakes.SHOP))

    assert web_app.request().status_code == 201
    assert web_app.post("/otp/request", {"phone": PHONE}, key=fakes.BANK_KEY).status_code == 401
