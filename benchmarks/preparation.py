"""Prepares calls to the service that succeed, each about a new phone."""

from __future__ import annotations

import itertools
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import load
from support import fakes
from support.deployment import Secrets
from support.events import RecordingEvents
from support.redis_servers import Server

from otp_service import settings
from otp_service.domain import codes
from otp_service.observability.clock import SystemClock
from otp_service.services.verification import VerificationService
from otp_service.store import keys
from otp_service.store.client import client_from_url
from otp_service.store.verifications import RedisStore
from otp_service.web.api.request_log import CurrentRequestLog

_numbers = itertools.count()


class Target(Protocol):
    """A running service."""

    url: str
    secrets: Secrets
    redis: Server


class Direct:
    """The service on a given store, without HTTP, provider and cooldown. Its codes can be read."""

    def __init__(self, loaded: settings.Settings, redis_url: str) -> None:
        policy = loaded.policy()
        self._client = loaded.all_clients()["shop"]
        self._keyring = loaded.keyring()
        self._sender = fakes.FakeSender()
        clock, events = SystemClock(), RecordingEvents()
        self._service = VerificationService(
            policy=replace(policy, phone_limits=replace(policy.phone_limits, cooldown=(0,))),
            keyring=self._keyring,
            signers=loaded.signers(clock.now),
            store=RedisStore(client_from_url(redis_url), events),
            sender=self._sender,
            counters=fakes.FakeCounters(),
            challenges=None,
            clock=clock,
            events=events,
            log_context=CurrentRequestLog(),
        )

    def request(self, phone: str, client_ip: str | None) -> tuple[str, str]:
        """Return the id and the code of a new verification."""
        sent = self._service.request(self._client, phone, purpose="login", client_ip=client_ip)
        return sent.verification_id, self._sender.sent.pop().code.get_secret_value()

    def verify(self, phone: str, verification_id: str, code: str, client_ip: str | None) -> None:
        """Submit *code*, which must be correct."""
        self._service.verify(self._client, phone, verification_id, code, client_ip=client_ip)

    def attempt(self, phone: str, verification_id: str, code: str) -> dict[str, object]:
        """Return the keys and arguments of the script that checks *code*."""
        verification_hash = self._keyring.verification_hash(verification_id)
        phone_hash, kid = self._keyring.phone_hash(phone), self._keyring.active_kid
        binding = codes.CodeContext(verification_id, self._client.id, phone)
        digest = codes.digest(self._keyring.active.digest, binding, codes.Code(code))
        return {
            "keys": [keys.phone_state(phone_hash), keys.verification(phone_hash, verification_hash)],
            "arguments": [verification_hash, self._client.id, "\0" * 13, "", "dn", "", 0, kid],
            "digest": b64encode(digest).decode(),
        }


class Preparation:
    """Builds the bytes of calls to *target*, whose settings are *loaded*."""

    def __init__(self, target: Target, loaded: settings.Settings) -> None:
        self._url = target.url
        self._key = target.secrets.secret_key
        self._direct = Direct(loaded, target.redis.url)

    def floor(self, url: str, count: int) -> list[bytes]:
        """Return calls of the floor with the script arguments that the service would compute."""
        return _many(lambda: self._floor(url), count)

    def verify(self, count: int) -> list[bytes]:
        """Return calls that submit the correct code."""
        return _many(self._verify, count)

    def request(self, count: int) -> list[bytes]:
        """Return calls that request an SMS."""
        return _many(self._request, count)

    def _floor(self, url: str) -> bytes:
        phone = a_phone()
        verification_id, code = self._direct.request(phone, an_address())
        return load.post(f"{url}/floor", self._direct.attempt(phone, verification_id, code), self._key)

    def _request(self) -> bytes:
        body: dict[str, object] = {"phone": a_phone(), "purpose": "login", "client_ip": an_address()}
        return load.post(f"{self._url}/otp/request", body, self._key)

    def _verify(self) -> bytes:
        phone = a_phone()
        verification_id, code = self._direct.request(phone, an_address())
        body: dict[str, object] = {"phone": phone, "verification_id": verification_id, "code": code}
        return load.post(f"{self._url}/otp/verify", body, self._key)


def a_phone() -> str:
    """Return a new phone number."""
    return f"+86139{next(_numbers):08d}"


def an_address() -> str:
    """Return a new IP address."""
    number = next(_numbers)
    return f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"


def _many(make: Callable[[], bytes], count: int) -> list[bytes]:
    return [make() for _ in range(count)]
