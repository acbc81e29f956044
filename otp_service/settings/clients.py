"""`[purposes.<name>]` and `[clients.<id>]`: who may ask for what."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Annotated

from pydantic import Field, SecretStr

from otp_service.clients import Client
from otp_service.codes import CodeType
from otp_service.limits import PhoneLimits
from otp_service.proofs import ProofKeys
from otp_service.settings.addresses import webhook_fault
from otp_service.settings.client_limits import ClientLimitsTable
from otp_service.settings.issues import Mistake
from otp_service.settings.secret_text import faults, plain
from otp_service.settings.tables import Count, Phrase, Table, matching

NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
ID = re.compile(r"[a-z][a-z0-9_-]{0,31}")
DEVELOPMENT_BUDGET = 1_000
"""SMS per day where no budget is set. `serve` refuses to start without one."""


_ORIGIN = re.compile(r"https?://(?:[a-z0-9-]+(?:\.[a-z0-9-]+)*|\[[0-9a-f:]+\])(?::[1-9][0-9]{0,4})?")
ORIGIN_FORM = (
    "must be an origin as browsers write it, like https://www.example.com: "
    "lower case, no path, no port that goes without saying"
)
_DEFAULT_PORTS = (("http://", ":80"), ("https://", ":443"))


def _is_origin(text: str) -> bool:
    """Tell whether a browser could write *text*: lower case, no path, no port that goes without saying."""
    is_plain = not any(text.startswith(scheme) and text.endswith(port) for scheme, port in _DEFAULT_PORTS)
    return is_plain and _ORIGIN.fullmatch(text) is not None


Digest = Annotated[
    str, matching(r"[0-9a-f]{64}", "must be the SHA-256 of a secret key: 64 of 0-9 a-f, not the key itself")
]
PublishableKey = Annotated[
    str, matching(r"pk_[A-Za-z0-9_-]{16,128}", "must be pk_ and 16 to 128 of A-Z a-z 0-9 _ -")
]


class PurposeTable(Table):
    """One purpose: what its codes are made of."""

    code_type: CodeType = CodeType.DIGITS


class ClientTable(Table):
    """One client: its keys, what it may ask for and how much.

    *secret_key_digests* are SHA-256 in hex; *proof_keys* are the newest first; no *purposes* or *routes*
    means all.
    """

    secret_key_digests: tuple[Digest, ...] = Field(default=(), repr=False)
    proof_keys: tuple[Phrase, ...] = ()
    publishable_key: PublishableKey | None = None
    origins: tuple[str, ...] = ()
    return_urls: tuple[str, ...] = ()
    pages_per_10_minutes: Count = 1_000
    pages_per_address_per_10_minutes: Count = 30
    purposes: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    sms_per_day: Count | None = None
    require_client_ip: bool = False
    may_unlock: bool = False
    limits: ClientLimitsTable = ClientLimitsTable()

    def client(self, client_id: str, all_purposes: Iterable[str], usual: PhoneLimits) -> Client:
        """Return the client that this table describes; *usual* limits hold where it has none of its own."""
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
            pages_per_address_per_10_minutes=self.pages_per_address_per_10_minutes,
        )

    def takes(self, route: str) -> bool:
        """Tell whether its SMS may go the way of *route*."""
        return not self.routes or route in self.routes

    def signing_keys(self) -> ProofKeys:
        """Return the keys of its proofs, newest first; the table must be free of mistakes."""
        return ProofKeys(tuple(map(plain, self.proof_keys)))

    def secrets(self, where: str) -> Iterator[tuple[str, SecretStr]]:
        """List every secret with its place."""
        for number, key in enumerate(self.proof_keys):
            yield f"{where}.proof_keys[{number}]", key

    def mistakes(self, where: str) -> Iterator[Mistake]:
        """Tell what is wrong with the table in itself."""
        if not self.secret_key_digests:
            yield Mistake(f"{where}.secret_key_digests", "needs at least one digest")
        if not self.proof_keys:
            yield Mistake(f"{where}.proof_keys", "needs at least one key")
        for number, origin in enumerate(self.origins):
            if not _is_origin(origin):
                yield Mistake(f"{where}.origins[{number}]", ORIGIN_FORM)
        if self.publishable_key and not self.origins:
            yield Mistake(f"{where}.origins", "needs the pages that may use the publishable key")
        for number, url in enumerate(self.return_urls):
            if fault := webhook_fault(url):
                yield Mistake(f"{where}.return_urls[{number}]", fault)
        for place, key in self.secrets(where):
            for fault in faults(key, plain):
                yield Mistake(place, fault)
