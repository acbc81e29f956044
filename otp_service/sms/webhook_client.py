"""A client that posts signed webhooks to a service that the operator runs.

https://www.standardwebhooks.com: the body is JSON with `type`, `timestamp` and `data`. Three headers carry
the id of the message, the time of posting, and a signature over both and the body.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlsplit, urlunsplit

from standardwebhooks import Webhook

from otp_service.services.interfaces import Clock
from otp_service.sms.endpoint import BadEndpoint, Endpoint
from otp_service.sms.http import HttpClient, HttpResponse

_PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%-]*)*")


class WebhookClient:
    """Posts to *url*, signed with *secret* (`whsec_…`).

    *http* must not be shared, because it keeps connections to one host.

    Raises:
        BadEndpoint: *url* is not `https://host[:port][/path]`, or `http://` to this machine.
        ValueError: *secret* is not Base64.
    """

    def __init__(self, *, url: str, secret: str, http: HttpClient, clock: Clock) -> None:
        self._endpoint = parse_webhook_url(url)
        self._signer = Webhook(secret)
        self._http = http
        self._clock = clock

    def post(self, kind: str, message_id: str, data: Mapping[str, object], *, seconds: float) -> HttpResponse:
        """Post one message once, within about *seconds*, and return the response, whatever its status.

        *message_id* is the same for the same message, and reveals nothing about it.

        Raises:
            ConnectFailed: nothing left this machine.
            ResponseLost: something did, and no complete response came back.
        """
        now = self.now()
        # JSON in ASCII only: an inbound SMS may contain lone surrogates, which no encoding can represent.
        body = json.dumps({"type": kind, "timestamp": rfc3339(now), "data": data}, separators=(",", ":"))
        headers = {
            "Host": self._endpoint.host,
            "Content-Type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(message_id, now, body),
        }
        return self._http.post(self._endpoint.url, headers, body.encode(), seconds=seconds)

    def now(self) -> datetime:
        """Return the time of this machine."""
        return datetime.fromtimestamp(self._clock.now(), UTC)

    def close(self) -> None:
        """Close idle connections."""
        self._http.close()


def parse_webhook_url(text: str) -> Endpoint:
    """Parse the URL of a webhook, which may have a path.

    Raises:
        BadEndpoint: *text* is not `https://host[:port][/path]`, or `http://` to this machine.
    """
    try:
        parts = urlsplit(text)
    except ValueError:
        raise BadEndpoint("is not a URL") from None
    origin = Endpoint.read(urlunsplit(parts._replace(path="")))
    if not _PATH.fullmatch(parts.path):
        raise BadEndpoint("has a path that cannot be sent unchanged")
    return Endpoint(origin.url.removesuffix("/") + (parts.path or "/"), origin.host)


def rfc3339(moment: datetime) -> str:
    """Format *moment* in UTC to the second: `2026-11-23T08:07:41Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
