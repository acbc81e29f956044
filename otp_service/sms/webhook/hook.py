"""A hook: an address of the operator's and the secret that signs what is posted there; touches the network.

https://www.standardwebhooks.com: the body is JSON with `type`, `timestamp` and `data`; three headers name the
message, say when it was posted, and sign both with the body.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from standardwebhooks import Webhook as Signer

from otp_service.services.interfaces import Clock
from otp_service.sms.http import HttpClient, HttpResponse
from otp_service.sms.webhook.target import parse_webhook_url


class WebhookClient:
    """Posts to *url*, signed with *secret* (`whsec_…`). *http* is its own: it keeps connections to one host.

    Raises:
        BadEndpoint: *url* is not `https://host[:port][/path]`, or `http://` to this machine.
        ValueError: *secret* is no base64.
    """

    def __init__(self, *, url: str, secret: str, http: HttpClient, clock: Clock) -> None:
        self._target = parse_webhook_url(url)
        self._signer = Signer(secret)
        self._http = http
        self._clock = clock

    def post(self, kind: str, message_id: str, data: Mapping[str, object], *, seconds: float) -> HttpResponse:
        """Post one message within about *seconds*, once, and return the answer, whatever it is.

        *message_id* is the same for the same message, and says nothing about it.

        Raises:
            ConnectFailed: nothing left this machine.
            ResponseLost: something did, and no complete answer came back.
        """
        now = self.now()
        # JSON in ASCII alone: what a phone has sent may hold halves of characters that no encoding can write.
        body = json.dumps({"type": kind, "timestamp": rfc3339(now), "data": data}, separators=(",", ":"))
        headers = {
            "Host": self._target.host,
            "Content-Type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(message_id, now, body),
        }
        return self._http.post(self._target.url, headers, body.encode(), seconds=seconds)

    def now(self) -> datetime:
        """Return the time as this machine knows it."""
        return datetime.fromtimestamp(self._clock.now(), UTC)

    def close(self) -> None:
        """Close the idle connections."""
        self._http.close()


def rfc3339(moment: datetime) -> str:
    """Write a *moment* in UTC to the second: `2026-11-23T08:07:41Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
