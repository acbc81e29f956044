"""Backends: what an application must read from the proof, and which mistakes our client prevents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from attacks.target import Target, new_phone

from otp_service.settings import load
from otp_service_client import OtpClient, errors, read_proof


class Accounts:
    """A backend as docs/ shows it: a form contains a proof, and the phone number is taken from the proof."""

    def __init__(self, check: Callable[[str, str], str]) -> None:
        self._verified_phone = check
        self.signed_up: dict[str, str] = {}

    def sign_up(self, form: dict[str, str]) -> bool:
        try:
            phone = self._verified_phone(form["proof"], "signup")
        except errors.ApiError:
            return False
        if phone != form["phone"]:
            return False
        self.signed_up[form["name"]] = phone
        return True


@contextmanager
def online(target: Target) -> Iterator[Accounts]:
    with OtpClient(target.deployment.url, target.deployment.secrets.secret_key) as client:
        yield Accounts(lambda proof, purpose: client.redeem(proof, purpose=purpose).phone)


@contextmanager
def offline(target: Target) -> Iterator[Accounts]:
    used = set[str]()

    def seen(jti: str, _: float) -> bool:
        is_used = jti in used
        used.add(jti)
        return is_used

    def check(proof: str, purpose: str) -> str:
        keys = [target.deployment.secrets.proof_key]
        return read_proof(proof, keys=keys, client="shop", purpose=purpose, seen=seen).phone

    yield Accounts(check)


BACKENDS = pytest.mark.parametrize("backend", [online, offline])


def earn(target: Target, phone: str, purpose: str = "signup", client: str = "shop") -> str:
    verification_id = target.open(phone, client, purpose=purpose)
    return str(target.clients[client].verify(phone, verification_id, target.code(phone)).body["proof"])


@BACKENDS
def test_a22_number_changed_after_verification_is_rejected(
    target: Target, backend: Callable[[Target], Iterator[Accounts]]
) -> None:
    mine, victims = new_phone(), new_phone()
    proof = earn(target, mine)

    with backend(target) as accounts:  # type: ignore[attr-defined]
        assert not accounts.sign_up({"name": "mallory", "phone": victims, "proof": proof})
        assert accounts.signed_up == {}
        assert victims not in {sms.phone for sms in target.sms()}


@BACKENDS
def test_a22_a_proof_signs_one_person_up_once(
    target: Target, backend: Callable[[Target], Iterator[Accounts]]
) -> None:
    phone = new_phone()
    proof = earn(target, phone)

    with backend(target) as accounts:  # type: ignore[attr-defined]
        assert accounts.sign_up({"name": "alice", "phone": phone, "proof": proof})
        assert not accounts.sign_up({"name": "mallory", "phone": phone, "proof": proof})
        assert accounts.signed_up == {"alice": phone}


@BACKENDS
@pytest.mark.parametrize(("purpose", "client"), [("login", "shop"), ("signup", "bank")])
def test_a22_proof_for_another_purpose_creates_no_account(
    target: Target, backend: Callable[[Target], Iterator[Accounts]], purpose: str, client: str
) -> None:
    phone = new_phone()
    proof = earn(target, phone, purpose, client)

    with backend(target) as accounts:  # type: ignore[attr-defined]
        assert not accounts.sign_up({"name": "mallory", "phone": phone, "proof": proof})


def test_a22_clients_have_different_proof_keys(target: Target) -> None:
    """The keys that verify a client's own proofs cannot sign a proof of another client."""
    settings = load(target.deployment.log.parent / "config.toml", {})
    keys = {
        name: {key.get_secret_value() for key in table.proof_keys} for name, table in settings.clients.items()
    }

    assert len(set.union(*keys.values())) == sum(map(len, keys.values())) == 3
