"""Keys: every name that the service uses in Redis. Touches nothing.

All keys of one phone carry its tag between braces, so that on a cluster they share one slot.
"""

from __future__ import annotations

PREFIX = "otp:"


def probe(number: int) -> str:
    """Return the key of a probe; each server of a cluster owns some of them."""
    return f"{PREFIX}probe:{number}"


def row(tag: str) -> str:
    """Return the key of what outlives a phone's verifications."""
    return f"{PREFIX}{{{tag}}}"


def record(tag: str, verification_id: str) -> str:
    """Return the key of one verification."""
    return f"{PREFIX}{{{tag}}}:{verification_id}"


def redeemed(tag: str, verification_id: str) -> str:
    """Return the key that marks a proof as used."""
    return f"{PREFIX}{{{tag}}}:{verification_id}:redeemed"


def inquiry(tag: str, verification_id: str, call: str) -> str:
    """Return the key that marks a verification as just asked about by *call*."""
    return f"{PREFIX}{{{tag}}}:{verification_id}:{call}"


def address(tag: str) -> str:
    """Return the key of what one address has caused."""
    return f"{PREFIX}address:{{{tag}}}"


def attempts(tag: str) -> str:
    """Return the key of the attempts from one address."""
    return f"{PREFIX}attempts:{{{tag}}}"


def guard(name: str) -> str:
    """Return the key of what one scope has sent and verified."""
    return f"{PREFIX}guard:{{{name}}}"


def solved(tag: str, challenge: str) -> str:
    """Return the key that marks a risk challenge as solved, in the slot of the phone that it is bound to."""
    return f"{PREFIX}{{{tag}}}:solved:{challenge}"


def claim(tag: str) -> str:
    """Return the key of an idempotency key."""
    return f"{PREFIX}claim:{{{tag}}}"


def page(tag: str) -> str:
    """Return the key of a hosted page."""
    return f"{PREFIX}page:{{{tag}}}"


def pages(client: str) -> str:
    """Return the key of how many hosted pages a client has made."""
    return f"{PREFIX}pages:{{{client}}}"


def wrong_codes(day: int) -> str:
    """Return the key of a day's wrong codes of verifications that were never approved, and its approvals."""
    return f"{PREFIX}wrong_codes:{day}"


def unaddressed(client: str) -> str:
    """Return the key that marks a client as not naming addresses."""
    return f"{PREFIX}unaddressed:{client}"


def budget(scope: str) -> str:
    """Return the key of a day's budget; an SMS is taken from several at once, so that they share a slot."""
    return f"{PREFIX}budget:{{sms}}:{scope}"
