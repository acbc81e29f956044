"""Authentication: which client a request belongs to, and what its kind of key may do."""

from __future__ import annotations

import re

from otp_service.domain.clients import Caller, Clients, KeyKind
from otp_service.domain.errors import Forbidden, Unauthorized

SERVERS = frozenset({KeyKind.SECRET})
EVERYONE = frozenset(KeyKind)

_BEARER = re.compile(r"bearer +([sp]k_[A-Za-z0-9_-]{1,128})", re.IGNORECASE)


def authenticate(header: str | None, clients: Clients) -> Caller:
    """Return the caller that the `Authorization` header identifies.

    Raises:
        Unauthorized: the header is missing, has another scheme, or holds an unknown key.
    """
    bearer = _BEARER.fullmatch(header or "")
    if bearer is None:
        raise Unauthorized
    return clients.authenticate(bearer[1])


def require_origin(caller: Caller, origin: str | None) -> None:
    """Accept a browser only on a page of its client.

    A server can forge any origin. The check keeps other sites' pages from using a client's publishable key.

    Raises:
        Forbidden: the key is publishable, and the origin is missing or belongs to another site.
    """
    if caller.kind is KeyKind.PUBLISHABLE and (origin is None or origin not in caller.origins):
        raise Forbidden


def require_kind(caller: Caller, kinds: frozenset[KeyKind]) -> None:
    """Accept *caller* only if its key is one of *kinds*.

    Raises:
        Forbidden: it is not.
    """
    if caller.kind not in kinds:
        raise Forbidden
