"""Sends what has passed every other check: flow control, the inbox, and the reports that follow."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime

from otp_service.sandbox.answers import Refused
from otp_service.sandbox.inbox import Message
from otp_service.sandbox.magic import fate_of
from otp_service.sandbox.state import SandboxState
from otp_service.sandbox.validation import Draft
from otp_service.sms.aliyun.protocol.flow_control import FLOW_CONTROL_CODE, flow_message
from otp_service.sms.aliyun.protocol.numbers import e164


def send(desk: SandboxState, drafts: Sequence[Draft]) -> str:
    """Send all *drafts*, or none if one number's flow control is full.

    Returns:
        The `BizId` that they share.

    Raises:
        Refused: Flow control.
    """
    now = desk.clock()
    full = desk.flow_control.take_each([(draft.sign_name, draft.number) for draft in drafts], now)
    if full is not None:
        raise Refused(FLOW_CONTROL_CODE, flow_message(full))
    biz_id = f"{secrets.randbelow(10**18):018}^0"
    usual = desk.config.delivery_seconds
    messages = [_message(draft, biz_id, now, usual) for draft in drafts]
    desk.inbox.add(messages)
    for draft, message in zip(drafts, messages, strict=True):
        for _ in range(fate_of(draft.number).reports):
            desk.reports.sms_report(message)
    return biz_id


def _message(draft: Draft, biz_id: str, now: datetime, usual_seconds: float) -> Message:
    fate = fate_of(draft.number)
    return Message(
        phone=e164(draft.number),
        sign_name=draft.sign_name,
        template_code=draft.template_code,
        text=draft.text,
        code=draft.code,
        out_id=draft.out_id,
        biz_id=biz_id,
        received_at=now,
        err_code=fate.err_code,
        report_at=fate.report_at(now, usual_seconds),
        extend_code=draft.extend_code,
    )
