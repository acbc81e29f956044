"""`[deny]` and `[allow]`: phones and addresses that are shut out or let in."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Annotated

from otp_service.lists import Entries
from otp_service.settings.countries import Country
from otp_service.settings.issues import Mistake
from otp_service.settings.tables import Table, matching

Prefix = Annotated[
    str, matching(r"\+[1-9][0-9]{0,14}", "must be the beginning of a number in E.164, like +86170")
]
PhoneTag = Annotated[
    str,
    matching(r"[A-Za-z0-9_-]{16}", "must be the 16 characters of a phone's tag, as they stand in the log"),
]


class AllowTable(Table):
    """Who is spared risk challenges and the guard; no limit of a phone and no budget is lifted."""

    addresses: tuple[str, ...] = ()
    prefixes: tuple[Prefix, ...] = ()
    phone_tags: tuple[PhoneTag, ...] = ()

    def entries(self) -> Entries:
        """Return the list; the table must be free of mistakes."""
        return Entries(
            networks=tuple(ip_network(text) for text in self.addresses if not network_fault(text)),
            prefixes=self.prefixes,
            phones=frozenset(self.phone_tags),
        )

    def mistakes(self, where: str) -> Iterator[Mistake]:
        """Tell what is wrong with the table in itself."""
        for number, text in enumerate(self.addresses):
            if fault := network_fault(text):
                yield Mistake(f"{where}.addresses[{number}]", fault)


class DenyTable(AllowTable):
    """Who gets no SMS."""

    countries: tuple[Country, ...] = ()

    def entries(self) -> Entries:
        """Return the list; the table must be free of mistakes."""
        plain = super().entries()
        return Entries(plain.networks, plain.prefixes, frozenset(self.countries), plain.phones)


def network_fault(text: str) -> str:
    """Tell what keeps *text* from being an address or a range of them; nothing when it is one."""
    try:
        ip_network(text)
    except ValueError:
        return "is no address and no CIDR range without host bits"
    return ""
