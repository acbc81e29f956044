"""A route: one configured way to send."""

from __future__ import annotations

from dataclasses import dataclass, field

from otp_service.domain.messages import WILDCARD, SmsMessage, Template, select_template
from otp_service.sms.provider import Provider


@dataclass(frozen=True, slots=True)
class Route:
    """One configured way to send. Without *clients* it serves all of them."""

    name: str
    provider: Provider = field(repr=False)
    templates: tuple[Template, ...]
    clients: frozenset[str] = frozenset()

    def supports(self, client: str, purpose: str) -> bool:
        """Tell whether it sends for *client* and *purpose*, to whatever country."""
        return self._takes(client) and any(t.purpose in (WILDCARD, purpose) for t in self.templates)

    def template_for(self, sms: SmsMessage) -> Template | None:
        """Return the template for *sms*, or nothing when it does not serve it."""
        return select_template(self.templates, sms) if self._takes(sms.client) else None

    def _takes(self, client: str) -> bool:
        return not self.clients or client in self.clients
