from __future__ import annotations

import pytest
from sms.doubles import HONG_KONG, MAINLAND, NUMBER

from otp_service.domain.phone import COUNTRIES, Phone, calling_code
from otp_service.sms.aliyun.protocol.phone_numbers import can_read_as_mainland
from otp_service.sms.aliyun.recipients import UnsupportedRecipient, phone_numbers


def phone(e164: str, country_code: int) -> Phone:
    return Phone(e164, "XX", "mobile", country_code)


def test_mainland_number_has_no_prefix() -> None:
    assert phone_numbers(MAINLAND) == NUMBER


def test_other_numbers_begin_with_their_country_code() -> None:
    assert phone_numbers(HONG_KONG) == "85251234567"
    assert phone_numbers(phone("+12025550123", 1)) == "12025550123"


@pytest.mark.parametrize("number", ["+18624017194", "+13025550123", "+19995550123"])
def test_american_number_that_reads_as_mainland_is_never_sent(number: str) -> None:
    with pytest.raises(UnsupportedRecipient) as error:
        phone_numbers(phone(number, 1))
    assert error.value.code == "phone_reads_as_mainland"
    assert number[1:] not in repr(error.value)


@pytest.mark.parametrize(
    ("e164", "country_code"),
    [
        ("+8613800138000,13900139000", 86),
        ("+861380013800", 86),
        ("+86138001380000", 86),
        ("+8612800138000", 86),
        ("+861012345678", 86),
        ("+86１３８００１３８０００", 86),
        ("+8613800138000\n", 86),
        ("13800138000", 86),
        ("0013800138000", 86),
        ("+85251234567,85251234568", 852),
        ("+852 5123 4567", 852),
        ("+8513800138000", 86),
        ("+4915112345678", 44),
        ("+8613800138000", 852),
        ("+8613800138000", 8),
        ("008613800138000", 0),
        ("+", 1),
        ("", 1),
    ],
    ids=repr,
)
def test_recipient_must_be_one_number(e164: str, country_code: int) -> None:
    with pytest.raises(UnsupportedRecipient):
        phone_numbers(phone(e164, country_code))


def test_only_numbers_after_one_calling_code_can_read_as_mainland() -> None:
    codes = {calling_code(country) for country in COUNTRIES}
    reading = set()
    for code in codes:
        for head in range(1_000):
            digits = f"{code}{head:03}".ljust(11, "0")[:11]
            try:
                phone_numbers(phone(f"+{digits}", code))
            except UnsupportedRecipient as error:
                reading |= {code} if error.code == "phone_reads_as_mainland" else set()

    assert reading == {code for code in codes if can_read_as_mainland(code)} - {86} == {1}
