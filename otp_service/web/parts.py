"""What the web room is made of: the service and the ports it answers with. Touches nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from otp_service.clients import Clients
from otp_service.ports import Clock, Events, Store
from otp_service.service import Service


@dataclass(frozen=True, slots=True)
class WebParts:
    """Everything a view may use.

    *routes* says how each configured route does: `name` and `state` of each, `ok` or what is wrong with it.
    """

    service: Service
    clients: Clients
    store: Store
    routes: Callable[[], list[dict[str, object]]]
    events: Events
    clock: Clock
