"""What the views need, in one object that `app` creates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from otp_service.domain.address_probe import AddressProbe
from otp_service.domain.clients import Clients
from otp_service.domain.phone import Dialing, dialing
from otp_service.domain.reports import DeliveryFailure
from otp_service.services.hosted_pages import HostedPages
from otp_service.services.interfaces import Clock, EventLogger, Store
from otp_service.services.verification import VerificationService
from otp_service.web.aliyun_reports import AliyunReportEndpoint
from otp_service.web.api.client_ip import ProxyTrust


@dataclass(frozen=True, slots=True)
class ApiDependencies:
    """Everything that a view may use.

    Attributes:
        service: requests, verifies and redeems.
        pages: the hosted pages.
        clients: the configured clients, by key and by id.
        store: for its health check.
        route_states: returns `name` and `state` of each SMS route; the state is `ok`, or one word for the
            problem.
        describe_failure: explains a provider's code for an SMS that was not delivered.
        events: where requests and errors are logged.
        clock: the time.
        report_receiver: receives the delivery reports that Aliyun pushes; None if no push is configured.
        proxy_trust: which proxies may report the client's IP address.
        dialing: the countries that the widget offers; the first one is preselected.
        public_url: the URL at which browsers reach the API; if empty, it is derived from the request.
        global_risk_level: returns the level of the wrong-code alarm, 0 if it is off.
        address_probe: answers `doctor --url`; None disables that.
        on_unreadable_ip: called when a trusted proxy has reported something that is not an IP address.
    """

    service: VerificationService
    pages: HostedPages
    clients: Clients
    store: Store
    route_states: Callable[[], list[dict[str, object]]]
    describe_failure: Callable[[str], DeliveryFailure]
    events: EventLogger
    clock: Clock
    report_receiver: AliyunReportEndpoint | None = None
    proxy_trust: ProxyTrust = field(default_factory=ProxyTrust)
    dialing: tuple[Dialing, ...] = field(default_factory=lambda: (dialing("CN"),))
    public_url: str = ""
    global_risk_level: Callable[[], int] = int
    address_probe: AddressProbe | None = None
    on_unreadable_ip: Callable[[], object] = int
