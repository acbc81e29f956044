"""Messages: purpose, country and locale → sign name, template code and template param.

The names are Aliyun's; which template serves a request is decided here, how it travels is a room's affair.
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
"""The group of all countries but one; Aliyun has Hong Kong, Macau and Taiwan in it too."""
MAINLAND = "CN"

REFERENCE_MAC_BYTES = 8
_REFERENCE = re.compile(r"([\w-]{16})\.([\w-]{16})\.([1-9]\d{0,2})\.([\w-]{11})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Template:
    """One approved template of a route and what it serves; `*` serves every purpose, country or locale.

    *countries* are ISO codes, or one group, or `*`.
    *code_variable* is the name of the variable that carries the code, *extra_variables* fixed values of
    further variables.
    """

    purpose: str
    template_code: str
    locale: str = WILDCARD
    countries: tuple[str, ...] = (WILDCARD,)
    code_variable: str = "code"
    extra_variables: Mapping[str, str] = field(default_factory=dict)

    def template_param(self, code: Code) -> dict[str, str]:
        """Return exactly the template's variables, all of them text."""
        return {**self.extra_variables, self.code_variable: code.get_secret_value()}

    def serves(self, purpose: str, country: str) -> bool:
        """Tell whether it can be sent for *purpose* to *country*, in some locale."""
        return self.purpose in (WILDCARD, purpose) and self.country_specificity(country) > 0

    def country_specificity(self, country: str) -> int:
        """Return how closely it names *country*: 3 by its code, 2 by its group, 1 by `*`, 0 not at all."""
        if country in self.countries:
            return 3
        if INTERNATIONAL in self.countries and country != MAINLAND:
            return 2
        return int(WILDCARD in self.countries)


@dataclass(frozen=True, slots=True)
class SmsMessage:
    """One SMS to send: to whom, for what, and the code. *reference* comes back in reports."""

    phone: Phone
    client: str
    purpose: str
    locale: str
    code: Code
    code_type: CodeType
    reference: str


def select_template(templates: Iterable[Template], sms: SmsMessage) -> Template | None:
    """Return the template that fits *sms* best, the first of equals.

    An exact purpose beats an exact country beats its group beats the locale, the longest first, beats `*`.
    """
    fitting = [
        t for t in templates if t.serves(sms.purpose, sms.phone.country) and _matches_locale(t, sms.locale)
    ]
    return max(fitting, key=lambda t: _specificity(t, sms.phone.country), default=None)


def _matches_locale(template: Template, locale: str) -> bool:
    """Tell whether it is in that language; `en` serves `en-GB` as well, as in RFC 4647's lookup."""
    return template.locale == WILDCARD or _subtags_match(_subtags(template.locale), _subtags(locale))


def _subtags(tag: str) -> list[str]:
    return tag.lower().replace("_", "-").split("-")


def _subtags_match(wanted: list[str], given: list[str]) -> bool:
    """Tell whether all subtags *wanted* are *given*, in this order (RFC 4647, extended filtering).

    So `zh-CN` serves `zh-Hans-CN`.
    """
    if wanted[0] != given[0]:
        return False
    rest = iter(given[1:])
    return all(any(subtag == other for other in rest) for subtag in wanted[1:])


def _specificity(template: Template, country: str) -> tuple[bool, int, int]:
    locale = 0 if template.locale == WILDCARD else len(template.locale)
    return template.purpose != WILDCARD, template.country_specificity(country), locale


class SendStatus(StrEnum):
    """What a provider's answer means."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class FailureCause(StrEnum):
    """Whose fault a refusal is."""

    ACCOUNT = "route"
    """Our account, configuration or request: another route may do better."""
    PROVIDER = "provider"
    """Down or throttling, and certainly not sent: another route may do better."""
    RECIPIENT = "number"
    """This number gets no SMS anywhere."""
    RECIPIENT_RATE_LIMIT = "limit"
    """The provider's flow control for this number."""


@dataclass(frozen=True, slots=True)
class SendResult:
    """How one send ended. *cause* is set for refusals, *retry_after* (seconds) for limits and busy providers.

    *provider_code* and *request_id* are for the log only.
    """

    status: SendStatus
    route: str = ""
    cause: FailureCause | None = None
    retry_after: int = 0
    provider_code: str = ""
    request_id: str = ""
    biz_id: str = ""


class DeliveryLookupStatus(StrEnum):
    """What asking a provider about one send has found."""

    ACCEPTED = "accepted"
    """It was sent; whether it arrived is not known yet."""
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    NOT_FOUND = "absent"
    """The provider knows of no such send."""
    NO_ANSWER = "silent"
    """The provider was asked and did not say."""
    UNSUPPORTED = "unasked"
    """Nobody can be asked: the provider answers no such questions."""


@dataclass(frozen=True, slots=True)
class DeliveryLookup:
    """A question about one send to *phone*, which began at *began_at* (unix seconds).

    *matches* tells whether an out id is this send's. *route* is empty when it is not known which one it took;
    *client* and *purpose* then tell which may have.
    """

    phone: Phone
    client: str
    purpose: str
    route: str
    began_at: float
    matches: Callable[[str], bool] = field(repr=False)


@dataclass(frozen=True, slots=True)
class DeliveryLookupResult:
    """The result of a delivery lookup; *reason* is the provider's code for what became of the SMS."""

    status: DeliveryLookupStatus
    reason: str = ""


@dataclass(frozen=True, slots=True)
class InboundSms:
    """An SMS from a phone to us. *id* is the same whenever the same SMS is told of again.

    *phone* in E.164 where that is known, *sent_at* in unix seconds, *sender* the number that it was sent to.
    """

    id: str
    phone: str = field(repr=False)
    content: str = field(repr=False)
    sender: str
    sent_at: float
    sign_name: str = ""


@dataclass(frozen=True, slots=True)
class MessageReference:
    """One send: the tags of its phone and of its verification, and its number from 1."""

    phone_hash: str
    verification_hash: str
    number: int

    def encode(self, key: bytes) -> str:
        """Return the text that travels with the SMS."""
        return f"{self.phone_hash}.{self.verification_hash}.{self.number}.{self._mac(key)}"

    @classmethod
    def decode(cls, text: str, keys: Iterable[bytes]) -> Self | None:
        """Return the send that *text* names, or nothing when none of *keys* signed it."""
        form = _REFERENCE.fullmatch(text)
        if form is None:
            return None
        phone_hash, verification_hash, number, mac = form.groups()
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
