"""Where a webhook is posted to."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

from otp_service.sms.aliyun.endpoint import BadEndpoint, Endpoint

_PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%-]*)*")


def parse_webhook_url(text: str) -> Endpoint:
    """Read the URL of a webhook, which is that of an endpoint and perhaps a path.

    Raises:
        BadEndpoint: it is not `https://host[:port][/path]`, or `http://` to this machine.
    """
    try:
        parts = urlsplit(text)
    except ValueError:
        raise BadEndpoint("is not a URL") from None
    origin = Endpoint.read(urlunsplit(parts._replace(path="")))
    if not _PATH.fullmatch(parts.path):
        raise BadEndpoint("has a path that cannot be sent as it is")
    return Endpoint(origin.url.removesuffix("/") + (parts.path or "/"), origin.host)
