"""Clients: identified by their keys and by nothing else."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otp_service.domain.clients import Caller, Client, Clients, KeyKind, key_digest
from otp_service.domain.errors import Unauthorized

OLD, NEW, OTHER = "sk_old", "sk_new", "sk_other"
SHOP = Client("shop", (key_digest(NEW), key_digest(OLD)), ("login", "signup"), 100)
MALL = Client("mall", (key_digest(OTHER),), ("login",), 100, require_client_ip=True)
CLIENTS = Clients([SHOP, MALL])


@pytest.mark.parametrize(("key", "client"), [(OLD, SHOP), (NEW, SHOP), (OTHER, MALL)])
def test_key_identifies_its_client(key: str, client: Client) -> None:
    assert CLIENTS.authenticate(key) == Caller(client, KeyKind.SECRET)


@pytest.mark.parametrize(
    "key", ["", "sk_", "sk_old ", " sk_old", "SK_OLD", "sk_ol", "sk_olde", key_digest(OLD), "sk_öld", "\x00"]
)
def test_no_other_text_identifies_a_client(key: str) -> None:
    with pytest.raises(Unauthorized):
        CLIENTS.authenticate(key)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_random_text_identifies_no_client(key: str) -> None:
    with pytest.raises(Unauthorized):
        CLIENTS.authenticate(key)


def test_publishable_key_identifies_its_client_and_is_not_a_secret_key() -> None:
    page = "https://www.shop.example"
    shop = replace(SHOP, publishable_key="pk_shop", origins=frozenset({page}))
    clients = Clients([shop, MALL])

    assert clients.authenticate("pk_shop") == Caller(shop, KeyKind.PUBLISHABLE)
    assert clients.authenticate("pk_shop").origins == clients.origins == {page}
    assert clients.authenticate(NEW).origins == set()
    with pytest.raises(Unauthorized):
        clients.authenticate(key_digest("pk_shop"))


def test_publishable_key_configured_as_a_secret_key_stays_publishable() -> None:
    careless = replace(SHOP, publishable_key="pk_shop", secret_key_digests=(key_digest("pk_shop"),))

    assert Clients([careless]).authenticate("pk_shop").kind is KeyKind.PUBLISHABLE


def test_empty_key_does_not_match_a_client_without_a_publishable_key() -> None:
    for nothing in ("", "pk_"):
        with pytest.raises(Unauthorized):
            Clients([SHOP, MALL]).authenticate(nothing)


def test_client_is_found_by_its_id() -> None:
    assert CLIENTS["mall"] is MALL


def test_key_digest_is_sha_256_in_hex() -> None:
    assert key_digest(OLD) == hashlib.sha256(OLD.encode()).hexdigest()


def test_repr_of_a_client_hides_its_digests() -> None:
    assert key_digest(OLD) not in repr(CLIENTS.authenticate(OLD))
