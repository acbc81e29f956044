from __future__ import annotations

from datetime import UTC, datetime, timedelta

from otp_service.sandbox.api.verifier import NONCE_LIFETIME, Nonces

NOW = datetime(2026, 11, 23, 8, 7, 41, tzinfo=UTC)


def test_nonce_is_new_once() -> None:
    nonces = Nonces()

    assert [nonces.use("key", "a", NOW), nonces.use("key", "a", NOW + NONCE_LIFETIME)] == [True, False]


def test_nonces_of_other_keys_are_separate() -> None:
    nonces = Nonces()
    nonces.use("key", "a", NOW)

    assert nonces.use("other", "a", NOW)


def test_nonce_is_removed_when_its_timestamp_is_too_old() -> None:
    nonces = Nonces()
    nonces.use("key", "a", NOW)

    assert nonces.use("key", "a", NOW + NONCE_LIFETIME + timedelta(seconds=1))
    assert len(nonces._used) == 1


def test_oldest_nonce_is_dropped_first() -> None:
    nonces = Nonces(max_size=2)
    for nonce in "abc":
        nonces.use("key", nonce, NOW)

    assert not nonces.use("key", "b", NOW)
    assert nonces.use("key", "a", NOW)
