"""Authenticated encryption: nothing can be read or changed without the key and the associated data."""

from __future__ import annotations

import pytest

from otp_service.domain.crypto import AES_KEY_BYTES, GCM_TAG_BYTES, NONCE_BYTES, decrypt, encrypt

KEY, NONCE, HEAD = b"k" * AES_KEY_BYTES, b"n" * NONCE_BYTES, b"\2\2k1"
PHONE = b"+8613800138000"
TEXTS = [b"", PHONE, b"x" * 31, b"x" * 32, b"x" * 33, bytes(1000)]


def test_known_answer_of_aes_256_gcm() -> None:
    """Test case 16 of the GCM specification (McGrew and Viega), which NIST's vectors repeat."""
    key = bytes.fromhex("feffe9928665731c6d6a8f9467308308" * 2)
    nonce = bytes.fromhex("cafebabefacedbaddecaf888")
    plain = bytes.fromhex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
    )
    associated = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    ciphertext = (
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
    )

    assert encrypt(key, nonce, plain, associated).hex() == (
        nonce.hex() + ciphertext + "76fc6ece0f4e1768cddf8853bb2d551b"
    )


@pytest.mark.parametrize("plain", TEXTS, ids=len)
def test_ciphertext_is_decrypted_with_its_key(plain: bytes) -> None:
    assert decrypt(KEY, encrypt(KEY, NONCE, plain, HEAD), HEAD) == plain


@pytest.mark.parametrize("plain", TEXTS, ids=len)
def test_ciphertext_is_as_long_as_the_text_plus_nonce_and_tag(plain: bytes) -> None:
    sealed = encrypt(KEY, NONCE, plain, HEAD)

    assert sealed.startswith(NONCE)
    assert len(sealed) == NONCE_BYTES + len(plain) + GCM_TAG_BYTES


@pytest.mark.parametrize("plain", TEXTS[1:], ids=len)
def test_ciphertext_does_not_contain_the_text(plain: bytes) -> None:
    ciphertext = encrypt(KEY, NONCE, plain, HEAD)[NONCE_BYTES:-GCM_TAG_BYTES]

    assert sum(a == b for a, b in zip(ciphertext, plain, strict=True)) <= 2 + len(plain) // 64


def test_another_nonce_gives_another_ciphertext() -> None:
    one, other = encrypt(KEY, NONCE, bytes(64), HEAD), encrypt(KEY, b"m" * NONCE_BYTES, bytes(64), HEAD)

    assert one[NONCE_BYTES:] != other[NONCE_BYTES:]


def test_another_key_cannot_decrypt() -> None:
    assert decrypt(b"j" * AES_KEY_BYTES, encrypt(KEY, NONCE, PHONE, HEAD), HEAD) is None


@pytest.mark.parametrize("associated", [b"", HEAD[:-1], HEAD + b"x", b"\2\2k2", b"\1\2k1"], ids=repr)
def test_other_associated_data_cannot_decrypt(associated: bytes) -> None:
    assert decrypt(KEY, encrypt(KEY, NONCE, PHONE, HEAD), associated) is None


def test_every_changed_byte_is_detected() -> None:
    sealed = encrypt(KEY, NONCE, PHONE, HEAD)

    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        assert decrypt(KEY, bytes(changed), HEAD) is None
    assert decrypt(KEY, sealed + b"x", HEAD) is None


def test_every_truncation_is_detected() -> None:
    sealed = encrypt(KEY, NONCE, PHONE, HEAD)

    assert {decrypt(KEY, sealed[:end], HEAD) for end in range(len(sealed))} == {None}
