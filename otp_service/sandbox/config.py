"""The simulated account: access keys, sign names, templates and their reviews, and where reports go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from typing import Self

from otp_service.sandbox.credentials import StsKey
from otp_service.sms.aliyun.protocol.flow_control import DEFAULT_LIMITS, FlowLimit
from otp_service.sms.aliyun.protocol.mns import MessageType

#: Returns the current time, with a time zone.
Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the machine's time."""
    return datetime.now(UTC)


class ReviewState(IntEnum):
    """The values of `SignStatus` and `TemplateStatus`."""

    IN_REVIEW = 0
    APPROVED = 1
    REJECTED = 2
    CANCELED = 10


@dataclass(frozen=True)
class Review:
    """The state of Alibaba Cloud's review of a sign name or a template, and the *reason* for a rejection."""

    state: ReviewState
    reason: str = ""

    @classmethod
    def in_review(cls) -> Self:
        """Create a review that has not been decided."""
        return cls(ReviewState.IN_REVIEW)

    @classmethod
    def rejected(cls, reason: str) -> Self:
        """Create a review that ended with a rejection."""
        return cls(ReviewState.REJECTED, reason)

    @property
    def is_approved(self) -> bool:
        """Whether the sign name or template may be used to send SMS."""
        return self.state is ReviewState.APPROVED


APPROVED = Review(ReviewState.APPROVED)

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
    """The account that the sandbox simulates."""

    #: Access key ids and their secrets.
    access_keys: Mapping[str, str] = field(repr=False)
    #: Temporary access key ids, each with its secret, security token and expiry.
    sts_keys: Mapping[str, StsKey] = field(repr=False, default_factory=dict)
    #: Sign names, without 【】.
    sign_names: frozenset[str]
    #: Template codes and their texts.
    templates: Mapping[str, str]
    #: The codes of the international templates, which can be sent only to numbers outside mainland China.
    international_templates: frozenset[str] = frozenset()
    #: The reviews of the sign names and template codes that are not approved.
    reviews: Mapping[str, Review] = field(default_factory=dict)
    flow_limits: tuple[FlowLimit, ...] = DEFAULT_LIMITS
    #: Refuse template parameters that are not strings or that the template does not use. Alibaba Cloud's
    #: documentation forbids both, but whether the API always refuses them is not known.
    strict: bool = True
    #: How many messages the inbox keeps.
    inbox_size: int = 1000
    #: How long an SMS takes to be delivered and reported.
    delivery_seconds: float = 0.0
    #: Where reports and replies are posted. A URL may contain a secret.
    report_urls: Mapping[MessageType, str] = field(repr=False, default_factory=dict)
    #: Factor for the delays of 1, 5 and 10 minutes before a report is posted again.
    report_time_factor: float = 1.0
    #: The prefix of the account's queue names.
    queue_prefix: str = DEFAULT_QUEUE_PREFIX
    #: The queues' visibility timeout: how long a received message stays hidden unless it is deleted.
    invisible_seconds: float = 30.0
    #: How long temporary keys to the queues are valid.
    queue_key_seconds: float = 3600.0

    @classmethod
    def default(cls, access_keys: Mapping[str, str]) -> Self:
        """Create an account with one approved sign name and a template for each common purpose.

        It also has a sign name and a template in review, and one of each that was rejected.
        """
        return cls(
            access_keys=access_keys,
            sign_names=frozenset({DEFAULT_SIGN_NAME, SIGN_NAME_IN_REVIEW, REJECTED_SIGN_NAME}),
            templates=DEFAULT_TEMPLATES,
            international_templates=DEFAULT_INTERNATIONAL_TEMPLATES,
            reviews=DEFAULT_REVIEWS,
        )

    def review_of(self, name: str) -> Review:
        """Return the review of one of the account's sign names or template codes."""
        return self.reviews.get(name, APPROVED)

    def has_approved_sign_name(self, sign_name: str) -> bool:
        """Return whether the account has this sign name and it is approved."""
        return sign_name in self.sign_names and self.review_of(sign_name).is_approved

    def approved_template(self, template_code: str) -> str | None:
        """Return the text of a template, or None if there is no such template or it is not approved."""
        return self.templates.get(template_code) if self.review_of(template_code).is_approved else None
