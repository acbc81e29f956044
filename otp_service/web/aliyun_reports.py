"""The address that Aliyun pushes reports to. Touches the service's reports.

Pushes are not signed: the last part of the address is the secret that lets them in. Aliyun waits 700 ms and
tells again after 1, 5 and 10 minutes whatever was not answered with 200, so another answer loses nothing.
https://help.aliyun.com/document_detail/101867.html
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from flask import Response, request

from otp_service.domain.errors import FieldError, InvalidRequest, NotFound, StoreUnavailable
from otp_service.services.delivery_reports import DeliveryReportService
from otp_service.services.interfaces import Clock
from otp_service.sms.aliyun.protocol.reports import BadReports
from otp_service.web.api import json_body
from otp_service.web.api.responses import respond

PATH = "/aliyun/reports/<secret>"
METHODS = ("GET", "POST")

MAX_BYTES = 256 * 1024
"""Several hundred reports; Aliyun packs far fewer."""

SECONDS = 0.6
"""Of the 700 ms that Aliyun waits."""

ACKNOWLEDGED = '{"code":0,"msg":"\\u63a5\\u6536\\u6210\\u529f"}'
"""The answer that Aliyun's page shows: received."""


@dataclass(frozen=True, slots=True)
class AliyunReportEndpoint:
    """Takes what is pushed to the address that ends with *secret*."""

    secret: bytes = field(repr=False)
    reports: DeliveryReportService
    clock: Clock

    def answer(self) -> Response:
        """Take what the request at hand pushes. A GET is the console's test of the address.

        Raises:
            NotFound: the secret is wrong; that there is such an address is not told.
            PayloadTooLarge, InvalidRequest: it is no push of Aliyun's.
            StoreUnavailable: it must be told again.
        """
        deadline = self.clock.monotonic() + SECONDS
        if not hmac.compare_digest(_given(), self.secret):
            raise NotFound
        if request.method == "POST":
            self._take(json_body.read_bytes(request.environ, MAX_BYTES), deadline)
        return respond(200, ACKNOWLEDGED)

    def _take(self, raw: bytes, deadline: float) -> None:
        try:
            taken = self.reports.process(raw, deadline)
        except BadReports:
            raise InvalidRequest([FieldError(pointer="", detail="must be a JSON array of reports")]) from None
        if taken.must_retry:
            raise StoreUnavailable  # a reply that nobody keeps must be told again


def _given() -> bytes:
    return str((request.view_args or {}).get("secret", "")).encode()
