"""The state of a hosted page between two forms, and its encryption for the store.

The page id is a bearer secret; only the page's URL contains it. The store knows a keyed hash of the id. To
decrypt the state, both a root secret of the service and the id are needed.
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
"""Seconds for which a page is valid, whatever its visitor does."""

ID_BYTES = 24
BROWSER_TOKEN_BYTES = 24
"""Length of the random token in the cookie by which a page recognizes its browser."""

MAX_SUBMISSIONS = 60
"""Forms that a page accepts; a person submits about three."""

_FORM_KEY_LENGTH = 32

_FORMAT = 2
"""The first byte of an encrypted page."""

_JSON_NAMES = {
    "browser_token_hash": "browser",
    "form_sequence": "turn",
    "verifications": "phones",
    "active": "opened",
    "form_error": "trouble",
    "pending_action": "wish",
    "challenge": "riddle",
}
"""Fields that have another name in the stored JSON. Stored names never change, so that during an upgrade each
release can read the pages of the other."""


class Step(StrEnum):
    """Which form the page shows."""

    PHONE = "phone"
    CODE = "code"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class ActiveVerification:
    """The verification of a page. Times in unix seconds; *resend_at* is 0 if no SMS is left."""

    verification_id: str = field(repr=False)
    phone_masked: str
    code_type: str
    resend_at: float
    expires_at: float
    phone: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class FormError:
    """Why the last form failed: the *code* of the error and its facts; *until* is in unix seconds."""

    code: str
    until: float = 0
    attempts_left: int = 0


@dataclass(frozen=True, slots=True)
class HostedPage:
    """The state of one page. Times are in unix seconds. The order of the fields is that of the stored JSON.

    Attributes:
        client: the id of the client that created the page.
        purpose: what the phone is verified for.
        return_url: where the proof is posted to.
        state: the client's own value, which goes back with the proof.
        locale: the language that the client asked for, or empty.
        ends_at: when the page ends.
        is_counted: the page was opened, and counts towards its client's quota.
        browser_token_hash: keyed hash of the token of the browser that submitted the first form, or empty.
        form_sequence: how many forms were submitted.
        busy_until: until then a submitted form is being processed; 0 if none is.
        step: which form the page shows.
        phone: the number as it was typed last.
        verifications: how many verifications were created on this page.
        active: the current verification.
        form_error: why the last form failed.
        pending_action: the action (`phone` or `resend`) that continues once *challenge* is solved, or empty.
        challenge: the risk challenge to solve.
        proof: the proof, once the code was correct.
        proof_ends_at: when the proof expires.
    """

    client: str
    purpose: str
    return_url: str
    state: str
    locale: str
    ends_at: float
    is_counted: bool = False
    browser_token_hash: str = ""
    form_sequence: int = 0
    busy_until: float = 0
    step: Step = Step.PHONE
    phone: str = ""
    verifications: int = 0
    active: ActiveVerification | None = None
    form_error: FormError | None = None
    pending_action: str = ""
    challenge: Mapping[str, object] = field(default_factory=dict)
    proof: str = ""
    proof_ends_at: float = 0

    def __repr__(self) -> str:
        return f"HostedPage({self.client}, {self.step})"


@dataclass(frozen=True, slots=True)
class StoredPage:
    """A page as the store keeps it; *version* counts how often it was written."""

    version: int
    encrypted: bytes = field(repr=False)


class PageEvent(StrEnum):
    """What the quotas of hosted pages count."""

    CREATED = "created"
    OPENED = "opened"
    """The first form was submitted; loading a page does not open it."""


@dataclass(frozen=True, slots=True)
class PageQuota:
    """How many hosted pages a client may have in ten minutes, and how many of them from one address."""

    total: int
    per_ip: int


# ── encryption ──


def encrypt_page(page: HostedPage, keyring: Keyring, page_id: str, nonce: bytes) -> bytes:
    """Encrypt *page* for the store with a key of the active root secret; *nonce* must be unique.

    The result: format u8 = 2 | key id: length u8 and bytes | nonce 12 | ciphertext | tag 16.
    """
    kid = keyring.active_kid
    header = _header(kid)
    return header + encrypt(_key(keyring, kid, page_id), nonce, _to_json(page), header)


def decrypt_page(stored: bytes, keyring: Keyring, page_id: str) -> HostedPage | None:
    """Return the page that `encrypt_page` encrypted.

    Returns None if the format is unknown, if the key is not in *keyring*, if the page has another id, or if
    the bytes were modified.
    """
    for kid in keyring.by_kid:
        header = _header(kid)
        if stored.startswith(header):
            plain = decrypt(_key(keyring, kid, page_id), stored[len(header) :], header)
            return None if plain is None else _from_json(plain)
    return None


def _header(kid: str) -> bytes:
    """Return what precedes the nonce. It is authenticated as associated data."""
    return bytes([_FORMAT, len(kid.encode())]) + kid.encode()


def _key(keyring: Keyring, kid: str, page_id: str) -> bytes:
    return hmac_fields(keyring.by_kid[kid].page, (b"page", page_id.encode()))


def _to_json(page: HostedPage) -> bytes:
    stored = {_JSON_NAMES.get(name, name): value for name, value in asdict(page).items()}
    return json.dumps(stored, separators=(",", ":")).encode()


def _from_json(plain: bytes) -> HostedPage:
    """Parse a page. Fields that another release has added are ignored."""
    values = _known(HostedPage, json.loads(plain))
    active, form_error = values["active"], values["form_error"]
    values["step"] = Step(values["step"])
    values["active"] = ActiveVerification(**_known(ActiveVerification, active)) if active else None
    values["form_error"] = FormError(**_known(FormError, form_error)) if form_error else None
    return HostedPage(**values)


def _known(kind: type[Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the fields of *kind*, by their names in Python."""
    names = {item.name: _JSON_NAMES.get(item.name, item.name) for item in fields(kind)}
    return {name: stored[key] for name, key in names.items() if key in stored}


# ── browsers and forms ──


def browser_token_hash(keyring: Keyring, page_id: str, browser_token: str) -> str:
    """Return the keyed hash of *browser_token* that a page keeps."""
    return hmac_fields(
        keyring.pseudonym_key_for(b"browser"), (page_id.encode(), browser_token.encode())
    ).hex()


def form_key(keyring: Keyring, page_id: str, browser_token: str, sequence: int) -> str:
    """Return the key of the form with this *sequence* number.

    It cannot be guessed, and is valid for one browser only.
    """
    parts = (page_id.encode(), browser_token.encode(), b"%d" % sequence)
    return hmac_fields(keyring.pseudonym_key_for(b"form"), parts).hex()[:_FORM_KEY_LENGTH]


def sequence_of(
    keyring: Keyring, page_id: str, browser_token: str, given: str, page: HostedPage
) -> int | None:
    """Return the sequence number of the form with the key *given*, or None if no form of *page* had it."""
    for sequence in range(page.form_sequence, -1, -1):
        key = form_key(keyring, page_id, browser_token, sequence)
        if hmac.compare_digest(key.encode(), given.encode()):
            return sequence
    return None
