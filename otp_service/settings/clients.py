"""`[purposes.<name>]` and `[clients.<id>]`: what each client may do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Annotated

from pydantic import Field, SecretStr

from otp_service.domain.clients import Client
from otp_service.domain.codes import CodeType
from otp_service.domain.limits import PhoneLimits
from otp_service.domain.proofs import ProofKeys
from otp_service.settings.fields import Config, Count, Phrase, webhook_url_issue
from otp_service.settings.issues import ConfigIssue, checked, matching
from otp_service.settings.secret_settings import key_issues, plain

NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
ID = re.compile(r"[a-z][a-z0-9_-]{0,31}")
DEVELOPMENT_BUDGET = 1_000
"""SMS per day if no budget is set. `serve` refuses to start without one."""


_ORIGIN = re.compile(r"https?://(?:[a-z0-9-]+(?:\.[a-z0-9-]+)*|\[[0-9a-f:]+\])(?::[1-9][0-9]{0,4})?")
ORIGIN_FORM = (
    "must be an origin as browsers write it, like https://www.example.com: "
    "lower case, no path, no default port"
)
_DEFAULT_PORTS = (("http://", ":80"), ("https://", ":443"))


def _origin_issue(text: str) -> str:
    """Return why *text* is not an origin as browsers write it; empty if it is one."""
    has_default_port = any(text.startswith(scheme) and text.endswith(port) for scheme, port in _DEFAULT_PORTS)
    return ORIGIN_FORM if has_default_port or not _ORIGIN.fullmatch(text) else ""


Origin = Annotated[str, checked(_origin_issue)]
ReturnUrl = Annotated[str, checked(webhook_url_issue)]
Digest = Annotated[
    str, matching(r"[0-9a-f]{64}", "must be the SHA-256 of a secret key: 64 of 0-9 a-f, not the key itself")
]
PublishableKey = Annotated[
    str, matching(r"pk_[A-Za-z0-9_-]{16,128}", "must be pk_ and 16 to 128 of A-Z a-z 0-9 _ -")
]


Cooldown = Annotated[tuple[Annotated[int, Field(ge=60, le=86_400)], ...], Field(min_length=1)]


class PurposeConfig(Config):
    """`[purposes.<name>]`: the type of its codes."""

    code_type: CodeType = CodeType.DIGITS


class ClientLimitsConfig(Config):
    """`[clients.<id>.limits]`: stricter limits of one client; a missing one is that of `[limits]`.

    A phone's SMS and wrong codes are counted over all clients; these limits say at which count the calls of
    this client are rejected. Consecutive wrong codes belong to the phone alone, so the numbers from which it
    is restricted and locked are the same for all clients.
    """

    cooldown: Cooldown | None = None
    sends_per_hour: Count | None = None
    sends_per_day: Count | None = None
    sends_per_requester_per_hour: Count | None = None
    failures_per_hour: Count | None = None
    failures_per_day: Count | None = None

    def over(self, usual: PhoneLimits) -> PhoneLimits | None:
        """Return the *usual* limits, overridden by those of the client; None if it has none."""
        own = self.model_dump(exclude_none=True)
        return replace(usual, **own) if own else None

    def issues(self, where: str, usual: PhoneLimits) -> Iterator[ConfigIssue]:
        """Yield limits that are looser than the *usual* ones."""
        for name, own in self.model_dump(exclude_none=True, exclude={"cooldown"}).items():
            if own > getattr(usual, name):
                yield ConfigIssue(f"{where}.{name}", f"must be at most limits.{name}")
        if self.cooldown and not _is_as_long(self.cooldown, usual.cooldown):
            yield ConfigIssue(f"{where}.cooldown", "must be at least limits.cooldown at every step")


class ClientConfig(Config):
    """`[clients.<id>]`: the keys, permissions and limits of one client.

    *secret_key_digests* are SHA-256 in hex; *proof_keys* are ordered newest first; empty *purposes* or
    *routes* mean all.
    """

    secret_key_digests: tuple[Digest, ...] = Field(default=(), repr=False)
    proof_keys: tuple[Phrase, ...] = ()
    publishable_key: PublishableKey | None = None
    origins: tuple[Origin, ...] = ()
    return_urls: tuple[ReturnUrl, ...] = ()
    pages_per_10_minutes: Count = 1_000
    pages_per_ip_per_10_minutes: Count = 30
    purposes: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    sms_per_day: Count | None = None
    require_client_ip: bool = False
    may_unlock: bool = False
    limits: ClientLimitsConfig = ClientLimitsConfig()

    def client(self, client_id: str, all_purposes: Iterable[str], usual: PhoneLimits) -> Client:
        """Return the client that this table describes; the *usual* limits apply where it has none."""
        return Client(
            id=client_id,
            secret_key_digests=self.secret_key_digests,
            purposes=self.purposes or tuple(all_purposes),
            sms_per_day=self.sms_per_day or DEVELOPMENT_BUDGET,
            require_client_ip=self.require_client_ip,
            may_unlock=self.may_unlock,
            limits=self.limits.over(usual),
            publishable_key=self.publishable_key or "",
            origins=frozenset(self.origins),
            return_urls=frozenset(self.return_urls),
            pages_per_10_minutes=self.pages_per_10_minutes,
            pages_per_ip_per_10_minutes=self.pages_per_ip_per_10_minutes,
        )

    def takes(self, route: str) -> bool:
        """Return whether its SMS may take *route*."""
        return not self.routes or route in self.routes

    def signing_keys(self) -> ProofKeys:
        """Return the keys of its proofs, newest first; the table must be valid."""
        return ProofKeys(tuple(map(plain, self.proof_keys)))

    def secrets(self, where: str) -> Iterator[tuple[str, SecretStr]]:
        """Yield every secret with its path."""
        for number, key in enumerate(self.proof_keys):
            yield f"{where}.proof_keys[{number}]", key

    def issues(self, where: str) -> Iterator[ConfigIssue]:
        """Yield the issues of this table alone."""
        if not self.secret_key_digests:
            yield ConfigIssue(f"{where}.secret_key_digests", "needs at least one digest")
        if not self.proof_keys:
            yield ConfigIssue(f"{where}.proof_keys", "needs at least one key")
        if self.publishable_key and not self.origins:
            yield ConfigIssue(f"{where}.origins", "needs the pages that may use the publishable key")
        for place, key in self.secrets(where):
            for issue in key_issues(key, plain):
                yield ConfigIssue(place, issue)


def _is_as_long(own: tuple[int, ...], usual: tuple[int, ...]) -> bool:
    """Return whether no step of *own* is shorter than that of *usual*; the last step of each repeats."""
    steps = range(max(len(own), len(usual)))
    return all(own[min(n, len(own) - 1)] >= usual[min(n, len(usual) - 1)] for n in steps)
