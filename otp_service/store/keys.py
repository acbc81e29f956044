"""Keys: every name that the service uses in Redis.

All keys of one phone carry its tag between braces, so that on a cluster they share one slot.
"""

from __future__ import annotations

PREFIX = "otp:"


def probe(number: int) -> str:
    """Return the key of a probe; each server of a cluster owns some of them."""
    return f"{PREFIX}probe:{number}"


def phone_state(tag: str) -> str:
    """Return the key of what outlives a phone's verifications."""
    return f"{PREFIX}{{{tag}}}"


def verification(tag: str, verification_hash: str) -> str:
    """Return the key of one verification."""
    return f"{PREFIX}{{{tag}}}:{verification_hash}"


def redeemed(tag: str, verification_hash: str) -> str:
    """Return the key that marks a proof as used."""
    return f"{PREFIX}{{{tag}}}:{verification_hash}:redeemed"


def lookup_lease(tag: str, verification_hash: str, call: str) -> str:
    """Return the key that marks a verification as just asked about by *call*."""
    return f"{PREFIX}{{{tag}}}:{verification_hash}:{call}"


def ip_log(tag: str) -> str:
    """Return the key of what one address has caused."""
    return f"{PREFIX}address:{{{tag}}}"


def ip_misses(tag: str) -> str:
    """Return the key of the calls from one address about verifications that do not exist."""
    return f"{PREFIX}misses:{{{tag}}}"


def conversion_stats(name: str) -> str:
    """Return the key of what one scope has sent and verified."""
    return f"{PREFIX}guard:{{{name}}}"


def used_challenge(tag: str, challenge: str) -> str:
    """Return the key that marks a risk challenge as solved, in the slot of the phone that it is bound to."""
    return f"{PREFIX}{{{tag}}}:solved:{challenge}"


def idempotency_record(tag: str) -> str:
    """Return the key of an idempotency key."""
    return f"{PREFIX}claim:{{{tag}}}"


def page(tag: str) -> str:
    """Return the key of a hosted page."""
    return f"{PREFIX}page:{{{tag}}}"


def page_counts(client: str, event: str, address_tag: str = "") -> str:
    """Return the key of how many hosted pages of a client were created or opened, also from one address."""
    suffix = f":{address_tag}" if address_tag else ""
    return f"{PREFIX}pages:{{{client}}}:{event}{suffix}"


def global_failures(day: int) -> str:
    """Return the key of a day's wrong codes of verifications that were never approved, and its approvals."""
    return f"{PREFIX}wrong_codes:{day}"


def missing_client_ip(client: str) -> str:
    """Return the key that marks a client as not naming addresses."""
    return f"{PREFIX}unaddressed:{client}"


def unreadable_ip() -> str:
    """Return the key that marks that a trusted proxy did not write an address."""
    return f"{PREFIX}unreadable_ip"


def budget(scope: str) -> str:
    """Return the key of a day's budget; an SMS is taken from several at once, so that they share a slot."""
    return f"{PREFIX}budget:{{sms}}:{scope}"
