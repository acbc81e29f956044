"""One account at PNVS: its keys, and whether they may send. Touches the network.

Its sign names and templates are presets that nobody reviews, so there is only the probe to ask.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from otp_service.cli.doctor.api_probe import ApiProbe
from otp_service.cli.doctor.check_result import CheckResult
from otp_service.cli.doctor.send_probe import IMPOSSIBLE_NUMBER, read_probe
from otp_service.domain.messages import Template
from otp_service.sms.aliyun.pnvs import ACTION
from otp_service.sms.aliyun.protocol.pnvs import MINUTES

RIGHT = f"dypns:{ACTION}"


class PnvsAccount:
    """One access key of one route, asked through its *entrance*."""

    def __init__(self, entrance: ApiProbe) -> None:
        self._entrance = entrance

    def examine(self, sign_name: str, template: Template) -> Iterator[CheckResult]:
        """Tell everything that can be told without sending."""
        values = dict.fromkeys((MINUTES, *template.extra_variables), "5") | {template.code_variable: "123456"}
        told = self._entrance.ask(
            ACTION,
            {
                "PhoneNumber": IMPOSSIBLE_NUMBER,
                "SignName": sign_name,
                "TemplateCode": template.template_code,
                "TemplateParam": json.dumps(values),
            },
        )
        yield from self._entrance.examine(told)
        if told is not None and told.is_authenticated:
            yield from read_probe(told, RIGHT, self._entrance.route)
