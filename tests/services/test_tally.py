"""The tally: what was counted for an SMS is kept if it went out, and given back if not."""

from __future__ import annotations

import pytest
from support import fakes
from support.phone_stories import new_verification

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
from otp_service.domain.limits import GuardLimits, IpLimits, PhoneLimits
from otp_service.domain.phone import PhoneRules, parse
from otp_service.domain.risk import ClientIpQuota, ConversionScope, PhoneKey, PrecheckResult, QuotaReservation
from otp_service.services.context import RequestContext
from otp_service.services.dispatch import SendOutcome
from otp_service.services.tally import Tally

ADDRESS = ClientIpQuota("a" * 16, IpLimits())
GUARDS = (ConversionScope("country", "country:CN", GuardLimits()),)
ALL, NO_ADDRESS = QuotaReservation(ADDRESS, GUARDS), QuotaReservation(None, GUARDS)
ASK = RequestContext(
    client=fakes.SHOP,
    phone=parse("+8613800138000", PhoneRules()),
    phone_key=PhoneKey("t" * 16, PhoneLimits()),
    deadline=0,
)


@pytest.fixture
def store() -> fakes.FakeStore:
    return fakes.FakeStore(fakes.FakeClock())


def given_back(store: fakes.FakeStore) -> list[QuotaReservation]:
    return [counted for tag, counted in store.uncounted if tag == ASK.phone_key.tag]


def refuse(store: fakes.FakeStore, refusal: OtpError, counted: QuotaReservation = ALL) -> None:
    def work() -> SendOutcome:
        raise refusal

    with pytest.raises(type(refusal)) as raised:
        Tally(store).kept_if_sent(ASK, PrecheckResult(known=False, reservation=counted), work)
    assert raised.value is refusal


@pytest.mark.parametrize(
    "refusal", [CooldownActive(9, "phone_cooldown"), ChallengeRequired({}), VerificationExpired()]
)
def test_refused_before_a_send_is_all_given_back(store: fakes.FakeStore, refusal: OtpError) -> None:
    refuse(store, refusal)

    assert given_back(store) == [ALL]


@pytest.mark.parametrize(
    "refusal", [ProviderMisconfigured(), ProviderUnavailable(2), ProviderRateLimited(60)]
)
def test_refused_by_a_provider_stays_with_the_address(store: fakes.FakeStore, refusal: OtpError) -> None:
    refuse(store, refusal)

    assert given_back(store) == [NO_ADDRESS]


@pytest.mark.parametrize("refusal", [DestinationRejected(), StoreUnavailable()])
def test_bad_numbers_and_lost_stores_give_nothing_back(store: fakes.FakeStore, refusal: OtpError) -> None:
    refuse(store, refusal)

    assert store.uncounted == []


def test_nothing_counted_costs_no_round_trip(store: fakes.FakeStore) -> None:
    refuse(store, CooldownActive(9, "phone_cooldown"), QuotaReservation())

    assert store.calls == []


def test_store_that_fails_now_does_not_hide_the_refusal(store: fakes.FakeStore) -> None:
    store.failing.add("release_quota")

    refuse(store, CooldownActive(9, "phone_cooldown"))


@pytest.mark.parametrize(
    ("how", "back"),
    [({}, []), ({"replayed": True}, [ALL]), ({"dispatched": False}, [ALL])],
    ids=["sent", "an answer given again", "the last SMS is still on its way"],
)
def test_answer_without_an_sms_is_given_back(
    store: fakes.FakeStore, how: dict[str, bool], back: list[QuotaReservation]
) -> None:
    sent = SendOutcome("i" * 22, store.create(ASK.phone_key, new_verification(), {}), ASK.phone, **how)

    assert Tally(store).kept_if_sent(ASK, PrecheckResult(known=False, reservation=ALL), lambda: sent) is sent
    assert given_back(store) == back
