"""SMS messages: templates and their selection, results of sends and lookups, and the message reference.

The terms are Aliyun's. The `sms` package decides how a message is transmitted.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from otp_service.domain.codes import Code, CodeType
from otp_service.domain.crypto import hmac_fields
from otp_service.domain.phone import Phone

WILDCARD = "*"
INTERNATIONAL = "international"
"""All countries except mainland China. Aliyun counts Hong Kong, Macau and Taiwan among them."""
MAINLAND = "CN"

REFERENCE_MAC_BYTES = 8
_REFERENCE = re.compile(r"([\w-]{16})\.([\w-]{16})\.([1-9]\d{0,2})\.([\w-]{11})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Template:
    """An approved template of a route and what it is used for; `*` matches every purpose, country or locale.

    *countries* are ISO codes, `international` or `*`. *code_variable* names the variable for the code;
    *extra_variables* are the fixed values of other variables.
    """

    purpose: str
    template_code: str
    locale: str = WILDCARD
    countries: tuple[str, ...] = (WILDCARD,)
    code_variable: str = "code"
    extra_variables: Mapping[str, str] = field(default_factory=dict)

    def template_param(self, code: Code) -> dict[str, str]:
        """Return the values of all variables of the template."""
        return {**self.extra_variables, self.code_variable: code.get_secret_value()}

    def serves(self, purpose: str, country: str) -> bool:
        """Return whether the template can be used for *purpose* and *country*, in any locale."""
        return self.purpose in (WILDCARD, purpose) and self.country_specificity(country) > 0

    def country_specificity(self, country: str) -> int:
        """Return 3 if *country* matches by its code, 2 by `international`, 1 by `*`, and 0 otherwise."""
        if country in self.countries:
            return 3
        if INTERNATIONAL in self.countries and country != MAINLAND:
            return 2
        return int(WILDCARD in self.countries)


@dataclass(frozen=True, slots=True)
class SmsMessage:
    """One SMS to send. Delivery reports return *reference*, an encoded `MessageReference`."""

    phone: Phone
    client: str
    purpose: str
    locale: str
    code: Code
    code_type: CodeType
    reference: str


def select_template(templates: Iterable[Template], sms: SmsMessage) -> Template | None:
    """Return the template that matches *sms* best, the first of equal ones, or None.

    An exact purpose takes precedence over the specificity of the country, and that over the length of the
    locale.
    """
    matching = [
        t for t in templates if t.serves(sms.purpose, sms.phone.country) and _matches_locale(t, sms.locale)
    ]
    return max(matching, key=lambda t: _specificity(t, sms.phone.country), default=None)


def _matches_locale(template: Template, locale: str) -> bool:
    """Return whether the template is in the language *locale*. `en` also matches `en-GB` (RFC 4647)."""
    return template.locale == WILDCARD or _subtags_match(_subtags(template.locale), _subtags(locale))


def _subtags(tag: str) -> list[str]:
    return tag.lower().replace("_", "-").split("-")


def _subtags_match(wanted: list[str], given: list[str]) -> bool:
    """Return whether *given* contains all subtags *wanted* in this order (RFC 4647, extended filtering).

    For example, `zh-CN` matches `zh-Hans-CN`.
    """
    if wanted[0] != given[0]:
        return False
    rest = iter(given[1:])
    return all(any(subtag == other for other in rest) for subtag in wanted[1:])


def _specificity(template: Template, country: str) -> tuple[bool, int, int]:
    locale = 0 if template.locale == WILDCARD else len(template.locale)
    return template.purpose != WILDCARD, template.country_specificity(country), locale


class SendStatus(StrEnum):
    """The result of a send, as far as the provider's response shows it."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class FailureCause(StrEnum):
    """The cause of a refusal."""

    ACCOUNT = "route"
    """The account, configuration or request of this service. Another route may succeed."""
    PROVIDER = "provider"
    """The provider is down or throttling; the SMS was certainly not sent. Another route may succeed."""
    RECIPIENT = "number"
    """This number cannot receive SMS by any route."""
    RECIPIENT_RATE_LIMIT = "limit"
    """The provider's rate limit for this number."""


@dataclass(frozen=True, slots=True)
class SendResult:
    """The result of one send.

    *cause* is set for refusals, *retry_after* (seconds) for limits and busy providers. *provider_code* and
    *request_id* are only for the log.
    """

    status: SendStatus
    route: str = ""
    cause: FailureCause | None = None
    retry_after: int = 0
    provider_code: str = ""
    request_id: str = ""
    biz_id: str = ""


class DeliveryLookupStatus(StrEnum):
    """The result of a lookup of one send at the provider."""

    ACCEPTED = "accepted"
    """The SMS was sent; its delivery is not known yet."""
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    NOT_FOUND = "absent"
    """The provider has no record of the send."""
    NO_ANSWER = "silent"
    """The provider gave no usable answer."""
    UNSUPPORTED = "unasked"
    """The provider offers no lookup."""


@dataclass(frozen=True, slots=True)
class DeliveryLookup:
    """A query about one send to *phone*, which began at *began_at* (unix seconds).

    *matches* returns whether an encoded message reference belongs to this send. *route* is empty if it is not
    known; *client* and *purpose* then determine which routes are possible.
    """

    phone: Phone
    client: str
    purpose: str
    route: str
    began_at: float
    matches: Callable[[str], bool] = field(repr=False)


@dataclass(frozen=True, slots=True)
class DeliveryLookupResult:
    """The result of a delivery lookup; *reason* is the provider's error code for the SMS, if any."""

    status: DeliveryLookupStatus
    reason: str = ""


@dataclass(frozen=True, slots=True)
class InboundSms:
    """An SMS from a phone to this service. *id* is the same when the provider reports the same SMS again.

    *phone* is in E.164 if known, *sent_at* in unix seconds. *sender* is the number that the SMS was sent to.
    """

    id: str
    phone: str = field(repr=False)
    content: str = field(repr=False)
    sender: str
    sent_at: float
    sign_name: str = ""


@dataclass(frozen=True, slots=True)
class MessageReference:
    """Identifies one send: keyed hashes of its phone and its verification, and its number (from 1)."""

    phone_hash: str
    verification_hash: str
    number: int

    def encode(self, key: bytes) -> str:
        """Return the signed text that is sent to the provider with the SMS."""
        return f"{self.phone_hash}.{self.verification_hash}.{self.number}.{self._mac(key)}"

    @classmethod
    def decode(cls, text: str, keys: Iterable[bytes]) -> Self | None:
        """Return the reference in *text*, or None if it was not signed with one of *keys*."""
        match = _REFERENCE.fullmatch(text)
        if match is None:
            return None
        phone_hash, verification_hash, number, mac = match.groups()
        reference = cls(phone_hash, verification_hash, int(number))
        if any(hmac.compare_digest(mac, reference._mac(key)) for key in keys):
            return reference
        return None

    def _mac(self, key: bytes) -> str:
        fields = (
            b"out_id",
            self.phone_hash.encode(),
            self.verification_hash.encode(),
            str(self.number).encode(),
        )
        return base64.urlsafe_b64encode(hmac_fields(key, fields)[:REFERENCE_MAC_BYTES]).decode().rstrip("=")
