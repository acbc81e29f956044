"""Keys: `Authorization: Bearer sk_…` becomes a `Caller`, or the call ends here."""

from __future__ import annotations

import re

from otp_service.domain.clients import Caller, Clients, KeyKind
from otp_service.domain.errors import Forbidden, Unauthorized

SERVERS = frozenset({KeyKind.SECRET})
EVERYONE = frozenset(KeyKind)

_BEARER = re.compile(r"bearer +([sp]k_[A-Za-z0-9_-]{1,128})", re.IGNORECASE)


def authenticate(header: str | None, clients: Clients) -> Caller:
    """Return who calls, by the `Authorization` header.

    Raises:
        Unauthorized: no header, another scheme, or a key that nobody holds.
    """
    bearer = _BEARER.fullmatch(header or "")
    if bearer is None:
        raise Unauthorized
    return clients.authenticate(bearer[1])


def admit_origin(caller: Caller, origin: str | None) -> None:
    """Let a browser pass if it shows a page of its client.

    A server forges whatever origin it likes; it is the others that this keeps out of somebody's account.

    Raises:
        Forbidden: it shows another page, or none.
    """
    if caller.kind is KeyKind.PUBLISHABLE and (origin is None or origin not in caller.origins):
        raise Forbidden


def admit(caller: Caller, kinds: frozenset[KeyKind]) -> None:
    """Let *caller* pass if its key is one of *kinds*.

    Raises:
        Forbidden: it is not.
    """
    if caller.kind not in kinds:
        raise Forbidden
