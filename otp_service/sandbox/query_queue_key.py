"""The action `QueryTokenForMnsQueue` of Dybaseapi: a temporary key to the queues of reports.

https://help.aliyun.com/document_detail/101508.html
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from otp_service.sandbox.answers import Answer, Refused, accepted
from otp_service.sandbox.state import SandboxState, demand
from otp_service.sms.aliyun.protocol.china_time import format_china
from otp_service.sms.aliyun.protocol.mns import MessageType


def query_queue_key(desk: SandboxState, params: Mapping[str, str]) -> Answer:
    """Hand out a temporary key for the queue of one message type.

    Raises:
        Refused: There is no such message type.
    """
    (message_type,) = demand(params, "MessageType")
    if message_type not in list(MessageType):
        raise Refused("isv.INVALID_PARAMETERS", "参数格式不正确")
    now = desk.clock()
    access_key_id, key = desk.queue_keys.issue(now)
    return accepted(
        {
            "MessageTokenDTO": {
                "AccessKeyId": access_key_id,
                "AccessKeySecret": key.secret,
                "SecurityToken": key.security_token,
                "CreateTime": format_china(now),
                "ExpireTime": format_china(now + timedelta(seconds=desk.config.queue_key_seconds)),
            }
        }
    )
