"""The error codes of Aliyun's message queue (MNS), as far as readers of a queue meet them; touches nothing.

https://help.aliyun.com/document_detail/27501.html

The two about security tokens are not in that list: they are spelled as OSS spells them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MnsCode:
    """One error code: the HTTP status that it comes on, and Aliyun's message."""

    code: str
    http_status: int
    message: str


_ROWS = (
    MnsCode("MissingAuthorizationHeader", 400, "Authorization header is required."),
    MnsCode("InvalidAuthorizationHeader", 400, "The Authorization header format is invalid."),
    MnsCode("MissingDateHeader", 400, "Date header is required."),
    MnsCode("InvalidDateHeader", 400, "The Date header format is invalid."),
    MnsCode("InvalidArgument", 400, "The value of waitseconds should between 0 and 30 seconds/bytes."),
    MnsCode("MissingReceiptHandle", 400, "ReceiptHandle is required."),
    MnsCode("ReceiptHandleError", 400, "The receipt handle you provide is not valid."),
    MnsCode(
        "AccessDenied",
        403,
        "The OwnerId that your Access Key Id associated to is forbidden for this operation.",
    ),
    MnsCode("InvalidAccessKeyId", 403, "The AccessKey Id you provided is not exist."),
    MnsCode(
        "SignatureDoesNotMatch",
        403,
        "The request signature we calculated does not match the signature you provided. "
        "Check your key and signing method.",
    ),
    MnsCode("InvalidSecurityToken", 403, "The security token you provided is invalid."),
    MnsCode("SecurityTokenExpired", 403, "The security token you provided has expired."),
    MnsCode("MessageNotExist", 404, "Message not exist."),
    MnsCode("QueueNotExist", 404, "The queue name you provided is not exist."),
    MnsCode("TimeExpired", 408, "The http request you sent is expired."),
)

MNS_CODES = {row.code: row for row in _ROWS}
