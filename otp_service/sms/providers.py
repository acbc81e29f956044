"""Builds providers from plain arguments, as settings hold them. Touches nothing until they send."""

from __future__ import annotations

from otp_service.ports import Clock
from otp_service.sms.aliyun_sms import AliyunSms
from otp_service.sms.aliyun_sms.endpoint import DEFAULT_URL
from otp_service.sms.aliyun_sms.request import Account, Signature
from otp_service.sms.http import CONNECT_SECONDS, READ_SECONDS, HttpDoor
from otp_service.sms.routes import MAX_IN_FLIGHT

ALIYUN_SMS = "aliyun-sms"
"""The name of the provider in settings; the sandbox is this one with another *endpoint*."""


def aliyun_sms(
    *,
    access_key_id: str,
    access_key_secret: str,
    sign_name: str,
    clock: Clock,
    security_token: str = "",
    endpoint: str = DEFAULT_URL,
    signature: str = Signature.V1,
    max_in_flight: int = MAX_IN_FLIGHT,
    connect_seconds: float = CONNECT_SECONDS,
    read_seconds: float = READ_SECONDS,
) -> AliyunSms:
    """Build a provider for Aliyun's SendSms.

    Raises:
        BadEndpoint: *endpoint* is not `https://host[:port]`, or `http://` to this machine.
        ValueError: *signature* is neither `v1` nor `v3`.
    """
    return AliyunSms(
        account=Account(access_key_id, access_key_secret, security_token),
        sign_name=sign_name,
        door=HttpDoor(
            max_connections=max_in_flight, connect_seconds=connect_seconds, read_seconds=read_seconds
        ),
        clock=clock,
        endpoint=endpoint,
        signature=Signature(signature),
    )
