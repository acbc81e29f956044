"""IP addresses: forged in headers, or many in one household."""

from __future__ import annotations

import itertools
import secrets
from collections import Counter
from collections.abc import Iterator

import pytest
from attacks.target import ORIGIN, Target, browser, in_parallel, new_phone, running_target, with_browser

CLIENT_IP = "203.0.113.{0}"
LOG_HEADS, LOG_ENTRY = {1: 77, 2: 1}, 12
"""Bytes of the stored log of an IP address: before the sends, by format, and for each send."""


def logs_of(target: Target) -> dict[bytes, int]:
    """Return the number of sends that the store has counted for each IP address."""
    with target.redis.client() as client:
        kept = {key: client.get(key) or b"" for key in client.scan_iter("otp:address:*")}
    return {key: (len(value) - LOG_HEADS[value[0]]) // LOG_ENTRY for key, value in kept.items()}


def new_sends(target: Target, before: dict[bytes, int]) -> list[int]:
    """Return the number of sends counted since *before* for each IP address."""
    grown = {key: count - before.get(key, 0) for key, count in logs_of(target).items()}
    return sorted(count for count in grown.values() if count)


# ── A08 ──


def forged(number: int) -> dict[str, str]:
    """Return headers that name another IP address each time."""
    liar = f"198.51.100.{number}"
    return {
        "X_Forwarded_For": f"{liar}, 10.0.0.{number}",
        "X_Real_IP": liar,
        "Forwarded": f"for={liar};proto=https",
        "X_Client_IP": liar,
        "True_Client_IP": liar,
        "CF_Connecting_IP": liar,
        "X_Forwarded_Host": f"host{number}.example",
        "Via": f"1.1 host{number}.example",
    }


def test_a08_forged_headers_change_no_count(target: Target) -> None:
    before = logs_of(target)
    address = CLIENT_IP.format(secrets.randbelow(250))

    answers = in_parallel(
        [
            lambda number=number: target.shop.call(
                "/otp/request",
                {"phone": new_phone(), "purpose": "login", "client_ip": address},
                **forged(number),
            )
            for number in range(19)
        ]
    )

    assert {answer.status for answer in answers} == {201}
    assert new_sends(target, before) == [19]


def test_a08_forged_headers_alone_set_no_address(target: Target) -> None:
    """Without `client_ip`, neither the server's own address nor one from a header counts."""
    before = logs_of(target)

    for number in range(5):
        target.shop.call("/otp/request", {"phone": new_phone(), "purpose": "login"}, **forged(number))

    assert new_sends(target, before) == []


@pytest.fixture(scope="module")
def open_target() -> Iterator[Target]:
    """A target that pages call, and that trusts no proxy."""
    with running_target(change=with_browser) as running:
        yield running


@pytest.fixture(scope="module")
def proxied_target() -> Iterator[Target]:
    """The same behind one trusted proxy."""
    behind = lambda text: text.replace("[service]\n", "[service]\nproxy_hops = 1\n", 1)  # noqa: E731
    with running_target(change=lambda text: behind(with_browser(text))) as running:
        yield running


def test_a08_browser_is_counted_by_its_connection(open_target: Target) -> None:
    answers = [
        browser(open_target).call(
            "/otp/request", {"phone": new_phone(), "purpose": "login"}, Origin=ORIGIN, **forged(number)
        )
        for number in range(25)
    ]

    assert {answer.status for answer in answers[:20]} <= {201, 202}
    assert {answer.body["code"] for answer in answers[20:]} == {"challenge_required"}
    assert sorted(logs_of(open_target).values()) == [20]


def test_a08_behind_a_proxy_only_the_proxys_entry_counts(proxied_target: Target) -> None:
    """The attacker writes the entries to the left of the proxy's own."""
    page = browser(proxied_target)

    for number in range(12):
        liar = {**forged(number), "X_Forwarded_For": f"198.51.100.{number}, 203.0.113.{number % 2 + 1}"}
        answer = page.call("/otp/request", {"phone": new_phone(), "purpose": "login"}, Origin=ORIGIN, **liar)
        assert answer.status == 201

    assert sorted(logs_of(proxied_target).values()) == [6, 6]


# ── A09 ──


@pytest.mark.parametrize(
    "spellings",
    [
        [f"2001:db8:1:2:{number:x}::{number:x}" for number in range(1, 18)],
        ["192.0.2.9", "::ffff:192.0.2.9", "::ffff:c000:209", "0:0:0:0:0:FFFF:192.0.2.9"],
        ["2001:db8:7::1", "2001:0db8:0007:0000:0000:0000:0000:0001", "2001:DB8:7::1", "2001:db8:7::1%eth0"],
    ],
    ids=["a household", "IPv4 in IPv6", "one address"],
)
def test_a09_addresses_of_one_network_share_a_count(target: Target, spellings: list[str]) -> None:
    before = logs_of(target)

    answers = [target.shop.request(new_phone(), client_ip=address) for address in spellings]

    assert {answer.status for answer in answers} == {201}
    assert new_sends(target, before) == [len(spellings)]


def test_a09_two_networks_are_counted_separately(target: Target) -> None:
    before = logs_of(target)

    for address in ("2001:db8:a:1::1", "2001:db8:a:2::1", "192.0.2.21", "192.0.2.22"):
        target.shop.request(new_phone(), client_ip=address)

    assert new_sends(target, before) == [1, 1, 1, 1]


def test_a09_network_that_verifies_nothing_is_blocked(target: Target) -> None:
    """Each call uses another address of the same /64."""
    addresses = (f"2001:db8:ffff:1::{number:x}" for number in itertools.count(1))
    phones = [new_phone() for _ in range(230)]

    answers = in_parallel(
        [
            lambda phone=phone, address=address: target.shop.request(phone, client_ip=address)
            for phone, address in zip(phones, addresses, strict=False)
        ],
        threads=8,
    )

    outcomes = Counter(answer.body.get("code", "sent") for answer in answers)
    sent = {sms.phone for sms in target.sms()} & set(phones)
    # Beyond 20 a risk challenge is required, beyond 200 nothing is sent.
    most = 20 if outcomes["challenge_required"] else 200
    assert len(sent) == outcomes["sent"] == most
    assert outcomes.keys() <= {"sent", "challenge_required", "limit_reached"}
