"""All keys that the service uses in Redis.

The keys of one phone contain its hash between braces, so that they share one hash slot of a cluster.
"""

from __future__ import annotations

PREFIX = "otp:"


def probe(number: int) -> str:
    """Return the key of a health probe; each server of a cluster owns some of them."""
    return f"{PREFIX}probe:{number}"


def schema() -> str:
    """Return the key of the highest schema version in use."""
    return f"{PREFIX}schema"


def phone_state(phone_hash: str) -> str:
    """Return the key of a phone's state, which outlives its verifications."""
    return f"{PREFIX}{{{phone_hash}}}"


def verification(phone_hash: str, verification_hash: str) -> str:
    """Return the key of one verification."""
    return f"{PREFIX}{{{phone_hash}}}:{verification_hash}"


def redeemed(phone_hash: str, verification_hash: str) -> str:
    """Return the key that marks a proof as used."""
    return f"{PREFIX}{{{phone_hash}}}:{verification_hash}:redeemed"


def lookup_lease(phone_hash: str, verification_hash: str, call: str) -> str:
    """Return the key that marks a verification as just looked up by *call*."""
    return f"{PREFIX}{{{phone_hash}}}:{verification_hash}:{call}"


def ip_log(ip_hash: str) -> str:
    """Return the key of the sends and approvals of an IP address."""
    return f"{PREFIX}address:{{{ip_hash}}}"


def ip_misses(ip_hash: str) -> str:
    """Return the key of the calls from an IP address about verifications that do not exist."""
    return f"{PREFIX}misses:{{{ip_hash}}}"


def conversion_stats(name: str) -> str:
    """Return the key of the SMS sent and verified in one scope."""
    return f"{PREFIX}guard:{{{name}}}"


def used_challenge(phone_hash: str, challenge: str) -> str:
    """Return the key that marks a risk challenge as used, in the hash slot of its phone."""
    return f"{PREFIX}{{{phone_hash}}}:solved:{challenge}"


def idempotency_record(key_hash: str) -> str:
    """Return the key of the record of an idempotency key."""
    return f"{PREFIX}claim:{{{key_hash}}}"


def page(page_hash: str) -> str:
    """Return the key of a hosted page."""
    return f"{PREFIX}page:{{{page_hash}}}"


def page_counts(client: str, event: str, ip_hash: str = "") -> str:
    """Return the key that counts the hosted pages of a client, or of one IP address at it, by *event*."""
    suffix = f":{ip_hash}" if ip_hash else ""
    return f"{PREFIX}pages:{{{client}}}:{event}{suffix}"


def global_failures(day: int) -> str:
    """Return the key of a day's wrong codes of verifications that were never approved, and its approvals."""
    return f"{PREFIX}wrong_codes:{day}"


def missing_client_ip(client: str) -> str:
    """Return the key that marks a client as sending no client IP."""
    return f"{PREFIX}unaddressed:{client}"


def unreadable_ip() -> str:
    """Return the key that marks that a trusted proxy wrote no IP address."""
    return f"{PREFIX}unreadable_ip"


def budget(scope: str) -> str:
    """Return the key of a budget; all share a hash slot, because one script takes an SMS from several."""
    return f"{PREFIX}budget:{{sms}}:{scope}"
