"""`[reports]`: delivery reports and inbound SMS, pushed by Aliyun or pulled from its queues."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator, SecretStr

from otp_service.settings.fields import Config, Secret, endpoint_issue, webhook_issues
from otp_service.settings.issues import ConfigIssue, checked, matching

TOKEN_ENDPOINT = "https://dybaseapi.aliyuncs.com"  # noqa: S105 - an address
QUEUE_ENDPOINT = "https://1943695596114318.mns.cn-hangzhou.aliyuncs.com"
"""The number is the account of the SMS service, which owns the queues of all its customers."""

REPORT, UP = "SmsReport", "SmsUp"

ReportSecret = Annotated[Secret, matching(r"[A-Za-z0-9_-]{32,128}", "must be 32 to 128 of A-Z a-z 0-9 _ -")]
Queue = Annotated[
    str,
    matching(r"|[A-Za-z0-9][A-Za-z0-9-]{0,255}", "must be the name of a queue: 1 to 256 of A-Z a-z 0-9 -"),
]


def _endpoint(other: str, setting: str) -> AfterValidator:
    """Return a validator of endpoints; a URL that contains *other* is a value for *setting* instead."""
    swapped = f"is a value for {setting}: the two endpoints are swapped"
    return checked(lambda url: endpoint_issue(url) or (swapped if other in url else ""))


class QueueConfig(Config):
    """`[reports.queue]`: the queues that `otp-service consume-reports` reads with the account of *route*."""

    route: str = ""
    report_queue: Queue = ""
    inbound_queue: Queue = ""
    endpoint: Annotated[str, _endpoint(".mns.", "queue_endpoint")] = TOKEN_ENDPOINT
    queue_endpoint: Annotated[str, _endpoint("//dybaseapi.", "endpoint")] = QUEUE_ENDPOINT

    def issues(self, where: str) -> Iterator[ConfigIssue]:
        """Yield the issues of this table alone."""
        if (self.report_queue or self.inbound_queue) and not self.route:
            yield ConfigIssue(f"{where}.route", "is required: its account reads the queues")
        yield from self._swapped(where)

    def _swapped(self, where: str) -> Iterator[ConfigIssue]:
        """Yield swapped queues. Aliyun ends the name of a queue with the type of its messages."""
        is_report, is_up = (
            name.endswith(end) for name, end in ((self.inbound_queue, REPORT), (self.report_queue, UP))
        )
        if self.report_queue and self.report_queue == self.inbound_queue:
            yield ConfigIssue(f"{where}.inbound_queue", "is the same queue as report_queue")
        elif is_report and is_up:
            yield ConfigIssue(where, "has report_queue and inbound_queue swapped")
        elif is_report:
            yield ConfigIssue(
                f"{where}.inbound_queue",
                "names a queue of delivery reports: queues of inbound SMS end with SmsUp",
            )
        elif is_up:
            yield ConfigIssue(
                f"{where}.report_queue",
                "names a queue of inbound SMS: queues of delivery reports end with SmsReport",
            )


class ReportsConfig(Config):
    """`[reports]`: *secret* is the last part of the URL that Aliyun pushes reports to.

    Inbound SMS are posted to *inbound_sms_webhook_url* and signed with *inbound_sms_webhook_secret*, as
    defined by Standard Webhooks.
    """

    secret: ReportSecret | None = None
    inbound_sms_webhook_url: str = ""
    inbound_sms_webhook_secret: Secret | None = None
    queue: QueueConfig = QueueConfig()

    def secrets(self, where: str) -> Iterator[tuple[str, SecretStr]]:
        """Yield every secret with its path."""
        for name, secret in (
            ("secret", self.secret),
            ("inbound_sms_webhook_secret", self.inbound_sms_webhook_secret),
        ):
            if secret is not None:
                yield f"{where}.{name}", secret

    def issues(self, where: str) -> Iterator[ConfigIssue]:
        """Yield the issues of this table alone."""
        if bool(self.inbound_sms_webhook_url) != (self.inbound_sms_webhook_secret is not None):
            yield ConfigIssue(
                f"{where}.inbound_sms_webhook_secret",
                "must be set together with inbound_sms_webhook_url",
                (f"{where}.inbound_sms_webhook_url",),
            )
        elif self.inbound_sms_webhook_secret is not None:
            yield from webhook_issues(
                f"{where}.inbound_sms_webhook_", self.inbound_sms_webhook_url, self.inbound_sms_webhook_secret
            )
        yield from self.queue.issues(f"{where}.queue")
