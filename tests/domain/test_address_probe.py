"""Address probes: only the holder of the key can create them, and they are valid for a minute."""

from __future__ import annotations

import pytest

from otp_service.domain.address_probe import SECONDS, AddressProbe
from otp_service.domain.crypto import Keyring

NOW = 1_795_000_000.0
OURS = AddressProbe(Keyring({"a": b"r" * 32}, "a", b"t" * 32))
OTHERS = AddressProbe(Keyring({"a": b"r" * 32}, "a", b"u" * 32))


@pytest.mark.parametrize("late", [-SECONDS, 0, SECONDS])
def test_probe_is_valid_for_a_minute(late: int) -> None:
    assert OURS.verified_nonce(OURS.make("nonce", NOW), NOW + late) == "nonce"


@pytest.mark.parametrize("late", [-SECONDS - 1, SECONDS + 1])
def test_probe_of_another_time_is_refused(late: int) -> None:
    assert OURS.verified_nonce(OURS.make("nonce", NOW), NOW + late) is None


@pytest.mark.parametrize("text", ["", ".", "..", "1.2.3", "\ud800.a.b", "\u0661.a.b", "x" * 9000])
def test_malformed_probe_is_refused(text: str) -> None:
    assert OURS.verified_nonce(text, NOW) is None


def test_forged_or_changed_probe_is_refused() -> None:
    made = OURS.make("nonce", NOW)

    assert OURS.verified_nonce(OTHERS.make("nonce", NOW), NOW) is None
    assert OURS.verified_nonce(made.replace("nonce", "other"), NOW) is None
    assert OURS.verified_nonce(made.replace("1795000000", "1795000001"), NOW) is None


def test_hash_depends_on_address_nonce_and_key() -> None:
    hashes = {
        OURS.ip_hash("nonce", "192.0.2.1"),
        OURS.ip_hash("nonce", "192.0.2.2"),
        OURS.ip_hash("other", "192.0.2.1"),
        OTHERS.ip_hash("nonce", "192.0.2.1"),
    }

    assert len(hashes) == 4
