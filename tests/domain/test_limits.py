"""Limits and budgets as values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otp_service.domain.limits import (
    MAX_CONSECUTIVE_FAILURES,
    Budget,
    CodeLimits,
    ConversionLimits,
    GlobalFailureLimits,
    IpLimits,
    PhoneLimits,
    RateLimitPolicy,
    budgets,
    rate_limit_policies,
)


def test_sms_counts_against_the_clients_and_the_services_budget() -> None:
    client, service = budgets("shop", 100, 1_000, 0.2)

    assert (client.scope, client.name, client.limit) == ("client:shop", "client_sms_per_day", 100)
    assert (service.scope, service.name, service.limit) == ("service", "service_sms_per_day", 1_000)


def test_client_named_service_does_not_share_the_services_counter() -> None:
    client, service = budgets("service", 1, 1, 0.2)

    assert client.scope != service.scope


@pytest.mark.parametrize(
    ("limit", "unknown"), [(0, 0), (1, 1), (4, 4), (5, 4), (10, 8), (100, 80), (1_000, 800)]
)
def test_part_of_a_budget_is_reserved_for_known_phones(limit: int, unknown: int) -> None:
    budget = Budget("service", "service_sms_per_day", limit, 0.2)

    assert budget.available_to(known=True) == limit
    assert budget.available_to(known=False) == unknown


@given(st.integers(1, 10**9), st.floats(0, 0.5))
def test_unknown_phones_always_have_at_least_half_of_a_budget(limit: int, share: float) -> None:
    budget = Budget("service", "service_sms_per_day", limit, share)

    assert limit / 2 <= budget.available_to(known=False) <= limit


def test_default_limits_stay_within_aliyuns_flow_control() -> None:
    """Aliyun's own limits per number are one SMS per minute, five per hour and ten per day."""
    limits = PhoneLimits()

    assert min(limits.cooldown) >= 60
    assert limits.sends_per_hour <= 5
    assert limits.sends_per_day <= 10


def test_default_limits_stay_within_nists_bound() -> None:
    assert (
        PhoneLimits().restrict_after_failures + CodeLimits().max_attempts
        < PhoneLimits().lock_after_failures
        == MAX_CONSECUTIVE_FAILURES
        == 100
    )


@pytest.mark.parametrize(
    ("wrong", "approved", "level"),
    [
        (499, 0, 0),
        (500, 0, 1),
        (1_999, 0, 1),
        (2_000, 0, 2),
        (999, 100_000, 0),
        (1_000, 100_000, 1),
        (3_999, 100_000, 1),
        (4_000, 100_000, 2),
    ],
)
def test_level_grows_with_the_failures_and_with_their_share_of_the_approvals(
    wrong: int, approved: int, level: int
) -> None:
    assert GlobalFailureLimits().level(wrong, approved) == level


@pytest.mark.parametrize(("min_unverified", "ratio", "strict"), [(20, 1 / 3, 6), (20, 1, 20), (2, 0.1, 1)])
def test_fewer_unverified_sms_are_allowed_while_pumping_is_detected(
    min_unverified: int, ratio: float, strict: int
) -> None:
    limits = ConversionLimits(min_unverified=min_unverified, strict_ratio=ratio)

    assert limits.strict_min_unverified == strict


def test_policies_carry_the_limits_of_phone_code_address_client_and_service() -> None:
    policies = rate_limit_policies(
        PhoneLimits(cooldown=(61, 120), sends_per_hour=3, lock_after_failures=99),
        CodeLimits(max_sends=2),
        IpLimits(sends_per_hour=7, block_multiplier=10),
        client_sms_per_day=1_000,
        service_sms_per_day=9_000,
    )

    assert policies["phone_cooldown"] == RateLimitPolicy(1, 61)
    assert policies["phone_sends_per_hour"] == RateLimitPolicy(3, 3_600)
    assert policies["phone_locked"] == RateLimitPolicy(99, 0)
    assert policies["verification_sends"] == RateLimitPolicy(2, 0)
    assert policies["address_sends_per_hour"] == RateLimitPolicy(70, 3_600)
    assert policies["client_sms_per_day"] == RateLimitPolicy(1_000, 86_400)
    assert policies["service_sms_per_day"] == RateLimitPolicy(9_000, 86_400)
