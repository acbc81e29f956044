"""The requester: the end user's address behind a call, as one network."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from otp_service.domain.errors import FieldError, InvalidRequest


def normalize_client_ip(text: str) -> str:
    """Return the unit that limits count: an IPv4 address, or the /64 of an IPv6 one.

    A home or a phone has a whole /64 at its disposal. IPv4 in IPv6 clothes counts as IPv4.

    Raises:
        InvalidRequest: *text* is no IP address; names the field `client_ip`.
    """
    address = _address(text)
    if isinstance(address, IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(IPv6Network((int(address), 64), strict=False))


def _address(text: str) -> IPv4Address | IPv6Address:
    try:
        return ip_address(text.partition("%")[0] if ":" in text else text)
    except ValueError:
        raise InvalidRequest([FieldError(pointer="/client_ip", detail="is not an IP address")]) from None
