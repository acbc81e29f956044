"""Address probes: the doctor of this service learns which address its own call counts for.

To anybody else there is no such address.
"""

from __future__ import annotations

import json
from wsgiref.types import WSGIEnvironment

from flask import Response

from otp_service.domain.address_probe import AddressProbe
from otp_service.domain.errors import NotFound
from otp_service.web.api import json_body
from otp_service.web.api.client_ip import ProxyTrust, address_of
from otp_service.web.api.responses import respond


def answer(probe: AddressProbe, trust: ProxyTrust, environ: WSGIEnvironment, now: float) -> Response:
    """Return a keyed hash of the requester's address.

    Raises:
        NotFound: the call bears no good probe of this service's own key.
    """
    told = json_body.read(environ).get("probe")
    nonce = probe.nonce_of(told, now) if isinstance(told, str) else None
    if nonce is None:
        raise NotFound
    hashed = probe.address_hash(nonce, address_of(environ, trust))
    return respond(200, json.dumps({"address_hash": hashed}))
