"""read_proof accepts a proof once, and only for its client and purpose."""

from __future__ import annotations

import hashlib
import json
import string
from typing import Any

import pytest
from itsdangerous import URLSafeTimedSerializer
from support.package_sources import ROOT

from otp_service.domain.phone import Phone
from otp_service.domain.proofs import SALT, ProofKeys, ProofSigner
from otp_service_client import InvalidProof, Proof, ProofError, ProofExpired, ProofRedeemed, read_proof

NOW = 1_795_000_000
PHONE = Phone("+8613800138000", "CN", "mobile", 86)
ID = "v" * 22
GOLDEN = json.loads((ROOT / "tests" / "data" / "golden.json").read_text())["proofs"]
CLIENTS, PURPOSES = ("shop", "mall", "bank"), ("login", "signup", "reset_password")
KEYS = {client: f"{client}-{'k' * 40}" for client in CLIENTS}


class Memory:
    """A `seen` function that stores and records its arguments."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []

    def __call__(self, jti: str, ttl: int) -> bool:
        known = any(jti == other for other, _ in self.calls)
        self.calls.append((jti, ttl))
        return known


def mint(client: str = "shop", purpose: str = "login", key: str = "", **changes: Any) -> str:
    keys = ProofKeys(((key or KEYS[client]).encode(),))
    facts = {"phone": PHONE, "purpose": purpose, "verification_id": ID, "ttl": 180}
    return ProofSigner("otp_service", client, keys, lambda: NOW).mint(**(facts | changes))


def read(proof: str, client: str = "shop", purpose: str = "login", **changes: Any) -> Proof:
    facts: dict[str, Any] = {"keys": [KEYS[client]], "seen": Memory(), "now": NOW}
    return read_proof(proof, client=client, purpose=purpose, **(facts | changes))


def test_proof_has_its_claims() -> None:
    proof = read(mint())

    assert (proof.client, proof.purpose, proof.phone) == ("shop", "login", "+8613800138000")
    assert (proof.verification_id, proof.amr) == (ID, ("sms",))
    assert (proof.issued_at, proof.expires_at) == (NOW, NOW + 180)


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_proof_is_read(name: str) -> None:
    """`tests/test_golden_vectors.py` holds the service to the same proofs."""
    golden = GOLDEN[name]
    claims = golden["claims"]
    facts: dict[str, Any] = {
        "client": claims["aud"],
        "purpose": claims["purpose"],
        "issuer": claims["iss"],
        "now": claims["iat"],
        "allow_test": True,
    }
    proof = read_proof(golden["proof"], keys=["n" * 32, "o" * 32], seen=Memory(), **facts)

    assert {
        "iss": proof.issuer,
        "aud": proof.client,
        "purpose": proof.purpose,
        "sub": proof.phone,
        "jti": proof.verification_id,
        "iat": proof.issued_at,
        "exp": proof.expires_at,
        "amr": list(proof.amr),
    } == claims
    with pytest.raises(InvalidProof):
        read_proof(golden["proof"], keys=["x" * 32], seen=Memory(), **facts)


@pytest.mark.parametrize("minted_for", [(c, p) for c in CLIENTS for p in PURPOSES], ids="-".join)
@pytest.mark.parametrize("read_as", [(c, p) for c in CLIENTS for p in PURPOSES], ids="-".join)
def test_proof_is_valid_only_for_its_client_and_purpose(
    minted_for: tuple[str, str], read_as: tuple[str, str]
) -> None:
    proof = mint(*minted_for)
    if minted_for == read_as:
        assert read(proof, *read_as).purpose == read_as[1]
        return
    with pytest.raises(InvalidProof):
        read(proof, *read_as)


@pytest.mark.parametrize("minted_for", CLIENTS)
@pytest.mark.parametrize("read_as", CLIENTS)
def test_proof_is_valid_only_for_its_client_even_with_a_shared_key(minted_for: str, read_as: str) -> None:
    """The audience is checked too, so that wrongly configured keys do not let a proof in."""
    shared = "s" * 32
    proof = mint(minted_for, key=shared)
    if minted_for == read_as:
        assert read(proof, read_as, keys=[shared]).client == read_as
        return
    with pytest.raises(InvalidProof):
        read(proof, read_as, keys=[shared])


@pytest.mark.parametrize("age", [-3, 0, 90, 180])
def test_proof_is_valid_for_three_minutes(age: int) -> None:
    assert read(mint(), now=NOW + age)


@pytest.mark.parametrize("age", [181, 301, 86_400])
def test_old_proof_has_expired(age: int) -> None:
    with pytest.raises(ProofExpired):
        read(mint(), now=NOW + age)


def test_proof_from_the_future_is_rejected() -> None:
    with pytest.raises(InvalidProof):
        read(mint(), now=NOW - 30)


def test_default_time_is_the_clock() -> None:
    """The proof was issued at a fixed time, which is not the current one."""
    with pytest.raises(ProofError):
        read(mint(), now=None)


def test_no_argument_skips_the_expiry() -> None:
    with pytest.raises(TypeError):
        read(mint(), now=NOW + 301, max_age=None)


def test_proof_is_accepted_once() -> None:
    memory, proof = Memory(), mint()
    read(proof, seen=memory)
    with pytest.raises(ProofRedeemed):
        read(proof, seen=memory)


def test_seen_is_called_once_with_the_jti_and_a_sufficient_ttl() -> None:
    memory = Memory()
    read(mint(), now=NOW + 30, seen=memory)

    [(jti, ttl)] = memory.calls
    assert jti == ID
    assert ttl == 150 + 600


def test_seen_is_not_called_for_an_invalid_proof() -> None:
    """Otherwise anyone could use up a proof by its verification id."""
    memory = Memory()
    for changes in ({"purpose": "signup"}, {"now": NOW + 301}, {"keys": ["x" * 32]}):
        with pytest.raises(ProofError):
            read(mint(), seen=memory, **changes)

    assert memory.calls == []


@pytest.mark.parametrize("answer", [True, None, 0, 1, "OK", ""])
def test_any_result_except_false_counts_as_seen(answer: object) -> None:
    """`redis.set(..., nx=True)` returns None for a known key; used without `not`, it must accept no proof."""
    with pytest.raises(ProofRedeemed):
        read(mint(), seen=lambda _jti, _ttl: answer)


def test_exception_of_seen_is_raised() -> None:
    def fails(jti: str, ttl: int) -> bool:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        read(mint(), seen=fails)


def test_old_and_new_keys_are_accepted_during_rotation() -> None:
    old, new = "o" * 32, "n" * 32

    assert read(mint(key=old), keys=[new, old])
    assert read(mint(key=new), keys=[new, old])
    with pytest.raises(InvalidProof):
        read(mint(key=old), keys=[new])


@pytest.mark.parametrize("keys", [[], [""], ["k" * 31], ["k" * 32, "short"], "k" * 40], ids=repr)
def test_missing_or_short_key_is_an_error(keys: list[str]) -> None:
    with pytest.raises(ValueError, match="at least 32 bytes"):
        read(mint(), keys=keys)


def test_other_issuer_is_rejected() -> None:
    with pytest.raises(InvalidProof):
        read(mint(), issuer="staging")


def test_proof_of_a_test_phone_must_be_allowed() -> None:
    proof = mint(amr=["test"])
    with pytest.raises(InvalidProof):
        read(proof)

    assert read(proof, allow_test=True).amr == ("test",)


@pytest.mark.parametrize(
    "options",
    [{}, {"salt": SALT}, {"salt": SALT, "signer_kwargs": {"key_derivation": "hmac"}}],
    ids=["defaults", "our salt, SHA-1", "our salt and derivation, SHA-1"],
)
def test_what_itsdangerous_signs_by_default_is_refused(options: dict[str, Any]) -> None:
    claims = {
        "iss": "otp_service",
        "aud": "shop",
        "purpose": "login",
        "sub": "+8613800138000",
        "jti": ID,
        "iat": NOW,
        "exp": NOW + 180,
        "amr": ["sms"],
    }
    ours = URLSafeTimedSerializer(
        KEYS["shop"], salt=SALT, signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256}
    )

    assert read(str(ours.dumps(claims)))
    with pytest.raises(InvalidProof):
        read(str(URLSafeTimedSerializer(KEYS["shop"], **options).dumps(claims)))


def test_changed_character_is_rejected() -> None:
    proof, memory = mint(), Memory()
    accepted = []
    for place, right in enumerate(proof):
        for other in string.ascii_letters[:8] + string.digits[:4] + "-_.=+/ é":
            if other == right:
                continue
            try:
                read(proof[:place] + other + proof[place + 1 :], seen=memory)
                accepted.append((place, other))
            except InvalidProof:
                continue

    assert accepted == memory.calls == []


@pytest.mark.parametrize("case", ["invalid", "expired", "redeemed"])
def test_error_has_its_code_and_not_the_proof(case: str) -> None:
    changes: dict[str, Any] = {
        "invalid": {"purpose": "signup"},
        "expired": {"now": NOW + 301},
        "redeemed": {"seen": lambda _jti, _ttl: True},
    }[case]
    proof = mint()
    with pytest.raises(ProofError) as refusal:
        read(proof, **changes)
    error = refusal.value

    assert (error.status, error.request_id, error.members) == (0, "", {})
    assert str(error).startswith(f"{error.code}: The proof ")
    assert proof[:20] not in str(error)
    assert (error.__cause__, error.__context__) == (None, None)
