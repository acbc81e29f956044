from __future__ import annotations

import pytest

from otp_service.sms.aliyun.protocol.phone_numbers import NotMainlandMobile, e164, national, recipients

PLAIN = "13800138000"


@pytest.mark.parametrize("prefix", ["", "+", "86", "+86", "0086"])
def test_every_spelling_is_one_number(prefix: str) -> None:
    assert national(prefix + PLAIN) == PLAIN


def test_bare_plus_is_mainland_as_at_aliyun() -> None:
    assert national("+18624017194") == "18624017194"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1380013800",
        "138001380001",
        "12800138000",
        "85261234567",
        "00861380013800",
        "086" + PLAIN,
        "++86" + PLAIN,
        " " + PLAIN,
        PLAIN + "\n",
        "１３８００１３８０００",
        "0086-13100000001",
    ],
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(NotMainlandMobile) as caught:
        national(text)

    assert caught.value.number == text
    assert not text or text not in str(caught.value)


def test_recipients_are_split_at_commas() -> None:
    assert recipients(f"{PLAIN},+8613900139000") == [PLAIN, "13900139000"]


@pytest.mark.parametrize("text", ["", ",", PLAIN + ",", f"{PLAIN};{PLAIN}", f"{PLAIN}，{PLAIN}"])
def test_recipients_with_a_bad_part_are_refused(text: str) -> None:
    with pytest.raises(NotMainlandMobile):
        recipients(text)


def test_e164_is_written() -> None:
    assert e164(PLAIN) == "+8613800138000"
