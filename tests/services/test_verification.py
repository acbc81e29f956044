"""The verification service: the order of its store calls, the effect of each send result, and refusals."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.fakes import BANK, SHOP, harness

from otp_service.domain.crypto import Keyring
from otp_service.domain.errors import (
    CooldownActive,
    DestinationRejected,
    InternalError,
    InvalidPhone,
    InvalidRequest,
    LimitReached,
    OtpError,
    ProofRedeemed,
    ProviderMisconfigured,
    ProviderRateLimited,
    ProviderUnavailable,
    StoreUnavailable,
    VerificationNotFound,
    WrongCode,
)
from otp_service.domain.limits import PhoneLimits
from otp_service.domain.messages import FailureCause, SendResult, SendStatus
from otp_service.domain.risk import PhoneKey, PrecheckRequest, PrecheckResult
from otp_service.domain.verification import DeliveryStatus, Status
from otp_service.services.dispatch import RECORDING_MARGIN

PHONE = "+8613900001234"


def refused(fault: FailureCause, wait: int = 0) -> SendResult:
    return SendResult(SendStatus.REFUSED, route="main", cause=fault, retry_after=wait)


def test_request_takes_three_store_calls_and_sends_once() -> None:
    h = harness()

    sent = h.service.request(SHOP, PHONE, purpose="login")

    assert h.store.calls == ["precheck", "create", "record_send_result"]
    assert len(h.sender.sent) == 1
    assert sent.verification.delivery is DeliveryStatus.ACCEPTED
    assert h.sender.permits == 0


def test_verify_takes_one_store_call() -> None:
    h = harness()
    sent = h.service.request(SHOP, PHONE, purpose="login")
    h.store.calls.clear()

    approved = h.service.verify(SHOP, PHONE, sent.verification_id, h.sender.last_code)

    assert h.store.calls == ["attempt"]
    assert approved.purpose == "login"
    assert h.service.redeem(SHOP, approved.proof, purpose="login").proof.phone == PHONE


@pytest.mark.parametrize(
    ("outcome", "error", "status", "kept"),
    [
        (refused(FailureCause.ACCOUNT), ProviderMisconfigured, None, 0),
        (refused(FailureCause.PROVIDER, 3), ProviderUnavailable, None, 0),
        (refused(FailureCause.RECIPIENT), DestinationRejected, Status.CANCELED, 0),
        (refused(FailureCause.RECIPIENT_RATE_LIMIT, 60), ProviderRateLimited, Status.PENDING, 0),
        (SendResult(SendStatus.UNKNOWN), None, Status.PENDING, 1),
        (SendResult(SendStatus.ACCEPTED), None, Status.PENDING, 1),
    ],
    ids=["route", "provider", "number", "limit", "unknown", "accepted"],
)
def test_send_result_decides_what_is_stored_and_charged(
    outcome: SendResult, error: type[OtpError] | None, status: Status | None, kept: int
) -> None:
    h = harness()
    h.sender.outcome = outcome

    if error:
        with pytest.raises(error):
            h.service.request(SHOP, PHONE, purpose="login")
    else:
        h.service.request(SHOP, PHONE, purpose="login")

    assert h.store.budget_counts() == [kept, kept]
    assert [kept.status for kept in h.store.verifications()] == ([status] if status else [])
    assert h.sender.permits == 0


def test_retry_after_of_a_refusal_comes_from_the_provider() -> None:
    h = harness()
    h.sender.outcome = refused(FailureCause.RECIPIENT_RATE_LIMIT, 77)

    with pytest.raises(ProviderRateLimited) as later:
        h.service.request(SHOP, PHONE, purpose="login")

    assert later.value.retry_after == 77


def test_resend_repeats_the_code() -> None:
    h = harness()
    sent = h.service.request(SHOP, PHONE, purpose="login")
    h.clock.advance(60)

    again = h.service.resend(SHOP, PHONE, sent.verification_id)

    first, second = h.sender.sent
    assert first.code == second.code
    assert first.reference != second.reference
    assert len(again.verification.sends) == 2


def test_resend_under_a_removed_key_is_a_defect_and_sends_nothing() -> None:
    h = harness()
    sent = h.service.request(SHOP, PHONE, purpose="login")
    h.clock.advance(60)
    keyring = Keyring({"k2": b"other".ljust(32)}, "k2", b"pseudonym key ".ljust(32, b"2"))
    later = harness(keyring=keyring, store=h.store)

    with pytest.raises(InternalError):
        later.service.resend(SHOP, PHONE, sent.verification_id)
    assert later.sender.sent == []


def test_two_verifications_have_two_codes() -> None:
    h = harness()
    codes = set()
    for _ in range(5):
        h.service.request(SHOP, PHONE, purpose="login")
        codes.add(h.sender.last_code)
        h.clock.advance(3600)

    assert len(codes) > 1


def test_purpose_is_optional_with_a_single_purpose() -> None:
    h = harness()

    sent = h.service.request(BANK, PHONE, client_ip="203.0.113.7")

    assert sent.verification.purpose == "transfer"


@pytest.mark.parametrize("purpose", [None, "transfer", ""], ids=["missing", "of another client", "empty"])
def test_purpose_must_belong_to_the_client(purpose: str | None) -> None:
    h = harness()

    with pytest.raises(InvalidRequest) as wrong:
        h.service.request(SHOP, PHONE, purpose=purpose)

    assert wrong.value.errors[0]["pointer"] == "/purpose"
    assert h.store.calls == []


def test_invalid_request_makes_no_store_call() -> None:
    h = harness()

    with pytest.raises(InvalidPhone):
        h.service.request(SHOP, f"{PHONE},{PHONE}", purpose="login")

    assert h.store.calls == []
    assert h.sender.sent == []


def test_cooldown_is_checked_before_any_quota_is_taken() -> None:
    h = harness()
    h.service.request(SHOP, PHONE, purpose="login")
    h.store.calls.clear()

    with pytest.raises(CooldownActive):
        h.service.request(SHOP, PHONE, purpose="login")

    assert h.store.calls == ["precheck"]


def test_missing_send_permit_takes_no_quota() -> None:
    h = harness()
    h.sender.failure = ProviderUnavailable(1)

    with pytest.raises(ProviderUnavailable):
        h.service.request(SHOP, PHONE, purpose="login")

    assert h.store.calls == ["precheck"]


def test_store_down_means_nothing_is_sent() -> None:
    h = harness()
    h.store.failure = StoreUnavailable()

    with pytest.raises(StoreUnavailable):
        h.service.request(SHOP, PHONE, purpose="login")

    assert h.sender.sent == []


def test_known_phone_may_use_the_whole_budget() -> None:
    h = harness()
    sent = h.service.request(SHOP, PHONE, purpose="login")
    assert h.store.available == [800, 8_000]
    h.service.verify(SHOP, PHONE, sent.verification_id, h.sender.last_code)
    h.clock.advance(60)

    h.service.request(SHOP, PHONE, purpose="login")

    assert h.store.available == [1_000, 10_000]


@pytest.mark.parametrize("vid", ["", "short", "a" * 23, "a" * 21 + "/", "a" * 21 + "\n", "}" * 22])
def test_malformed_verification_id_makes_no_store_call(vid: str) -> None:
    h = harness()

    for call in (
        lambda: h.service.verify(SHOP, PHONE, vid, "123456"),
        lambda: h.service.status(SHOP, PHONE, vid),
        lambda: h.service.cancel(SHOP, PHONE, vid),
        lambda: h.service.resend(SHOP, PHONE, vid),
    ):
        with pytest.raises(VerificationNotFound):
            call()
    assert h.store.calls == []


def test_proof_is_redeemed_once() -> None:
    h = harness()
    sent = h.service.request(SHOP, PHONE, purpose="login")
    proof = h.service.verify(SHOP, PHONE, sent.verification_id, h.sender.last_code).proof
    h.service.redeem(SHOP, proof, purpose="login")

    with pytest.raises(ProofRedeemed):
        h.service.redeem(SHOP, proof, purpose="login")


@pytest.mark.parametrize("name", ["status", "cancel", "verify", "resend"])
def test_address_with_too_many_unknown_ids_must_wait(name: str) -> None:
    h = harness()
    code = {"code_text": "123456"} if name == "verify" else {}

    def call() -> None:
        getattr(h.service, name)(SHOP, PHONE, "a" * 22, client_ip="192.0.2.1", is_public=True, **code)

    with pytest.raises(VerificationNotFound):
        call()
    counted = len(h.usage_counters.misses)
    h.usage_counters.wait = 40

    with pytest.raises(LimitReached) as refusal:
        call()

    assert (counted, len(h.usage_counters.misses)) == (1, 1)
    assert (refusal.value.limit, refusal.value.retry_after) == ("address_misses_per_10_minutes", 40)


def test_status_and_cancel_reach_the_verification() -> None:
    h = harness()
    vid = h.service.request(SHOP, PHONE, purpose="login").verification_id

    h.service.cancel(SHOP, PHONE, vid)

    assert h.service.status(SHOP, PHONE, vid).verification.status is Status.CANCELED


def test_send_deadline_leaves_time_to_record_the_result() -> None:
    h = harness(deadline=6.0)
    h.service.request(SHOP, PHONE, purpose="login")

    assert h.sender.deadlines == [h.clock.monotonic() + 6.0 - RECORDING_MARGIN]


def test_accepted_sms_returns_its_id_if_recording_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    h = harness()
    monkeypatch.setattr(h.store, "record_send_result", failing)

    sent = h.service.request(SHOP, PHONE, purpose="login")

    assert sent.verification.delivery is DeliveryStatus.SENDING
    h.service.verify(SHOP, PHONE, sent.verification_id, h.sender.last_code)


def test_refusal_is_raised_if_recording_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    h = harness()
    h.sender.outcome = refused(FailureCause.RECIPIENT)
    monkeypatch.setattr(h.store, "record_send_result", failing)

    with pytest.raises(DestinationRejected):
        h.service.request(SHOP, PHONE, purpose="login")


def failing(*_: object) -> None:
    raise StoreUnavailable


def test_client_may_declare_a_phone_known() -> None:
    h = harness()
    h.service.request(SHOP, PHONE, purpose="login", known_phone=True)

    assert h.store.available == [1_000, 10_000]


def test_client_ip_hash_is_part_of_the_phone_key(monkeypatch: pytest.MonkeyPatch) -> None:
    h = harness()
    ip_hashes: list[bytes] = []
    inner = h.store.precheck

    def precheck(
        phone_key: PhoneKey, client: str, attempts: int, run_precheck: PrecheckRequest
    ) -> PrecheckResult:
        ip_hashes.append(phone_key.ip_hash)
        return inner(phone_key, client, attempts, run_precheck)

    monkeypatch.setattr(h.store, "precheck", precheck)

    for i, address in enumerate(["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", None]):
        h.service.request(SHOP, f"+861390000{i:04d}", purpose="login", client_ip=address)

    assert ip_hashes[0] == ip_hashes[1] != ip_hashes[2]
    assert ip_hashes[3] == b""


def test_repr_of_values_hides_secrets() -> None:
    h = harness()
    sent = h.service.request(SHOP, PHONE, purpose="login")
    approved = h.service.verify(SHOP, PHONE, sent.verification_id, h.sender.last_code)

    shown = f"{sent!r} {approved!r} {h.sender.sent!r} {h.service._keyring!r} {SHOP!r}"

    assert PHONE not in shown
    assert PHONE[3:] not in shown
    assert approved.proof not in shown
    assert f"'{h.sender.last_code}'" not in shown
    assert SHOP.secret_key_digests[0] not in shown


def test_exhausted_budget_leaves_no_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    h = harness()
    opened = h.store.create
    monkeypatch.setattr(h.store, "create", lambda *arguments: opened(*arguments).with_max_sends(0))

    sent = h.service.request(SHOP, PHONE, purpose="login")

    assert (sent.verification.sends_left, sent.verification.resend_at) == (0, None)


def test_retry_after_of_a_busy_provider_is_capped() -> None:
    h = harness()
    h.sender.outcome = refused(FailureCause.PROVIDER, 999)

    with pytest.raises(ProviderUnavailable) as busy:
        h.service.request(SHOP, PHONE, purpose="login")

    assert busy.value.retry_after == 5


def test_every_verification_has_its_own_salt() -> None:
    h = harness()
    for number in range(5):
        h.service.request(SHOP, f"+861390000{number:04d}", purpose="login")

    salts = {created.new.salt for created in h.store.created}
    assert len(salts) == 5
    assert {len(salt) for salt in salts} == {16}


def test_code_verifies_while_its_root_key_is_configured() -> None:
    old, new, pseudonym_key = (
        b"old root ".ljust(32, b"1"),
        b"new root ".ljust(32, b"2"),
        b"pseudonym key ".ljust(32, b"3"),
    )
    before = harness(keyring=Keyring({"k1": old}, "k1", pseudonym_key))
    vid = before.service.request(SHOP, PHONE, purpose="login").verification_id
    code = before.sender.last_code
    removed = harness(keyring=Keyring({"k2": new}, "k2", pseudonym_key), store=before.store)
    rotated = harness(keyring=Keyring({"k1": old, "k2": new}, "k2", pseudonym_key), store=before.store)

    with pytest.raises(WrongCode):
        removed.service.verify(SHOP, PHONE, vid, code)
    assert rotated.service.verify(SHOP, PHONE, vid, code).proof
    assert [created.new.kid for created in before.store.created] == ["k1"]


def test_send_event_has_only_the_hashed_and_masked_phone() -> None:
    h = harness()
    h.service.request(SHOP, PHONE, purpose="login")

    (event,) = h.events.of("sms_send")
    assert event["phone_hash"] == h.keyring.phone_hash(PHONE)
    assert event["phone_masked"] == "+86 139****1234"
    assert PHONE[3:] not in str(h.events.emitted)


@pytest.mark.parametrize(
    "spelling", ["13900001234", "+86 139 0000 1234", "0086-139-0000-1234", "１３９００００１２３４"]
)
def test_spellings_of_one_phone_are_one_phone(spelling: str) -> None:
    h = harness()
    h.service.request(SHOP, PHONE, purpose="login")

    with pytest.raises(CooldownActive):
        h.service.request(SHOP, spelling, purpose="login")
    assert len({key.phone_hash for key in h.store.phone_keys}) == 1


def test_unlocking_a_phone_is_logged_with_the_client() -> None:
    h = harness()

    h.service.unlock(SHOP, PHONE)

    (unlocked,) = h.store.unlocked
    assert h.events.of("phone_unlocked") == [
        {"phone_hash": unlocked, "phone_masked": "+86 139****1234", "client": "shop"}
    ]


def test_policies_of_a_client_are_its_own_limits_where_it_has_some() -> None:
    strict = replace(BANK, limits=PhoneLimits(sends_per_day=3), sms_per_day=50)
    h = harness(SHOP, strict)

    usual, own = h.service.rate_limit_policies(SHOP), h.service.rate_limit_policies(strict)

    assert usual["phone_sends_per_day"].limit == PhoneLimits().sends_per_day
    assert (own["phone_sends_per_day"].limit, own["client_sms_per_day"].limit) == (3, 50)
    assert own["service_sms_per_day"] == usual["service_sms_per_day"]
    assert h.service.rate_limit_policies(strict) is own


@pytest.mark.parametrize(
    ("text", "other_text", "same"),
    [
        ("+8613900001234", "139 0000 1234", True),
        ("+8613900001234", "+8613900001235", False),
        ("+8613900001234", "", False),
        ("12", "12", False),
    ],
)
def test_two_texts_may_spell_one_phone(text: str, other_text: str, *, same: bool) -> None:
    assert harness().service.is_same_phone(text, other_text) is same
