"""Builds providers from plain arguments, as settings hold them. Touches nothing until they send."""

from __future__ import annotations

from collections.abc import Sequence

from otp_service.ports import Clock
from otp_service.sms.aliyun_api import AccessKey, AliyunApi, Signature
from otp_service.sms.aliyun_sms import AliyunSms
from otp_service.sms.aliyun_sms.provider import VERSION
from otp_service.sms.http import CONNECT_SECONDS, READ_SECONDS, HttpDoor
from otp_service.sms.routes import MAX_IN_FLIGHT

ALIYUN_SMS = "aliyun-sms"
"""The name of the provider in settings; the sandbox is this one with another *endpoint*."""


DEFAULT_URL = "https://dysmsapi.aliyuncs.com"


def aliyun_sms(
    *,
    keys: Sequence[AccessKey],
    sign_name: str,
    clock: Clock,
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
    door = HttpDoor(max_connections=max_in_flight, connect_seconds=connect_seconds, read_seconds=read_seconds)
    api = AliyunApi(
        keys=keys,
        version=VERSION,
        endpoint=endpoint,
        door=door,
        clock=clock,
        signature=Signature(signature),
    )
    return AliyunSms(api=api, sign_name=sign_name, clock=clock)
