"""Clients: the calling applications, their keys and what each of them may do. Touches nothing."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from otp_service.errors import Unauthorized
from otp_service.limits import PhoneLimits


class KeyKind(StrEnum):
    """What a key may do: a secret key stays on servers, a publishable key lies open in browsers."""

    SECRET = "sk"  # noqa: S105 - the name of a kind of key
    PUBLISHABLE = "pk"


@dataclass(frozen=True, slots=True)
class Client:
    """One calling application.

    *secret_key_digests* are SHA-256 of its secret keys in hex; *purposes* are those it may ask for;
    *sms_per_day* is its budget; with *require_client_ip* its server calls must name the end user's address;
    with *may_unlock* they may unlock phones.
    """

    id: str
    secret_key_digests: tuple[str, ...] = field(repr=False)
    purposes: tuple[str, ...]
    sms_per_day: int
    require_client_ip: bool = False
    may_unlock: bool = False
    limits: PhoneLimits | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """A client, as one of its keys shows it."""

    client: Client
    kind: KeyKind


def key_digest(key: str) -> str:
    """Return what the configuration holds of a key. SHA-256 is enough: keys are 256 random bits."""
    return hashlib.sha256(key.encode()).hexdigest()


class Clients:
    """All clients, found by key or by name."""

    def __init__(self, clients: Iterable[Client]) -> None:
        self._by_id = {client.id: client for client in clients}
        self._by_digest = {
            digest: client for client in self._by_id.values() for digest in client.secret_key_digests
        }

    def __getitem__(self, client_id: str) -> Client:
        return self._by_id[client_id]

    def authenticate(self, key: str) -> Caller:
        """Return who holds *key*.

        The look-up is by digest, so its timing tells nothing of the key itself.

        Raises:
            Unauthorized: nobody does.
        """
        presented = key_digest(key)
        client = self._by_digest.get(presented)
        if client is None or not any(
            hmac.compare_digest(presented, known) for known in client.secret_key_digests
        ):
            raise Unauthorized
        return Caller(client, KeyKind.SECRET)
