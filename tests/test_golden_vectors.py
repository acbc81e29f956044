"""Golden vectors: signatures, hashes, encrypted pages, values and key names in Redis stay the same bytes.

`golden.py` computes them and can write the file.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from inspect import getmembers, isfunction

import pytest
import redis
from support import golden, redis_servers
from support.golden import COMPUTED, KEYRING, STORED

from otp_service.captcha.proof_of_work import ProofOfWork
from otp_service.domain import hosted_page
from otp_service.domain.address_probe import AddressProbe
from otp_service.domain.codes import CodeType
from otp_service.domain.crypto import Keyring
from otp_service.domain.errors import InvalidProof
from otp_service.domain.messages import MessageReference
from otp_service.domain.proofs import ProofKeys, ProofSigner
from otp_service.domain.risk import ChallengeSubject
from otp_service.store import keys

GOLDEN = json.loads(golden.FILE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def own_redis() -> Iterator[redis.Redis]:
    """A server that only these tests use, because the vectors have fixed keys."""
    with redis_servers.running(redis_servers.redis_binary()) as server, server.client() as client:
        yield client


# ── written bytes ──


@pytest.mark.parametrize("section", COMPUTED)
def test_computed_bytes_match_the_file(section: str) -> None:
    assert COMPUTED[section]() == GOLDEN[section]


@pytest.mark.parametrize("section", STORED)
def test_stored_bytes_match_the_file(section: str, own_redis: redis.Redis) -> None:
    assert STORED[section](own_redis) == GOLDEN[section]


def test_file_has_every_section_and_no_other() -> None:
    assert list(GOLDEN) == [*COMPUTED, *STORED]


def test_every_key_name_has_a_vector() -> None:
    functions = {function for _, function in getmembers(keys, isfunction)}

    assert {function for function, _ in golden.KEYS.values()} == functions


def test_every_sub_key_and_code_type_has_a_vector() -> None:
    sub_keys = {bytes(getattr(KEYRING.active, name)).hex() for name in KEYRING.active.__slots__}

    assert sub_keys <= set(GOLDEN["sub-keys"].values())
    assert all(any(f" {kind.value} " in name for name in GOLDEN["codes"]) for kind in CodeType)


# ── written bytes can be read ──


@pytest.mark.parametrize("name", GOLDEN["out ids"])
def test_out_id_of_the_file_is_read(name: str) -> None:
    all_keys = [sub_keys.message_reference for sub_keys in KEYRING.by_kid.values()]

    read = MessageReference.decode(GOLDEN["out ids"][name], all_keys)

    assert read == MessageReference(golden.PHONE_HASH, golden.VERIFICATION_HASH, int(name.rpartition(" ")[2]))


@pytest.mark.parametrize("name", GOLDEN["proofs"])
def test_proof_of_the_file_is_read(name: str) -> None:
    def signer(*proof_keys: bytes) -> ProofSigner:
        return ProofSigner("https://otp.example", golden.CLIENT, ProofKeys(proof_keys), lambda: golden.NOW)

    vector = GOLDEN["proofs"][name]
    proof = signer(b"n" * 32, b"o" * 32).read(vector["proof"], purpose=golden.PURPOSE, allow_test=True)

    assert {
        "iss": proof.issuer,
        "aud": proof.client,
        "purpose": proof.purpose,
        "sub": proof.phone,
        "jti": proof.verification_id,
        "iat": proof.issued_at,
        "exp": proof.expires_at,
        "amr": list(proof.amr),
    } == vector["claims"]
    with pytest.raises(InvalidProof):
        signer(b"x" * 32).read(vector["proof"], purpose=golden.PURPOSE, allow_test=True)


@pytest.mark.parametrize("level", [1, 2])
def test_challenge_of_the_file_is_solved(level: int) -> None:
    vector = GOLDEN["risk challenges"][f"level {level}"]
    solution = {name: vector[name] for name in ("algorithm", "challenge", "salt", "signature")}
    text = base64.b64encode(json.dumps(solution | {"number": golden.DRAWN_NUMBER}).encode()).decode()
    subject = ChallengeSubject(golden.CLIENT, golden.PHONE_HASH)
    work = ProofOfWork(KEYRING, golden.FixedClock(), ttl=600)

    assert work.verify(text, subject, level) == vector["challenge"]
    assert work.verify(text, replace(subject, phone_hash="another"), level) is None


def test_address_probe_of_the_file_is_read() -> None:
    assert AddressProbe(KEYRING).verified_nonce(GOLDEN["address probes"]["probe"], golden.NOW + 1) == "nonce"


@pytest.mark.parametrize("name", golden.PAGES)
def test_hosted_page_of_the_file_is_read(name: str) -> None:
    encrypted = bytes.fromhex(GOLDEN["hosted pages"][name])
    rotated = Keyring({"k2": b"2" * 32, "k1": golden.ROOT}, "k2", golden.PSEUDONYM_KEY)

    assert hosted_page.decrypt_page(encrypted, rotated, golden.PAGE_ID) == golden.PAGES[name]


def test_hosted_page_of_an_older_root_is_read() -> None:
    encrypted = bytes.fromhex(GOLDEN["hosted pages"]["under an older root"])

    assert hosted_page.decrypt_page(encrypted, KEYRING, golden.PAGE_ID) == golden.NEW_PAGE
