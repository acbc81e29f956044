"""OutIds: they come back as they were signed, or not at all."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otp_service.domain.messages import MessageReference

KEY, OLD_KEY, FOREIGN_KEY = b"n" * 32, b"o" * 32, b"f" * 32
SEND = MessageReference("t" * 16, "v" * 16, 2)
TEXT = SEND.encode(KEY)


def test_a_signed_out_id_names_its_send() -> None:
    assert MessageReference.decode(TEXT, [KEY]) == SEND


def test_it_fits_what_aliyun_takes_and_store_keys_hold() -> None:
    assert len(TEXT) <= 64
    assert set(TEXT) <= set(string.ascii_letters + string.digits + "-_.")


@pytest.mark.parametrize("number", [1, 4, 10, 999])
def test_every_number_comes_back(number: int) -> None:
    send = MessageReference("t" * 16, "v" * 16, number)

    assert MessageReference.decode(send.encode(KEY), [KEY]) == send


def test_it_is_read_with_any_key_that_still_counts() -> None:
    assert MessageReference.decode(SEND.encode(OLD_KEY), [KEY, OLD_KEY]) == SEND


def test_another_key_reads_nothing() -> None:
    assert MessageReference.decode(TEXT, [FOREIGN_KEY]) is None
    assert MessageReference.decode(TEXT, []) is None


def test_a_change_of_any_character_is_noticed() -> None:
    alphabet = string.ascii_letters + string.digits + "-_. "
    changed = [
        TEXT[:place] + other + TEXT[place + 1 :]
        for place in range(len(TEXT))
        for other in alphabet
        if other != TEXT[place]
    ]

    assert [text for text in changed if MessageReference.decode(text, [KEY])] == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "...",
        TEXT + "\n",
        " " + TEXT,
        TEXT + "=",
        TEXT.replace(".2.", ".02."),
        TEXT.replace(".2.", ".0."),
        TEXT.replace(".2.", ".²."),
        TEXT.replace(".2.", "."),
        TEXT.rpartition(".")[0],
        "\ud800",
    ],
)
def test_there_is_one_spelling_of_it(text: str) -> None:
    assert MessageReference.decode(text, [KEY]) is None


@given(st.text(max_size=80))
def test_a_made_up_text_reads_as_nothing(text: str) -> None:
    assert MessageReference.decode(text, [KEY]) is None
