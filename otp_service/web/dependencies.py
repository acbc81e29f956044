"""What the web room is made of: the service and the ports it answers with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from otp_service.domain.address_probe import AddressProbe
from otp_service.domain.clients import Clients
from otp_service.domain.phone import Dialing, dialing
from otp_service.services.hosted_pages import HostedPages
from otp_service.services.interfaces import Clock, EventLogger, Store
from otp_service.services.verification import VerificationService
from otp_service.web.aliyun_reports import AliyunReportEndpoint
from otp_service.web.api.client_ip import ProxyTrust


@dataclass(frozen=True, slots=True)
class ApiDependencies:
    """Everything a view may use.

    *routes* says how each configured route does: `name` and `state` of each, `ok` or what is wrong with it.
    Without *intake* there is no address that reports can be pushed to. *trust* is for the proxies in front.
    *dialing* lists the countries that the widget offers, the one that is selected at first before the others.
    *public_url* is where browsers find the API, empty where a call tells. *alarm* returns the level of the
    wrong-code alarm. *address_probe* reads what `doctor --url` sends. *on_unreadable_ip* is called when a
    proxy has written no address into `X-Forwarded-For`.
    """

    service: VerificationService
    pages: HostedPages
    clients: Clients
    store: Store
    routes: Callable[[], list[dict[str, object]]]
    events: EventLogger
    clock: Clock
    intake: AliyunReportEndpoint | None = None
    trust: ProxyTrust = field(default_factory=ProxyTrust)
    dialing: tuple[Dialing, ...] = field(default_factory=lambda: (dialing("CN"),))
    public_url: str = ""
    alarm: Callable[[], int] = int
    address_probe: AddressProbe | None = None
    on_unreadable_ip: Callable[[], object] = int
