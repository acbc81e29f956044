"""Hosted pages: the state of one page between two steps, and its encryption for the store.

The page id is a bearer secret that only the page's address holds. The store has a tag of the id; decrypting
what it keeps takes a root secret of the service and the id.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any

from otp_service.domain.crypto import Keyring, decrypt, encrypt, hmac_fields

PAGE_TTL = 600
"""Seconds for which an address is good, whatever is done at it."""

ID_BYTES = 24
NAME_BYTES = 24
"""Of the random name by which a page knows its browser again."""

MAX_SUBMISSIONS = 60
"""Forms that may be sent from one page; a person sends about three."""

_KEY_CHARACTERS = 32

_FORMAT = 2
"""The first byte of a sealed page. The former format, before AES-GCM, had no such byte and cannot be read."""


class Step(StrEnum):
    """Where a page stands."""

    PHONE = "phone"
    CODE = "code"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class ActiveVerification:
    """The verification of a page for *phone*. Times in unix seconds; *resend_at* is 0 if no SMS is left."""

    verification_id: str = field(repr=False)
    phone_masked: str
    code_type: str
    resend_at: float
    expires_at: float
    phone: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class FormError:
    """Why the last form led to nothing: the *code* of an error and its facts; *until* in unix seconds."""

    code: str
    until: float = 0
    attempts_left: int = 0


@dataclass(frozen=True, slots=True)
class HostedPage:
    """One page. Times in unix seconds.

    *is_counted*: it was opened, and counts against its client's quota. *browser* is the tag of the browser
    that sent its first form, empty until then. *turn* counts the forms that were sent; until *busy_until* one
    of them is at work. *phone* is what was typed last, *phones* how many verifications were opened. *riddle*
    is the risk challenge to solve before *wish* (`phone` or `resend`) comes true.
    """

    client: str
    purpose: str
    return_url: str
    state: str
    locale: str
    ends_at: float
    is_counted: bool = False
    browser: str = ""
    turn: int = 0
    busy_until: float = 0
    step: Step = Step.PHONE
    phone: str = ""
    phones: int = 0
    opened: ActiveVerification | None = None
    trouble: FormError | None = None
    wish: str = ""
    riddle: Mapping[str, object] = field(default_factory=dict)
    proof: str = ""
    proof_ends_at: float = 0

    def __repr__(self) -> str:
        return f"HostedPage({self.client}, {self.step})"


def sealed(page: HostedPage, keyring: Keyring, page_id: str, nonce: bytes) -> bytes:
    """Return *page* encrypted for the store, under the active root; *nonce* as `encrypt` needs it.

    The result: format u8 = 2 | key id: length u8 and bytes | nonce 12 | ciphertext | tag 16.
    """
    kid = keyring.active_kid
    head = _head(kid)
    plain = json.dumps(asdict(page), separators=(",", ":")).encode()
    return head + encrypt(_key(keyring, kid, page_id), nonce, plain, head)


def unsealed(kept: bytes, keyring: Keyring, page_id: str) -> HostedPage | None:
    """Return the page that `sealed` encrypted.

    None if the format is another, the key is not in *keyring*, or the page was sealed under another id or
    changed.
    """
    for kid in keyring.by_kid:
        head = _head(kid)
        if kept.startswith(head):
            plain = decrypt(_key(keyring, kid, page_id), kept[len(head) :], head)
            return None if plain is None else _read(json.loads(plain))
    return None


def browser_tag(keyring: Keyring, page_id: str, name: str) -> str:
    """Return what a page keeps of the *name* that its browser bears."""
    return hmac_fields(keyring.pseudonym_key_for(b"browser"), (page_id.encode(), name.encode())).hex()


def form_key(keyring: Keyring, page_id: str, name: str, turn: int) -> str:
    """Return what the form of one *turn* must bear: nobody can make it up, and no other browser's fits."""
    made = hmac_fields(keyring.pseudonym_key_for(b"form"), (page_id.encode(), name.encode(), b"%d" % turn))
    return made.hex()[:_KEY_CHARACTERS]


def turn_of(keyring: Keyring, page_id: str, name: str, given: str, page: HostedPage) -> int | None:
    """Return the turn whose form bears the key *given*, the current one first; None when none did."""
    for turn in range(page.turn, -1, -1):
        if hmac.compare_digest(form_key(keyring, page_id, name, turn).encode(), given.encode()):
            return turn
    return None


def _head(kid: str) -> bytes:
    """Return what stands before the nonce; the encryption authenticates it."""
    return bytes([_FORMAT, len(kid.encode())]) + kid.encode()


def _key(keyring: Keyring, kid: str, page_id: str) -> bytes:
    return hmac_fields(keyring.by_kid[kid].page, (b"page", page_id.encode()))


def _read(told: dict[str, Any]) -> HostedPage:
    """Return the page; what another version of us has written beside it is left out."""
    known = {f.name: told[f.name] for f in fields(HostedPage) if f.name in told}
    known["step"] = Step(known["step"])
    known["opened"] = ActiveVerification(**known["opened"]) if known["opened"] else None
    known["trouble"] = FormError(**known["trouble"]) if known["trouble"] else None
    return HostedPage(**known)


@dataclass(frozen=True, slots=True)
class StoredPage:
    """A hosted page as the store keeps it; *version* counts how often it was written."""

    version: int
    sealed: bytes = field(repr=False)


class PageEvent(StrEnum):
    """What hosted pages are counted for."""

    CREATED = "created"
    OPENED = "opened"
    """The first form was sent; loading a page does not open it."""


@dataclass(frozen=True, slots=True)
class PageQuota:
    """How many hosted pages a client may have in ten minutes, and how many of them from one address."""

    total: int
    per_address: int
