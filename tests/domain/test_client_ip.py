"""Client IP addresses: which ones count as the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otp_service.domain.client_ip import normalize_client_ip
from otp_service.domain.errors import InvalidRequest


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::FFFF:C000:201", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:0DB8:0001:0002::", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
    ],
)
def test_address_is_normalized_to_its_network(text: str, counted: str) -> None:
    assert normalize_client_ip(text) == counted


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "localhost",
        "192.0.2.1, 198.51.100.7",
        "192.0.2.1:443",
        "192.0.2",
        "192.0.2.01",
        "192.0.2.1/32",
        " 192.0.2.1",
        "192.0.2.1\n",
        "192.0.2.1\x00",
        "[::1]",
        "3221225985",
        "0x7f.1",
        "１９２.0.2.1",
        "\ud800",
    ],
)
def test_invalid_address_is_refused_with_its_field_name(text: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        normalize_client_ip(text)

    assert refusal.value.errors == [{"pointer": "/client_ip", "detail": "is not an IP address"}]
    assert refusal.value.__suppress_context__


@given(st.ip_addresses())
def test_normalized_address_stays_the_same(address: object) -> None:
    counted = normalize_client_ip(str(address))

    assert normalize_client_ip(counted.removesuffix("/64")) == counted


@given(st.text(max_size=50))
def test_any_text_is_normalized_or_refused(text: str) -> None:
    try:
        normalize_client_ip(text)
    except InvalidRequest:
        return
