"""Clients: the calling applications, their keys and what each of them may do."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from otp_service.domain.errors import Unauthorized
from otp_service.domain.limits import PhoneLimits


class KeyKind(StrEnum):
    """What a key may do: a secret key stays on servers, a publishable key lies open in browsers."""

    SECRET = "sk"  # noqa: S105 - the name of a kind of key
    PUBLISHABLE = "pk"


@dataclass(frozen=True, slots=True)
class Client:
    """One calling application.

    *secret_key_digests* are SHA-256 of its secret keys in hex; *purposes* are those it may ask for;
    *sms_per_day* is its budget; with *require_client_ip* its server calls must name the end user's address;
    with *may_unlock* they may unlock phones. *publishable_key* is for browsers on pages of its *origins*, and
    *limits* stand in for those of the service. Hosted pages lead back to one of its *return_urls*.
    """

    id: str
    secret_key_digests: tuple[str, ...] = field(repr=False)
    purposes: tuple[str, ...]
    sms_per_day: int
    require_client_ip: bool = False
    may_unlock: bool = False
    limits: PhoneLimits | None = None
    publishable_key: str = ""
    origins: frozenset[str] = frozenset()
    return_urls: frozenset[str] = frozenset()
    pages_per_10_minutes: int = 1_000
    pages_per_address_per_10_minutes: int = 30


@dataclass(frozen=True, slots=True)
class Caller:
    """A client, as one of its keys shows it; of a browser, the end user's *client_ip* too."""

    client: Client
    kind: KeyKind
    client_ip: str | None = None

    @property
    def origins(self) -> frozenset[str]:
        """The pages that may make its calls: none with a secret key, which has no business in a page."""
        return self.client.origins if self.kind is KeyKind.PUBLISHABLE else frozenset()


def key_digest(key: str) -> str:
    """Return what the configuration holds of a key. SHA-256 is enough: keys are 256 random bits."""
    return hashlib.sha256(key.encode()).hexdigest()


class Clients:
    """All clients, found by key or by name; *origins* are those of all of them."""

    def __init__(self, clients: Iterable[Client]) -> None:
        self._by_id = {client.id: client for client in clients}
        secret = {d: c for c in self._by_id.values() for d in c.secret_key_digests}
        publishable = {key_digest(c.publishable_key): c for c in self._by_id.values() if c.publishable_key}
        # A publishable key that somebody lists among the secret ones, too, stays what it is.
        self._by_digest = {
            **{digest: Caller(client, KeyKind.SECRET) for digest, client in secret.items()},
            **{digest: Caller(client, KeyKind.PUBLISHABLE) for digest, client in publishable.items()},
        }
        self.origins = frozenset(origin for client in self._by_id.values() for origin in client.origins)

    def __getitem__(self, client_id: str) -> Client:
        return self._by_id[client_id]

    def get(self, client_id: str) -> Client | None:
        """Return the client of that name, None when there is none any more."""
        return self._by_id.get(client_id)

    def authenticate(self, key: str) -> Caller:
        """Return who holds *key*.

        The look-up is by digest, so its timing tells nothing of the key itself.

        Raises:
            Unauthorized: nobody does.
        """
        presented = key_digest(key)
        caller = self._by_digest.get(presented)
        if caller is None or not any(hmac.compare_digest(presented, known) for known in _digests(caller)):
            raise Unauthorized
        return caller


def _digests(caller: Caller) -> tuple[str, ...]:
    if caller.kind is KeyKind.SECRET:
        return caller.client.secret_key_digests
    return (key_digest(caller.client.publishable_key),)
