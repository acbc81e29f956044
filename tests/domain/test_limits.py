"""Limits and budgets as values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otp_service.domain.limits import MAX_CONSECUTIVE_FAILURES, Budget, CodeLimits, PhoneLimits, budgets


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
