"""`POST /otp/address-probe`: shows `doctor --url` which client IP address the service sees.

Everyone else gets 404.
"""

from __future__ import annotations

import json

from flask import Request, Response

from otp_service.domain.address_probe import AddressProbe
from otp_service.domain.errors import NotFound
from otp_service.web.api import json_body
from otp_service.web.api.client_ip import ProxyTrust, client_ip
from otp_service.web.api.responses import respond


def post(request: Request, probe: AddressProbe, trust: ProxyTrust, now: float) -> Response:
    """Return a keyed hash of the client's IP address.

    Raises:
        NotFound: the request has no valid probe, signed with the service's own key.
    """
    signed = json_body.read(request.environ).get("probe")
    nonce = probe.verified_nonce(signed, now) if isinstance(signed, str) else None
    if nonce is None:
        raise NotFound
    hashed = probe.ip_hash(nonce, client_ip(request.environ, trust))
    return respond(200, json.dumps({"address_hash": hashed}))
