"""`[reports]`: what becomes of SMS, pushed to us or pulled from queues."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydantic import SecretStr

from otp_service.settings.addresses import endpoint_fault
from otp_service.settings.issues import Mistake
from otp_service.settings.tables import Secret, Table
from otp_service.settings.webhooks import webhook_mistakes

TOKEN_ENDPOINT = "https://dybaseapi.aliyuncs.com"  # noqa: S105 - an address
QUEUE_ENDPOINT = "https://1943695596114318.mns.cn-hangzhou.aliyuncs.com"

REPORT, UP = "SmsReport", "SmsUp"

_SECRET = re.compile(r"[A-Za-z0-9_-]{32,128}")
_QUEUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,255}")


class QueueTable(Table):
    """`[reports.queue]`: the queues that `otp-service reports` pulls from, under the account of *route*."""

    route: str = ""
    sms_report: str = ""
    sms_up: str = ""
    endpoint: str = TOKEN_ENDPOINT
    queue_endpoint: str = QUEUE_ENDPOINT

    def mistakes(self, where: str) -> Iterator[Mistake]:
        """Tell what is wrong with the table in itself."""
        names = {"sms_report": self.sms_report, "sms_up": self.sms_up}
        for setting, name in names.items():
            if name and not _QUEUE.fullmatch(name):
                yield Mistake(f"{where}.{setting}", "must be the name of a queue: 1 to 256 of A-Z a-z 0-9 -")
        if any(names.values()) and not self.route:
            yield Mistake(f"{where}.route", "is required: its account reads the queues")
        yield from self._swapped(where)
        for setting, url, other in (
            ("endpoint", self.endpoint, ".mns."),
            ("queue_endpoint", self.queue_endpoint, "//dybaseapi."),
        ):
            if fault := endpoint_fault(url):
                yield Mistake(f"{where}.{setting}", fault)
            elif other in url:
                whose = "queues" if setting == "endpoint" else "keys of the queues"
                yield Mistake(f"{where}.{setting}", f"is the address of the {whose}: the two are exchanged")

    def _swapped(self, where: str) -> Iterator[Mistake]:
        """Tell which queue is in the place of the other. Aliyun ends their names with what is in them."""
        is_report, is_up = (
            name.endswith(end) for name, end in ((self.sms_up, REPORT), (self.sms_report, UP))
        )
        if self.sms_report and self.sms_report == self.sms_up:
            yield Mistake(f"{where}.sms_up", "is the same queue as sms_report")
        elif is_report and is_up:
            yield Mistake(where, "has sms_report and sms_up exchanged")
        elif is_report:
            yield Mistake(f"{where}.sms_up", "names a queue of reports: those of replies end with SmsUp")
        elif is_up:
            yield Mistake(
                f"{where}.sms_report", "names a queue of replies: those of reports end with SmsReport"
            )


class ReportsTable(Table):
    """`[reports]`: *secret* is the last part of the address that reports are pushed to.

    Replies go to *uplink_url*, signed with *uplink_secret* as Standard Webhooks says.
    """

    secret: Secret | None = None
    uplink_url: str = ""
    uplink_secret: Secret | None = None
    queue: QueueTable = QueueTable()

    def secrets(self, where: str) -> Iterator[tuple[str, SecretStr]]:
        """List every secret with its place."""
        for name, secret in (("secret", self.secret), ("uplink_secret", self.uplink_secret)):
            if secret is not None:
                yield f"{where}.{name}", secret

    def mistakes(self, where: str) -> Iterator[Mistake]:
        """Tell what is wrong with the table in itself."""
        if self.secret is not None and not _SECRET.fullmatch(self.secret.get_secret_value()):
            yield Mistake(f"{where}.secret", "must be 32 to 128 of A-Z a-z 0-9 _ -")
        if bool(self.uplink_url) != (self.uplink_secret is not None):
            yield Mistake(
                f"{where}.uplink_secret", "and uplink_url belong together", (f"{where}.uplink_url",)
            )
        elif self.uplink_secret is not None:
            yield from webhook_mistakes(f"{where}.uplink_", self.uplink_url, self.uplink_secret)
        yield from self.queue.mistakes(f"{where}.queue")
