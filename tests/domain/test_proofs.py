"""Proofs: only a proof minted for this client and purpose is accepted, and only until it expires."""

from __future__ import annotations

import hashlib
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import URLSafeSerializer, URLSafeTimedSerializer

from otp_service.domain import proofs
from otp_service.domain.errors import InvalidProof, ProofExpired
from otp_service.domain.phone import Phone
from otp_service.domain.proofs import Proof, ProofKeys, ProofSigner

NOW = 1_795_000_000
PHONE = Phone("+8613800138000", "CN", "mobile", 86)
ID = "v" * 22
KEY = b"k" * 32


def signer(client: str = "shop", *keys: bytes, at: float = NOW, issuer: str = "otp_service") -> ProofSigner:
    return ProofSigner(issuer, client, ProofKeys(keys or (KEY,)), lambda: at)


def mint(by: ProofSigner, purpose: str = "login", **changes: object) -> str:
    facts = {"phone": PHONE, "purpose": purpose, "verification_id": ID, "ttl": 180}
    return by.mint(**(facts | changes))  # type: ignore[arg-type]


def read(proof: str, by: ProofSigner, purpose: str = "login") -> Proof:
    return by.read(proof, purpose=purpose)


PROOF = mint(signer())


def test_proof_contains_the_minted_claims() -> None:
    assert read(PROOF, signer()) == Proof(
        issuer="otp_service",
        client="shop",
        purpose="login",
        phone="+8613800138000",
        verification_id=ID,
        issued_at=NOW,
        expires_at=NOW + 180,
        amr=("sms",),
    )


def test_itsdangerous_reads_a_proof_with_the_documented_parameters() -> None:
    """Salt, digest and key derivation are public API, on which other readers depend."""
    serializer = URLSafeTimedSerializer(
        KEY,
        salt="otp_service.proof.v1",
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
    )

    assert set(serializer.loads(PROOF)) == {"iss", "aud", "purpose", "sub", "jti", "iat", "exp", "amr"}


@pytest.mark.parametrize(
    "other",
    [signer("mall"), signer("shop", b"x" * 32), signer(issuer="other")],
    ids=["client", "key", "issuer"],
)
def test_proof_is_invalid_for_other_clients_keys_and_issuers(other: ProofSigner) -> None:
    with pytest.raises(InvalidProof):
        read(PROOF, other)


def test_proof_is_invalid_for_another_purpose() -> None:
    with pytest.raises(InvalidProof):
        read(PROOF, signer(), "signup")


@pytest.mark.parametrize("age", [-5, 0, 1, 179, 180])
def test_proof_is_valid_until_it_expires(age: int) -> None:
    assert read(PROOF, signer(at=NOW + age)).verification_id == ID


@pytest.mark.parametrize("age", [180.1, 181, 301, 10**6])
def test_expired_proof_is_refused(age: float) -> None:
    with pytest.raises(ProofExpired):
        read(PROOF, signer(at=NOW + age))


@pytest.mark.parametrize("age", [-6, -30, -(10**6)])
def test_proof_from_the_future_is_refused(age: int) -> None:
    with pytest.raises(InvalidProof):
        read(PROOF, signer(at=NOW + age))


def test_newest_key_signs_and_all_keys_verify() -> None:
    old, new = b"o" * 32, b"n" * 32
    rotating = signer("shop", new, old)

    assert read(mint(signer("shop", old)), rotating)
    assert read(mint(rotating), signer("shop", new))
    with pytest.raises(InvalidProof):
        read(mint(rotating), signer("shop", old))


def test_proof_of_a_test_phone_is_refused_by_default() -> None:
    proof = mint(signer(), amr=(proofs.TEST,))

    with pytest.raises(InvalidProof):
        read(proof, signer())
    assert signer().read(proof, purpose="login", allow_test=True).amr == ("test",)


def test_changed_proof_is_refused() -> None:
    alphabet = string.ascii_letters + string.digits + "-_.=+/ \x00é"
    accepted = []
    for place in range(len(PROOF)):
        for other in alphabet.replace(PROOF[place], ""):
            try:
                read(PROOF[:place] + other + PROOF[place + 1 :], signer())
                accepted.append((place, other))
            except InvalidProof:
                continue

    assert accepted == []


FOREIGN = {
    "nothing": "",
    "dots": "...",
    "invalid base64": "!!!.???.***",
    "signature only": PROOF.rpartition(".")[2],
    "no signature": PROOF.rpartition(".")[0],
    "padding": PROOF + "=",
    "invalid base64 at the end": PROOF + "!",
    "another part": PROOF + ".AAAA",
    "newline": PROOF + "\n",
    "leading space": " " + PROOF,
    "lone surrogate": PROOF + "\ud800",
    "NUL": PROOF + "\x00",
    "full-width letters": PROOF.translate({ord("e"): "ｅ"}),
    "ten kilobytes": "A" * 10_240,
}


@pytest.mark.parametrize("text", FOREIGN.values(), ids=FOREIGN.keys())
def test_proof_has_only_one_spelling(text: str) -> None:
    with pytest.raises(InvalidProof):
        read(text, signer())


@given(st.text(max_size=300))
def test_random_text_is_not_a_proof(text: str) -> None:
    with pytest.raises(InvalidProof):
        read(text, signer())


CLAIMS = signer()._serializer.loads(PROOF)


@pytest.mark.parametrize(
    "serializer",
    [
        URLSafeTimedSerializer(KEY),
        URLSafeTimedSerializer(KEY, salt=proofs.SALT),
        URLSafeTimedSerializer(KEY, salt=proofs.SALT, signer_kwargs={"digest_method": hashlib.sha256}),
        URLSafeTimedSerializer(KEY, salt=proofs.SALT, signer_kwargs={"key_derivation": "hmac"}),
        URLSafeSerializer(
            KEY,
            salt=proofs.SALT,
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
        ),
    ],
    ids=["defaults", "our salt", "our digest", "our derivation", "no timestamp"],
)
def test_claims_signed_with_other_parameters_are_refused(serializer: URLSafeSerializer) -> None:
    with pytest.raises(InvalidProof):
        read(str(serializer.dumps(CLAIMS)), signer())


@pytest.mark.parametrize(
    "claims",
    [None, [], "claims", {}, *({k: v for k, v in CLAIMS.items() if k != gone} for gone in CLAIMS)],
    ids=["null", "list", "text", "empty", *(f"no {gone}" for gone in CLAIMS)],
)
def test_signed_claims_of_another_structure_are_refused(claims: object) -> None:
    with pytest.raises(InvalidProof):
        read(str(signer()._serializer.dumps(claims)), signer())


def test_error_does_not_contain_the_proof() -> None:
    with pytest.raises(InvalidProof) as refusal:
        read(PROOF[:-1] + "A", signer())

    assert PROOF[:20] not in repr(refusal.value)
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None


def test_repr_of_claims_and_keys_hides_phone_and_key() -> None:
    assert repr(read(PROOF, signer())) == "Proof(shop, login)"
    assert repr(ProofKeys((KEY, KEY))) == "ProofKeys(2)"
