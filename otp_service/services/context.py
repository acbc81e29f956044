"""The context of one call about one phone: the caller's input, parsed."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from otp_service.domain import phone
from otp_service.domain.client_ip import normalize_client_ip
from otp_service.domain.clients import Client
from otp_service.domain.codes import Code
from otp_service.domain.crypto import Keyring
from otp_service.domain.errors import DestinationBlocked
from otp_service.domain.limits import TEST_PHONE_LIMITS, IpLimits
from otp_service.domain.phone import Phone
from otp_service.domain.policy import Policy
from otp_service.domain.risk import ClientIpQuota, PhoneKey
from otp_service.services.interfaces import Clock, RequestLogContext


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

    def ip_quota(self, limits: IpLimits) -> ClientIpQuota | None:
        """Return the quota of the end user's IP address, or None if the address is unknown."""
        return ClientIpQuota(self.client_ip_hash, limits) if self.client_ip_hash else None


class ContextBuilder:
    """Parses what a caller sends and binds the result to the log context. Thread-safe."""

    def __init__(
        self, *, policy: Policy, keyring: Keyring, clock: Clock, log_context: RequestLogContext
    ) -> None:
        self._policy = policy
        self._keyring = keyring
        self._clock = clock
        self._log_context = log_context

    def build(
        self,
        client: Client,
        phone_text: str,
        client_ip: str | None,
        *,
        locale: str = "",
        is_public: bool = False,
        known_device: bool = False,
    ) -> RequestContext:
        """Return the context of a call by *client* about the phone number in *phone_text*.

        Raises:
            InvalidPhone, DestinationBlocked: the service does not serve this phone.
            InvalidRequest: *client_ip* is not an IP address.
        """
        number = phone.parse(phone_text, self._policy.phones)
        ip_hash = self._keyring.ip_hash(normalize_client_ip(client_ip)) if client_ip else b""
        phone_hash = self._keyring.phone_hash(number.e164)
        test_code = self._test_code(number)
        ip_hash_text = base64.urlsafe_b64encode(ip_hash).decode()
        self._log_context.bind(phone_hash=phone_hash, phone_masked=str(number), client_ip_hash=ip_hash_text)
        limits = TEST_PHONE_LIMITS if test_code else client.limits or self._policy.phone_limits
        return RequestContext(
            client=client,
            phone=number,
            phone_key=PhoneKey(phone_hash, limits, ip_hash, known_device=known_device),
            deadline=self._clock.monotonic() + self._policy.deadline,
            locale=locale,
            client_ip_hash=ip_hash_text,
            test_code=test_code,
            is_public=is_public,
            is_allowlisted=self._policy.access_lists.is_allowlisted(number, phone_hash, client_ip),
        )

    def build_for_send(
        self,
        client: Client,
        phone_text: str,
        client_ip: str | None,
        *,
        locale: str = "",
        is_public: bool = False,
        known_device: bool = False,
    ) -> RequestContext:
        """Return the context of a call that sends an SMS.

        Raises:
            DestinationBlocked: the phone or the IP address is on a deny list.
            Otherwise as `build`.
        """
        context = self.build(
            client, phone_text, client_ip, locale=locale, is_public=is_public, known_device=known_device
        )
        lists = self._policy.access_lists
        if lists.denies_phone(context.phone, context.phone_key.phone_hash) or lists.denies_ip(client_ip):
            raise DestinationBlocked
        return context

    def _test_code(self, number: Phone) -> Code | None:
        test = self._policy.test_phones.get(number.e164)
        return test.code if test and self._clock.now() <= test.expires_at else None
