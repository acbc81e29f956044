"""OutIds: only an unchanged, authentic OutId is decoded."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otp_service.domain.messages import MessageReference

KEY, OLD_KEY, FOREIGN_KEY = b"n" * 32, b"o" * 32, b"f" * 32
SEND = MessageReference("t" * 16, "v" * 16, 2)
TEXT = SEND.encode(KEY)


def test_out_id_decodes_to_its_send() -> None:
    assert MessageReference.decode(TEXT, [KEY]) == SEND


def test_out_id_fits_aliyuns_field_and_redis_keys() -> None:
    assert len(TEXT) <= 64
    assert set(TEXT) <= set(string.ascii_letters + string.digits + "-_.")


@pytest.mark.parametrize("number", [1, 4, 10, 999])
def test_every_send_number_is_preserved(number: int) -> None:
    send = MessageReference("t" * 16, "v" * 16, number)

    assert MessageReference.decode(send.encode(KEY), [KEY]) == send


def test_out_id_is_decoded_with_every_configured_key() -> None:
    assert MessageReference.decode(SEND.encode(OLD_KEY), [KEY, OLD_KEY]) == SEND


def test_out_id_is_not_decoded_with_another_key() -> None:
    assert MessageReference.decode(TEXT, [FOREIGN_KEY]) is None
    assert MessageReference.decode(TEXT, []) is None


def test_changed_out_id_is_refused() -> None:
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
def test_out_id_has_only_one_spelling(text: str) -> None:
    assert MessageReference.decode(text, [KEY]) is None


@given(st.text(max_size=80))
def test_random_text_is_not_an_out_id(text: str) -> None:
    assert MessageReference.decode(text, [KEY]) is None
