"""The URL that Aliyun pushes delivery reports to.

Aliyun does not sign its pushes, so the last part of the path is a secret. Aliyun waits 700 ms for a response
and repeats a push after 1, 5 and 10 minutes unless the response was 200. Any other status therefore loses
nothing.
https://help.aliyun.com/document_detail/101867.html
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from flask import Request, Response

from otp_service.domain.errors import FieldError, InvalidRequest, NotFound, StoreUnavailable
from otp_service.domain.reports import UnreadableReports
from otp_service.services.delivery_reports import DeliveryReportService
from otp_service.services.interfaces import Clock
from otp_service.web.api import json_body
from otp_service.web.api.responses import respond

PATH = "/aliyun/reports/<secret>"
METHODS = ("GET", "POST")

MAX_BYTES = 256 * 1024
"""Room for several hundred reports; Aliyun sends far fewer per push."""

DEADLINE_SECONDS = 0.6
"""Less than the 700 ms that Aliyun waits."""

ACKNOWLEDGED = '{"code":0,"msg":"\\u63a5\\u6536\\u6210\\u529f"}'
"""The acknowledgement from Aliyun's documentation; the message means "received"."""


@dataclass(frozen=True, slots=True)
class AliyunReportEndpoint:
    """Accepts pushes to the URL that ends with *secret*."""

    secret: bytes = field(repr=False)
    reports: DeliveryReportService
    clock: Clock

    def handle(self, request: Request) -> Response:
        """Process the pushed reports. A GET is the console's test of the URL.

        Raises:
            NotFound: the secret is wrong. The response does not reveal that such a URL exists.
            PayloadTooLarge, InvalidRequest: the body is not a push from Aliyun.
            StoreUnavailable: Aliyun must push it again.
        """
        deadline = self.clock.monotonic() + DEADLINE_SECONDS
        given = str((request.view_args or {}).get("secret", "")).encode()
        if not hmac.compare_digest(given, self.secret):
            raise NotFound
        if request.method == "POST":
            self._process(json_body.read_bytes(request.environ, MAX_BYTES), deadline)
        return respond(200, ACKNOWLEDGED)

    def _process(self, raw: bytes, deadline: float) -> None:
        try:
            result = self.reports.process(raw, deadline)
        except UnreadableReports:
            raise InvalidRequest([FieldError(pointer="", detail="must be a JSON array of reports")]) from None
        if result.must_retry:
            raise StoreUnavailable  # an inbound SMS that was not forwarded must be pushed again
