"""The client IP: that of the connection, or the one that a trusted proxy forwards."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from otp_service.web.api.client_ip import ProxyTrust, client_ip

NO_PROXY = ProxyTrust()
ONE_HOP, TWO_HOPS = ProxyTrust(hops=1), ProxyTrust(hops=2)
INSIDE = ProxyTrust(networks=(ip_network("10.0.0.0/8"), ip_network("fd00::/8")))


def of(connection: str, forwarded: str | None, trust: ProxyTrust, **more: str) -> str:
    environ: dict[str, object] = {"REMOTE_ADDR": connection, **more}
    if forwarded is not None:
        environ["HTTP_X_FORWARDED_FOR"] = forwarded
    return client_ip(environ, trust)


@pytest.mark.parametrize(
    ("connection", "forwarded", "trust", "address"),
    [
        ("203.0.113.7", None, NO_PROXY, "203.0.113.7"),
        ("203.0.113.7", "198.51.100.1", NO_PROXY, "203.0.113.7"),
        ("10.0.0.1", "198.51.100.1", ONE_HOP, "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.1", ONE_HOP, "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.1, 10.0.0.2", TWO_HOPS, "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1", TWO_HOPS, "10.0.0.1"),
        ("10.0.0.1", None, ONE_HOP, "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1", INSIDE, "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.1, 10.9.9.9", INSIDE, "198.51.100.1"),
        ("203.0.113.7", "198.51.100.1", INSIDE, "203.0.113.7"),
        ("10.0.0.1", "10.0.0.2, 10.0.0.3", INSIDE, "10.0.0.2"),
        ("fd00::1", "2001:db8::5", INSIDE, "2001:db8::5"),
        ("::ffff:10.0.0.1", "198.51.100.1", INSIDE, "198.51.100.1"),
        ("::ffff:203.0.113.7", None, NO_PROXY, "203.0.113.7"),
        ("10.0.0.1", "::ffff:198.51.100.1", ONE_HOP, "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.1, ::ffff:10.9.9.9", INSIDE, "198.51.100.1"),
        ("fe80::1%eth0", None, NO_PROXY, "fe80::1"),
        ("10.0.0.1", "6.6.6.6,198.51.100.1", ONE_HOP, "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6 ,\t198.51.100.1 ", INSIDE, "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1:51234", ONE_HOP, "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6:1, 198.51.100.1:51234, 10.9.9.9:80", INSIDE, "198.51.100.1"),
        ("10.0.0.1", "[2001:db8::5]:51234", ONE_HOP, "2001:db8::5"),
        ("10.0.0.1", "[2001:db8::5]:51234, [fd00::2]:80", INSIDE, "2001:db8::5"),
        ("10.0.0.1", "[::ffff:198.51.100.1]:51234", ONE_HOP, "198.51.100.1"),
    ],
)
def test_address_is_the_last_one_that_is_not_a_trusted_proxy(
    connection: str, forwarded: str | None, trust: ProxyTrust, address: str
) -> None:
    assert of(connection, forwarded, trust) == address


ODD = [
    "",
    "unknown",
    "evil, ",
    "203.0.113.7:",
    "203.0.113.7:x",
    "203.0.113.7:123456",
    "2001:db8::5]:80",
    "[203.0.113.7:80",
    "'; DROP",
    "1.2.3",
    ",,,",
    "[::1]",
    "203.0.113.7%1",
    "\u0662\u0660\u0663.0.113.7",
    "203.0.113.007",
    "3405803783",
    "_hidden",
]


@pytest.mark.parametrize("odd", ODD, ids=ascii)
@pytest.mark.parametrize("trust", [ONE_HOP, INSIDE], ids=["hops", "networks"])
def test_malformed_entry_ends_the_trust(odd: str, trust: ProxyTrust) -> None:
    assert of("10.0.0.1", odd, trust) == "10.0.0.1"
    assert of("10.0.0.1", f"6.6.6.6, {odd}", trust) == "10.0.0.1"


@pytest.mark.parametrize("trust", [NO_PROXY, ONE_HOP, INSIDE], ids=["no proxy", "hops", "networks"])
def test_other_headers_are_ignored(trust: ProxyTrust) -> None:
    lies = {"HTTP_X_REAL_IP": "6.6.6.6", "HTTP_FORWARDED": "for=6.6.6.6", "HTTP_CLIENT_IP": "6.6.6.6"}

    assert of("203.0.113.7", None, trust, **lies) == "203.0.113.7"


@pytest.mark.parametrize("odd", ODD, ids=ascii)
def test_malformed_entry_among_trusted_proxies_ends_the_trust(odd: str) -> None:
    """A partly malformed header is not used at all."""
    assert of("10.0.0.1", f"198.51.100.1, {odd}", TWO_HOPS) == "10.0.0.1"
    assert of("10.0.0.1", f"198.51.100.1, {odd}, 10.9.9.9", INSIDE) == "10.0.0.1"


@pytest.mark.parametrize("connection", ["", "unix:", "not an address"])
def test_connections_without_an_address_share_one_unless_a_proxy_forwards_one(connection: str) -> None:
    """A browser always gets an address, so that its limits are counted."""
    assert of(connection, "198.51.100.1", NO_PROXY) == of(connection, None, INSIDE) == "0.0.0.0"
    assert of(connection, "198.51.100.1", INSIDE) == "0.0.0.0"
    assert of(connection, "6.6.6.6, 198.51.100.1", ONE_HOP) == "198.51.100.1"


def test_header_is_ignored_without_trusted_proxies() -> None:
    assert client_ip({}, NO_PROXY) == client_ip({"HTTP_X_FORWARDED_FOR": "6.6.6.6"}, NO_PROXY)


def test_forged_entries_on_the_left_do_not_change_the_address() -> None:
    for count in range(50):
        forged = ", ".join(f"6.6.{count}.{n}" for n in range(count))
        entries = f"{forged}, 198.51.100.1" if forged else "198.51.100.1"
        assert of("10.0.0.1", entries, ONE_HOP) == of("10.0.0.1", entries, INSIDE) == "198.51.100.1"


@pytest.mark.parametrize(
    ("connection", "forwarded", "trust", "reports"),
    [
        ("10.0.0.1", "unknown", ONE_HOP, 1),
        ("10.0.0.1", "_hidden, 198.51.100.1", ONE_HOP, 0),
        ("10.0.0.1", "198.51.100.1, unknown", TWO_HOPS, 1),
        ("10.0.0.1", "unknown", INSIDE, 1),
        ("10.0.0.1", "unknown, 198.51.100.1", INSIDE, 0),
        ("203.0.113.7", "unknown", INSIDE, 0),
        ("203.0.113.7", "unknown", NO_PROXY, 0),
        ("10.0.0.1", None, ONE_HOP, 0),
        ("10.0.0.1", " ", ONE_HOP, 0),
        ("10.0.0.1", "198.51.100.1:4711", ONE_HOP, 0),
        ("10.0.0.1", "198.51.100.1:port", ONE_HOP, 1),
    ],
)
def test_malformed_entry_of_a_trusted_proxy_is_reported(
    connection: str, forwarded: str | None, trust: ProxyTrust, reports: int
) -> None:
    environ = {"REMOTE_ADDR": connection} | ({"HTTP_X_FORWARDED_FOR": forwarded} if forwarded else {})
    calls: list[None] = []

    client_ip(environ, trust, lambda: calls.append(None))

    assert len(calls) == reports
