"""Access lists: which phones and addresses are denied and which are exempt from risk checks."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from support import fakes
from support.fakes import SHOP

from otp_service.domain.errors import CooldownActive, DestinationBlocked
from otp_service.domain.phone import Phone
from otp_service.domain.policy import AccessList, AccessLists

PHONE = "+8613900001234"
TARGET = Phone(PHONE, "CN", "mobile", 86)
PHONE_HASH = fakes.harness().keyring.phone_hash(PHONE)


@pytest.mark.parametrize(
    ("entries", "named"),
    [
        (AccessList(), False),
        (AccessList(prefixes=("+86139",)), True),
        (AccessList(prefixes=("+86138", "+85")), False),
        (AccessList(countries=frozenset({"CN"})), True),
        (AccessList(countries=frozenset({"HK"})), False),
        (AccessList(phones=frozenset({PHONE_HASH})), True),
        (AccessList(phones=frozenset({"x" * 16})), False),
    ],
)
def test_list_matches_phones_by_prefix_country_and_hash(entries: AccessList, named: bool) -> None:  # noqa: FBT001
    assert entries.matches_phone(TARGET, PHONE_HASH) is named


@pytest.mark.parametrize(
    ("address", "named"),
    [
        ("203.0.113.7", True),
        ("::ffff:203.0.113.7", True),
        ("203.0.114.7", False),
        ("2001:db8::5", True),
        ("2001:db9::5", False),
        ("fe80::1%eth0", False),
    ],
)
def test_list_matches_addresses_by_network(address: str, named: bool) -> None:  # noqa: FBT001
    entries = AccessList(networks=(ip_network("203.0.113.0/24"), ip_network("2001:db8::/32")))

    assert entries.matches_ip(address) is named
    assert not AccessList().matches_ip(address)


def denied(lists: AccessLists, client_ip: str | None = None) -> fakes.Harness:
    harness = fakes.harness(lists=lists)
    with pytest.raises(DestinationBlocked):
        harness.service.request(SHOP, PHONE, purpose="login", client_ip=client_ip)
    return harness


def test_denied_phone_and_address_cause_no_store_call_and_no_sms() -> None:
    by_phone = denied(AccessLists(deny=AccessList(prefixes=("+86139",))))
    by_address = denied(AccessLists(deny=AccessList(networks=(ip_network("203.0.113.0/24"),))), "203.0.113.7")

    for harness in (by_phone, by_address):
        assert harness.store.calls == []
        assert harness.sender.sent == []


def test_phone_denied_after_the_send_can_be_verified_but_not_resent() -> None:
    harness = fakes.harness()
    vid = harness.service.request(SHOP, PHONE, purpose="login").verification_id
    later = fakes.harness(store=harness.store, lists=AccessLists(deny=AccessList(prefixes=("+86139",))))

    with pytest.raises(DestinationBlocked):
        later.service.resend(SHOP, PHONE, vid)
    assert later.service.verify(SHOP, PHONE, vid, harness.sender.last_code).proof


def test_deny_list_takes_precedence_over_allow_list() -> None:
    both = AccessList(prefixes=("+86139",))

    denied(AccessLists(deny=both, allow=both))


@pytest.mark.parametrize(
    "allow",
    [AccessList(prefixes=("+86139",)), AccessList(networks=(ip_network("203.0.113.7"),))],
    ids=["phone", "address"],
)
def test_allowed_phone_or_address_skips_risk_checks_but_not_limits(allow: AccessList) -> None:
    harness = fakes.harness(lists=AccessLists(allow=allow))
    harness.usage_counters.level = 2
    harness.store.risk_reasons = ("address_sends_per_hour",)
    harness.service.request(SHOP, PHONE, purpose="login", client_ip="203.0.113.7")

    assert harness.challenges.issued == []
    assert harness.store.prechecks[-1].ip_quota is None
    with pytest.raises(CooldownActive):
        harness.service.request(SHOP, PHONE, purpose="login", client_ip="203.0.113.7")
