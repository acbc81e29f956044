"""`[reports]`: what becomes of SMS, pushed to us or pulled from queues. Touches nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydantic import SecretStr

from otp_service.settings.mistakes import Mistake
from otp_service.settings.tables import Table
from otp_service.settings.webhooks import webhook_mistakes

TOKEN_ENDPOINT = "https://dybaseapi.aliyuncs.com"  # noqa: S105 - an address
QUEUE_ENDPOINT = "https://1943695596114318.mns.cn-hangzhou.aliyuncs.com"

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
                yield Mistake(f"{where}.{setting}", "is no name of a queue")
        if any(names.values()) and not self.route:
            yield Mistake(f"{where}.route", "is required: its account reads the queues")


class ReportsTable(Table):
    """`[reports]`: *secret* is the last part of the address that reports are pushed to.

    Replies go to *uplink_url*, signed with *uplink_secret* as Standard Webhooks says.
    """

    secret: SecretStr | None = None
    uplink_url: str = ""
    uplink_secret: SecretStr | None = None
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
            yield Mistake(f"{where}.uplink_secret", "and uplink_url belong together")
        elif self.uplink_secret is not None:
            yield from webhook_mistakes(f"{where}.uplink_", self.uplink_url, self.uplink_secret)
        yield from self.queue.mistakes(f"{where}.queue")
