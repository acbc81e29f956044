"""What the sandbox knows of an account: keys, sign names, templates; touches nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from otp_service.aliyun.flow import DEFAULT_LIMITS, FlowLimit

DEFAULT_SIGN_NAME = "云通信测试"

DEFAULT_TEMPLATES = {
    "SMS_100000000": "您的验证码为：${code}，请勿泄露于他人！",
    "SMS_100000001": "您正在登录，验证码${code}，5分钟内有效，请勿泄露给他人。",
    "SMS_100000002": "您正在注册新用户，验证码${code}，5分钟内有效，感谢您的支持！",
    "SMS_100000003": "您正在重置登录密码，验证码${code}，5分钟内有效，如非本人操作请忽略。",
}


@dataclass(frozen=True, kw_only=True)
class SandboxConfig:
    """The account that the sandbox plays."""

    #: Access key ids and their secrets.
    access_keys: Mapping[str, str] = field(repr=False)
    #: Approved sign names, without 【】.
    sign_names: frozenset[str]
    #: Approved templates: code and text.
    templates: Mapping[str, str]
    flow_limits: tuple[FlowLimit, ...] = DEFAULT_LIMITS
    #: Refuse template params that are not strings or that the template lacks. Aliyun's
    #: documents demand it, but whether it always refuses them is not known.
    strict: bool = True
    #: How many messages the inbox keeps.
    inbox_size: int = 1000

    @classmethod
    def default(cls, access_keys: Mapping[str, str]) -> Self:
        """Make an account with one sign name and a template for each common purpose."""
        return cls(
            access_keys=access_keys,
            sign_names=frozenset({DEFAULT_SIGN_NAME}),
            templates=DEFAULT_TEMPLATES,
        )
