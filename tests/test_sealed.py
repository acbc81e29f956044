"""Sealed bytes: hidden, bound to their key, and not to be changed."""

from __future__ import annotations

import pytest

from otp_service.sealed import MAC_BYTES, NONCE_BYTES, seal, unseal

KEY, NONCE = b"k" * 32, b"n" * NONCE_BYTES
TEXTS = [b"", b"+8613800138000", b"x" * 31, b"x" * 32, b"x" * 33, bytes(1000)]


@pytest.mark.parametrize("plain", TEXTS, ids=len)
def test_what_was_sealed_is_read_with_its_key(plain: bytes) -> None:
    assert unseal(KEY, seal(KEY, NONCE, plain)) == plain


@pytest.mark.parametrize("plain", TEXTS[1:], ids=len)
def test_nothing_of_it_can_be_seen(plain: bytes) -> None:
    hidden = seal(KEY, NONCE, plain)[NONCE_BYTES + MAC_BYTES :]

    assert len(hidden) == len(plain)
    assert sum(a == b for a, b in zip(hidden, plain, strict=True)) <= 2 + len(plain) // 64


def test_no_two_blocks_are_hidden_alike() -> None:
    hidden = seal(KEY, NONCE, bytes(96))[NONCE_BYTES + MAC_BYTES :]

    assert len({hidden[:32], hidden[32:64], hidden[64:]}) == 3


def test_another_nonce_hides_the_same_text_otherwise() -> None:
    one, other = seal(KEY, NONCE, bytes(64)), seal(KEY, b"m" * NONCE_BYTES, bytes(64))

    assert one[NONCE_BYTES + MAC_BYTES :] != other[NONCE_BYTES + MAC_BYTES :]


def test_another_key_reads_nothing() -> None:
    assert unseal(b"j" * 32, seal(KEY, NONCE, b"+8613800138000")) is None


def test_whatever_is_changed_is_noticed() -> None:
    sealed = seal(KEY, NONCE, b"+8613800138000")

    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        assert unseal(KEY, bytes(changed)) is None
    assert unseal(KEY, sealed[:-1]) is None
    assert unseal(KEY, sealed + b"x") is None
    assert unseal(KEY, b"") is None
