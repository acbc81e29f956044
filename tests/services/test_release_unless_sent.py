"""Quota that the pre-check reserves is kept if the SMS was sent, and released otherwise."""

from __future__ import annotations

import pytest
from support import fakes
from support.recording_store import RecordingStore

from otp_service.domain.errors import (
    ChallengeRequired,
    CooldownActive,
    DestinationRejected,
    OtpError,
    ProviderMisconfigured,
    ProviderRateLimited,
    ProviderUnavailable,
    StoreUnavailable,
    VerificationExpired,
)
from otp_service.domain.limits import ConversionLimits, IpLimits, PhoneLimits
from otp_service.domain.phone import PhoneRules, parse
from otp_service.domain.risk import ClientIpQuota, ConversionScope, PhoneKey, PrecheckResult, QuotaReservation
from otp_service.services.context import RequestContext
from otp_service.services.risk import release_unless_sent

ADDRESS = ClientIpQuota("a" * 16, IpLimits())
GUARDS = (ConversionScope("country", "country:CN", ConversionLimits()),)
ALL, NO_ADDRESS = QuotaReservation(ADDRESS, GUARDS), QuotaReservation(None, GUARDS)
CONTEXT = RequestContext(
    client=fakes.SHOP,
    phone=parse("+8613800138000", PhoneRules()),
    phone_key=PhoneKey("t" * 16, PhoneLimits()),
    deadline=0,
)


@pytest.fixture
def store() -> RecordingStore:
    return RecordingStore(fakes.FakeClock())


def released(store: RecordingStore) -> list[QuotaReservation]:
    return [
        counted for phone_hash, counted in store.released_quotas if phone_hash == CONTEXT.phone_key.phone_hash
    ]


def refuse(store: RecordingStore, refusal: OtpError, counted: QuotaReservation = ALL) -> None:
    checked = PrecheckResult(known=False, reservation=counted)
    with pytest.raises(type(refusal)) as raised, release_unless_sent(store, CONTEXT, checked):
        raise refusal
    assert raised.value is refusal


@pytest.mark.parametrize(
    "refusal", [CooldownActive(9, "phone_cooldown"), ChallengeRequired({}), VerificationExpired()]
)
def test_refusal_before_the_send_releases_everything(store: RecordingStore, refusal: OtpError) -> None:
    refuse(store, refusal)

    assert released(store) == [ALL]


@pytest.mark.parametrize(
    "refusal", [ProviderMisconfigured(), ProviderUnavailable(2), ProviderRateLimited(60)]
)
def test_provider_refusal_still_counts_for_the_address(store: RecordingStore, refusal: OtpError) -> None:
    refuse(store, refusal)

    assert released(store) == [NO_ADDRESS]


@pytest.mark.parametrize("refusal", [DestinationRejected(), StoreUnavailable()])
def test_rejected_number_and_failed_store_release_nothing(store: RecordingStore, refusal: OtpError) -> None:
    refuse(store, refusal)

    assert store.released_quotas == []


def test_empty_reservation_costs_no_round_trip(store: RecordingStore) -> None:
    refuse(store, CooldownActive(9, "phone_cooldown"), QuotaReservation())

    assert store.calls == []


def test_failed_release_does_not_hide_the_refusal(store: RecordingStore) -> None:
    store.failing.add("release_quota")

    refuse(store, CooldownActive(9, "phone_cooldown"))


def test_sent_sms_stays_counted(store: RecordingStore) -> None:
    with release_unless_sent(store, CONTEXT, PrecheckResult(known=False, reservation=ALL)) as pending:
        pending.mark_sent()

    assert released(store) == []


def test_call_that_ends_without_an_sms_releases_everything(store: RecordingStore) -> None:
    with release_unless_sent(store, CONTEXT, PrecheckResult(known=False, reservation=ALL)):
        pass

    assert released(store) == [ALL]
