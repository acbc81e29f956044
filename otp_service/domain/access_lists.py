"""Lists: phones and addresses that an operator has let in or shut out."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address

from otp_service.domain.phone import Phone

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class AccessList:
    """What one list names: *networks* of addresses, *prefixes* of E.164, *countries* and tags of phones."""

    networks: tuple[Network, ...] = ()
    prefixes: tuple[str, ...] = ()
    countries: frozenset[str] = frozenset()
    phones: frozenset[str] = frozenset()

    def matches_phone(self, phone: Phone, tag: str) -> bool:
        """Tell whether *phone* is on the list."""
        return (
            phone.country in self.countries
            or tag in self.phones
            or any(phone.e164.startswith(prefix) for prefix in self.prefixes)
        )

    def matches_address(self, text: str) -> bool:
        """Tell whether the address *text* is on the list; IPv4 in IPv6 clothes counts as IPv4."""
        if not self.networks:
            return False
        address = ip_address(text.partition("%")[0])
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self.networks)


@dataclass(frozen=True, slots=True)
class AccessLists:
    """The lists of this service. *deny* gets no SMS; *allow* is spared risk challenges and the guard.

    Who is on both is denied. No list lifts a limit of a phone or a budget.
    """

    deny: AccessList = AccessList()
    allow: AccessList = AccessList()

    def deny_phone(self, phone: Phone, tag: str) -> bool:
        """Tell whether *phone* is shut out."""
        return self.deny.matches_phone(phone, tag)

    def deny_address(self, address: str | None) -> bool:
        """Tell whether the requester's *address* is shut out."""
        return address is not None and self.deny.matches_address(address)

    def is_allowlisted(self, phone: Phone, tag: str, address: str | None) -> bool:
        """Tell whether nothing here is suspicious."""
        return self.allow.matches_phone(phone, tag) or (
            address is not None and self.allow.matches_address(address)
        )
