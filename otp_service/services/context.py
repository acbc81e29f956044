"""The context of one call about one phone: the caller's texts, parsed."""

from __future__ import annotations

from dataclasses import dataclass

from otp_service.domain.clients import Client
from otp_service.domain.codes import Code
from otp_service.domain.phone import Phone
from otp_service.domain.risk import PhoneKey


@dataclass(frozen=True, slots=True)
class RequestContext:
    """One call: the client, the phone and the deadline (monotonic seconds).

    *client_ip_hash* is the keyed hash of the end user's IP address, or empty if it is unknown. *is_public* is
    set for calls from a browser, with a publishable key or through a hosted page. *test_code* is the code of
    a configured test phone. *is_allowlisted* exempts the call from all risk checks.
    """

    client: Client
    phone: Phone
    phone_key: PhoneKey
    deadline: float
    locale: str = ""
    client_ip_hash: str = ""
    is_public: bool = False
    test_code: Code | None = None
    is_allowlisted: bool = False
