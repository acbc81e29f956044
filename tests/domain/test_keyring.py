"""The keyring: one derived key per purpose, hashes that survive a rotation, no secrets in its repr."""

from __future__ import annotations

import base64
import re
from dataclasses import astuple

import pytest

from otp_service.domain.crypto import HASH_BYTES, Keyring

ROOTS = {"k1": b"1" * 32, "k2": b"2" * 32}
PSEUDONYM_KEY = b"t" * 32
PHONE = "+8613800138000"


@pytest.fixture
def keyring() -> Keyring:
    return Keyring(ROOTS, "k2", PSEUDONYM_KEY)


def test_every_purpose_and_root_key_has_its_own_derived_key(keyring: Keyring) -> None:
    sub_keys = [key for keys in keyring.by_kid.values() for key in astuple(keys)]

    assert len(set(sub_keys)) == len(sub_keys) == 10
    assert {len(key) for key in sub_keys} == {32}
    assert not set(sub_keys) & {*ROOTS.values(), PSEUDONYM_KEY}


def test_active_key_derives_new_codes(keyring: Keyring) -> None:
    assert keyring.active_kid == "k2"
    assert keyring.active == keyring.by_kid["k2"]
    assert set(keyring.by_kid) == {"k1", "k2"}


def test_derived_keys_depend_only_on_their_root_key(keyring: Keyring) -> None:
    assert Keyring({"only": ROOTS["k1"]}, "only", b"x" * 32).active == keyring.by_kid["k1"]


def test_phone_hash_has_sixteen_characters_safe_in_redis_keys(keyring: Keyring) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]{16}", keyring.phone_hash(PHONE))


def test_ip_hash_has_twelve_bytes(keyring: Keyring) -> None:
    assert len(keyring.ip_hash("192.0.2.1")) == HASH_BYTES == 12


def test_hashes_survive_a_rotation_of_root_keys(keyring: Keyring) -> None:
    rotated = Keyring({"k3": b"3" * 32}, "k3", PSEUDONYM_KEY)

    assert rotated.phone_hash(PHONE) == keyring.phone_hash(PHONE)
    assert rotated.ip_hash("192.0.2.1") == keyring.ip_hash("192.0.2.1")


def test_another_pseudonym_key_changes_all_hashes(keyring: Keyring) -> None:
    other = Keyring(ROOTS, "k2", b"u" * 32)

    assert other.phone_hash(PHONE) != keyring.phone_hash(PHONE)
    assert other.ip_hash("192.0.2.1") != keyring.ip_hash("192.0.2.1")


def test_phone_hash_and_ip_hash_of_the_same_text_differ(keyring: Keyring) -> None:
    text = "192.0.2.1"

    assert base64.urlsafe_b64decode(keyring.phone_hash(text)) != keyring.ip_hash(text)


def test_phone_hashes_are_unique(keyring: Keyring) -> None:
    assert len({keyring.phone_hash(f"+86138001380{n:02}") for n in range(100)}) == 100


def test_idempotency_key_hashes_are_unique_by_client_call_and_key(keyring: Keyring) -> None:
    callers = [
        (client, caller, call, key)
        for client in ("shop", "bank")
        for caller in ("server", "browser:1")
        for call in ("request", "verify")
        for key in "ab"
    ]

    assert len({keyring.idempotency_key_hash(*caller) for caller in callers}) == len(callers)
    assert len({keyring.fingerprint(*caller, b"payload") for caller in callers}) == len(callers)
    assert keyring.fingerprint(*callers[0], b"another") != keyring.fingerprint(*callers[0], b"payload")


def test_repr_of_a_keyring_shows_only_key_ids(keyring: Keyring) -> None:
    assert repr(keyring) == "Keyring(k1, k2; active k2)"
    assert repr(keyring.active) == "DerivedKeys()"
