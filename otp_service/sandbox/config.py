"""What the sandbox knows of an account: keys, sign names, templates, where reports go; touches nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from otp_service.sandbox.reviews import APPROVED, Review
from otp_service.sandbox.sts_key import StsKey
from otp_service.sms.aliyun.protocol.flow_control import DEFAULT_LIMITS, FlowLimit
from otp_service.sms.aliyun.protocol.mns import MessageType

DEFAULT_SIGN_NAME = "云通信测试"
SIGN_NAME_IN_REVIEW = "审核中的签名"
REJECTED_SIGN_NAME = "未通过的签名"

DEFAULT_TEMPLATES = {
    "SMS_100000000": "您的验证码为：${code}，请勿泄露于他人！",
    "SMS_100000001": "您正在登录，验证码${code}，5分钟内有效，请勿泄露给他人。",
    "SMS_100000002": "您正在注册新用户，验证码${code}，5分钟内有效，感谢您的支持！",
    "SMS_100000003": "您正在重置登录密码，验证码${code}，5分钟内有效，如非本人操作请忽略。",
    "SMS_100000008": "您的验证码是${code}，5分钟内有效。",
    "SMS_100000009": "您的动态码是${code}，5分钟内有效。",
    "SMS_100000010": "Your verification code is ${code}. It is valid for 5 minutes.",
}

DEFAULT_INTERNATIONAL_TEMPLATES = frozenset({"SMS_100000010"})

DEFAULT_REVIEWS = {
    SIGN_NAME_IN_REVIEW: Review.in_review(),
    REJECTED_SIGN_NAME: Review.rejected("签名来源证明材料不齐全"),
    "SMS_100000008": Review.in_review(),
    "SMS_100000009": Review.rejected("模板内容与所选类型不符"),
}

DEFAULT_QUEUE_PREFIX = "Alicom-Queue-1092397003988387-"


@dataclass(frozen=True, kw_only=True)
class SandboxConfig:
    """The account that the sandbox plays."""

    #: Access key ids and their secrets.
    access_keys: Mapping[str, str] = field(repr=False)
    #: Temporary access key ids, and what belongs to each.
    sts_keys: Mapping[str, StsKey] = field(repr=False, default_factory=dict)
    #: Sign names, without 【】.
    sign_names: frozenset[str]
    #: Templates: code and text.
    templates: Mapping[str, str]
    #: The codes of those templates that are international: for numbers outside the mainland, and no others.
    international_templates: frozenset[str] = frozenset()
    #: The reviews of those sign names and template codes that are not approved.
    reviews: Mapping[str, Review] = field(default_factory=dict)
    flow_limits: tuple[FlowLimit, ...] = DEFAULT_LIMITS
    #: Refuse template params that are not strings or that the template lacks. Aliyun's
    #: documents demand it, but whether it always refuses them is not known.
    strict: bool = True
    #: How many messages the inbox keeps.
    inbox_size: int = 1000
    #: How long an SMS takes to its phone, and its report to exist.
    delivery_seconds: float = 0.0
    #: Where reports and replies are posted. Such a URL may hold a secret.
    report_urls: Mapping[MessageType, str] = field(repr=False, default_factory=dict)
    #: Aliyun's waits of 1, 5 and 10 minutes before it posts a report again are multiplied by this.
    report_time_factor: float = 1.0
    #: How the names of the account's queues begin.
    queue_prefix: str = DEFAULT_QUEUE_PREFIX
    #: How long a message that was received from a queue, and not deleted, stays away.
    invisible_seconds: float = 30.0
    #: How long the temporary keys to the queues are valid.
    queue_key_seconds: float = 3600.0

    @classmethod
    def default(cls, access_keys: Mapping[str, str]) -> Self:
        """Make an account with one sign name and a template for each common purpose.

        It also has a sign name and a template in review, and one of each that were rejected.
        """
        return cls(
            access_keys=access_keys,
            sign_names=frozenset({DEFAULT_SIGN_NAME, SIGN_NAME_IN_REVIEW, REJECTED_SIGN_NAME}),
            templates=DEFAULT_TEMPLATES,
            international_templates=DEFAULT_INTERNATIONAL_TEMPLATES,
            reviews=DEFAULT_REVIEWS,
        )

    def review_of(self, name: str) -> Review:
        """Tell how far the review of a sign name or template code of the account is."""
        return self.reviews.get(name, APPROVED)

    def may_sign(self, sign_name: str) -> bool:
        """Whether the account has the sign name, approved."""
        return sign_name in self.sign_names and self.review_of(sign_name).passed

    def template(self, template_code: str) -> str | None:
        """Find the text of an approved template."""
        return self.templates.get(template_code) if self.review_of(template_code).passed else None
