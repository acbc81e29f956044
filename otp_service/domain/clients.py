"""Clients: the calling applications, their keys and their permissions."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from otp_service.domain.errors import Unauthorized
from otp_service.domain.limits import PhoneLimits


class KeyKind(StrEnum):
    """The kinds of keys: secret keys stay on servers, publishable keys are visible in browsers."""

    SECRET = "sk"  # noqa: S105 - the name of a kind of key
    PUBLISHABLE = "pk"


@dataclass(frozen=True, slots=True)
class Client:
    """One calling application.

    *secret_key_digests* are the SHA-256 digests of its secret keys in hex, *purposes* the purposes that it
    may request, and *sms_per_day* is its budget. With *require_client_ip*, its server calls must contain the
    end user's IP address; with *may_unlock*, they may unlock phones. Browsers use *publishable_key* on pages
    of its *origins*. *limits* override those of the service. Hosted pages redirect to one of its
    *return_urls*.
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
    pages_per_ip_per_10_minutes: int = 30


@dataclass(frozen=True, slots=True)
class Caller:
    """The client that a key belongs to. For browser calls, *client_ip* is the end user's IP address."""

    client: Client
    kind: KeyKind
    client_ip: str | None = None

    @property
    def origins(self) -> frozenset[str]:
        """The origins whose pages may make the calls; none for a secret key, which must not be in a page."""
        return self.client.origins if self.kind is KeyKind.PUBLISHABLE else frozenset()


def key_digest(key: str) -> str:
    """Return the digest of a key for the configuration. SHA-256 is enough: keys have 256 random bits."""
    return hashlib.sha256(key.encode()).hexdigest()


class Clients:
    """Finds clients by key or by id. *origins* are those of all clients."""

    def __init__(self, clients: Iterable[Client]) -> None:
        self._by_id = {client.id: client for client in clients}
        secret = {d: c for c in self._by_id.values() for d in c.secret_key_digests}
        publishable = {key_digest(c.publishable_key): c for c in self._by_id.values() if c.publishable_key}
        # A publishable key that is also listed as a secret key remains a publishable key.
        self._by_digest = {
            **{digest: Caller(client, KeyKind.SECRET) for digest, client in secret.items()},
            **{digest: Caller(client, KeyKind.PUBLISHABLE) for digest, client in publishable.items()},
        }
        self.origins = frozenset(origin for client in self._by_id.values() for origin in client.origins)

    def __getitem__(self, client_id: str) -> Client:
        return self._by_id[client_id]

    def get(self, client_id: str) -> Client | None:
        """Return the client with this id, or None if the configuration no longer contains it."""
        return self._by_id.get(client_id)

    def authenticate(self, key: str) -> Caller:
        """Return the caller that *key* belongs to.

        The lookup uses the digest, so its timing reveals nothing about the key.

        Raises:
            Unauthorized: *key* belongs to no client.
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
