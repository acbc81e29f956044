from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from sms.doubles import MakeProvider, RealClock

from otp_service.sms.aliyun.signed_request import AccessKey, Signature
from otp_service.sms.aliyun.sms import AliyunSms
from otp_service.sms.factory import aliyun_sms


@pytest.fixture
def make_provider() -> Iterator[MakeProvider]:
    """Makes providers that are closed with the test."""
    with ExitStack() as closing:

        def make(url: str, signature: Signature = Signature.V1, **facts: str) -> AliyunSms:
            key = AccessKey("testId", facts.get("secret", "testSecret"), facts.get("security_token", ""))
            provider = aliyun_sms(
                keys=[key],
                sign_name=facts.get("sign_name", "云通信测试"),
                clock=RealClock(),
                endpoint=url,
                signature=signature,
                max_in_flight=4,
                connect_seconds=0.3,
                read_seconds=0.4,
            )
            closing.callback(provider.close)
            return provider

        yield make
