from __future__ import annotations

from datetime import UTC, datetime, timedelta

from otp_service.sandbox.nonces import MEMORY, Nonces

NOW = datetime(2026, 11, 23, 8, 7, 41, tzinfo=UTC)


def test_nonce_is_fresh_once() -> None:
    nonces = Nonces()

    assert [nonces.use("key", "a", NOW), nonces.use("key", "a", NOW + MEMORY)] == [True, False]


def test_nonce_of_another_key_is_fresh() -> None:
    nonces = Nonces()
    nonces.use("key", "a", NOW)

    assert nonces.use("other", "a", NOW)


def test_nonce_is_forgotten_when_its_timestamp_is_too_old() -> None:
    nonces = Nonces()
    nonces.use("key", "a", NOW)

    assert nonces.use("key", "a", NOW + MEMORY + timedelta(seconds=1))
    assert len(nonces._seen) == 1


def test_oldest_nonce_goes_when_there_are_too_many() -> None:
    nonces = Nonces(most=2)
    for nonce in "abc":
        nonces.use("key", nonce, NOW)

    assert not nonces.use("key", "b", NOW)
    assert nonces.use("key", "a", NOW)
