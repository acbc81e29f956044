"""The network of an end user's IP address. Limits per IP address are counted per network."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from otp_service.domain.errors import FieldError, InvalidRequest


def normalize_client_ip(text: str) -> str:
    """Return an IPv4 address unchanged and the /64 network of an IPv6 address.

    A household or a phone usually has a whole /64. IPv4-mapped IPv6 addresses are treated as IPv4.

    Raises:
        InvalidRequest: *text* is not an IP address; the error names the field `client_ip`.
    """
    address = _parse(text)
    if isinstance(address, IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(IPv6Network((int(address), 64), strict=False))


def _parse(text: str) -> IPv4Address | IPv6Address:
    try:
        return ip_address(text.partition("%")[0] if ":" in text else text)
    except ValueError:
        raise InvalidRequest([FieldError(pointer="/client_ip", detail="is not an IP address")]) from None
