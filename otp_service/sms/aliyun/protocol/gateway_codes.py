"""The error codes of the gateway in front of every Aliyun API.

They come with HTTP 4xx and 5xx, before the SMS service has seen the call. All but the 5xx codes and a used
nonce mean that nothing was sent and nothing is billed. Sources:
https://help.aliyun.com/document_detail/434846.html and https://developer.aliyun.com/ask/278265
"""

from __future__ import annotations

from otp_service.sms.aliyun.protocol.error_code_info import (
    ErrorCodeInfo,
    ResponsibleParty,
    Retry,
    SendOutcome,
)


def _gateway(  # noqa: PLR0917 - these are the columns of the table.
    code: str,
    status: int,
    responsible: ResponsibleParty,
    english: str,
    chinese: str,
    message: str,
) -> ErrorCodeInfo:
    return ErrorCodeInfo(code, SendOutcome.REFUSED, responsible, Retry.NO, english, chinese, status, message)


def _throttling(code: str, english: str, chinese: str, message: str) -> ErrorCodeInfo:
    return ErrorCodeInfo(
        code,
        SendOutcome.REFUSED,
        ResponsibleParty.PROVIDER,
        Retry.BACKOFF,
        english,
        chinese,
        400,
        message,
    )


def _failure(code: str, status: int, english: str, chinese: str) -> ErrorCodeInfo:
    return ErrorCodeInfo(
        code,
        SendOutcome.UNKNOWN,
        ResponsibleParty.PROVIDER,
        Retry.AFTER_RECEIPT,
        english,
        chinese,
        status,
        "The request has failed due to a temporary failure of the server.",
    )


GATEWAY_CODES = (
    _gateway(
        "MissingAccessKeyId",
        400,
        ResponsibleParty.DEVELOPER,
        "The call has no access key.",
        "缺少AccessKeyId",
        "AccessKeyId is mandatory for this action.",
    ),
    _gateway(
        "InvalidAccessKeyId.NotFound",
        404,
        ResponsibleParty.OPERATOR,
        "The access key does not exist.",
        "AccessKeyId不存在",
        "Specified access key is not found.",
    ),
    _gateway(
        "InvalidAccessKeyId.Inactive",
        400,
        ResponsibleParty.OPERATOR,
        "The access key is disabled.",
        "AccessKeyId已被禁用",
        "Specified access key is disabled.",
    ),
    _gateway(
        "SignatureDoesNotMatch",
        400,
        ResponsibleParty.OPERATOR,
        "The access key secret is wrong, or the request was signed wrongly.",
        "签名不匹配，请检查AccessKeySecret",
        "Specified signature is not matched with our calculation.",
    ),
    _gateway(
        "IncompleteSignature",
        400,
        ResponsibleParty.DEVELOPER,
        "The signature of the request does not have Aliyun's format.",
        "请求签名不符合规范",
        "The request signature does not conform to Aliyun standards.",
    ),
    _gateway(
        "InvalidSignatureMethod",
        400,
        ResponsibleParty.DEVELOPER,
        "The signature method is not supported.",
        "签名方法不支持",
        "Specified signature method is not valid.",
    ),
    # Nonces are fresh, so something on the way has sent the same request twice.
    ErrorCodeInfo(
        "SignatureNonceUsed",
        SendOutcome.UNKNOWN,
        ResponsibleParty.DEVELOPER,
        Retry.AFTER_RECEIPT,
        "The same request arrived before; the first one may have been accepted.",
        "签名随机数已被使用",
        400,
        "Specified signature nonce was used already.",
    ),
    _gateway(
        "InvalidTimeStamp.Format",
        400,
        ResponsibleParty.DEVELOPER,
        "The timestamp is not of the form yyyy-MM-ddTHH:mm:ssZ.",
        "时间戳格式错误",
        "Specified time stamp or date value is not well formatted.",
    ),
    _gateway(
        "InvalidTimeStamp.Expired",
        400,
        ResponsibleParty.OPERATOR,
        "The timestamp is too far from the provider's clock; correct this machine's clock.",
        "时间戳已过期，请校准服务器时间",
        "Specified time stamp or date value is expired.",
    ),
    _gateway(
        "InvalidVersion",
        400,
        ResponsibleParty.DEVELOPER,
        "The API has no such version.",
        "API版本不存在",
        "Specified parameter Version is not valid.",
    ),
    _gateway(
        "InvalidAction.NotFound",
        404,
        ResponsibleParty.DEVELOPER,
        "The API has no such action.",
        "API操作不存在",
        "Specified api is not found, please check your url and method.",
    ),
    _gateway(
        "InvalidApi.NotFound",
        404,
        ResponsibleParty.DEVELOPER,
        "The API has no such action.",
        "API操作不存在",
        "Specified api is not found, please check your url and method.",
    ),
    _gateway(
        "UnsupportedHTTPMethod",
        400,
        ResponsibleParty.DEVELOPER,
        "The API accepts only GET and POST.",
        "不支持的HTTP方法",
        "This http method is not supported.",
    ),
    _gateway(
        "InvalidProtocol.NeedSsl",
        404,
        ResponsibleParty.OPERATOR,
        "The endpoint must be called over https.",
        "必须使用HTTPS",
        "Your request is denied as lack of ssl protect.",
    ),
    _gateway(
        "Forbidden.RAM",
        403,
        ResponsibleParty.OPERATOR,
        "The RAM user lacks the right dysms:SendSms.",
        "RAM权限不足",
        "User not authorized to operate on the specified resource, or this API doesn't support RAM.",
    ),
    _gateway(
        "NoPermission",
        403,
        ResponsibleParty.OPERATOR,
        "The RAM user lacks the right dysms:SendSms.",
        "RAM权限不足",
        "You are not authorized to do this action.",
    ),
    _gateway(
        "InvalidSecurityToken.Expired",
        403,
        ResponsibleParty.OPERATOR,
        "The temporary credentials have expired; fetch new ones.",
        "STS临时凭证已过期",
        "Specified SecurityToken is expired.",
    ),
    _gateway(
        "InvalidSecurityToken.Malformed",
        403,
        ResponsibleParty.OPERATOR,
        "The security token is damaged.",
        "SecurityToken格式错误",
        "Specified SecurityToken is malformed.",
    ),
    _gateway(
        "InvalidSecurityToken.MismatchWithAccessKey",
        403,
        ResponsibleParty.OPERATOR,
        "The security token belongs to another access key.",
        "SecurityToken与AccessKeyId不匹配",
        "Specified SecurityToken mismatch with the AccessKey.",
    ),
    _throttling(
        "Throttling.User",
        "The account makes too many calls a second.",
        "用户请求过于频繁",
        "Request was denied due to user flow control.",
    ),
    _throttling(
        "Throttling.Api",
        "The API gets too many calls a second.",
        "接口请求过于频繁",
        "Request was denied due to api flow control.",
    ),
)

GATEWAY_FAMILIES = (
    _throttling(
        "Throttling",
        "The provider's gateway accepts no more calls at the moment.",
        "请求过于频繁",
        "Request was denied due to request throttling.",
    ),
    _failure(
        "ServiceUnavailable",
        503,
        "The provider is down; the SMS may have been sent.",
        "服务暂不可用",
    ),
    _failure(
        "InternalError",
        500,
        "A failure inside the provider; the SMS may have been sent.",
        "服务内部错误",
    ),
    _gateway(
        "Forbidden",
        403,
        ResponsibleParty.OPERATOR,
        "The account is not allowed to do this.",
        "没有访问权限",
        "User not authorized to operate on the specified resource.",
    ),
    _gateway(
        "InvalidAccessKeyId",
        400,
        ResponsibleParty.OPERATOR,
        "The access key can't be used.",
        "AccessKeyId不可用",
        "Specified access key is not valid.",
    ),
    _gateway(
        "InvalidSecurityToken",
        403,
        ResponsibleParty.OPERATOR,
        "The temporary credentials can't be used.",
        "STS临时凭证不可用",
        "Specified SecurityToken is not valid.",
    ),
    _gateway(
        "Missing",
        400,
        ResponsibleParty.DEVELOPER,
        "A required parameter is missing or empty.",
        "缺少必填参数",
        "{parameter} is mandatory for this action.",
    ),
    _gateway(
        "Invalid",
        400,
        ResponsibleParty.DEVELOPER,
        "A parameter is not valid.",
        "参数无效",
        "Specified parameter {parameter} is not valid.",
    ),
)
"""Code prefixes, for codes without a row of their own: the first matching prefix explains the code."""

ACCESS_KEY_REFUSALS = frozenset(
    {
        "InvalidAccessKeyId",
        "InvalidAccessKeyId.Inactive",
        "InvalidAccessKeyId.NotFound",
        "InvalidSecurityToken.Expired",
        "InvalidSecurityToken.Malformed",
        "InvalidSecurityToken.MismatchWithAccessKey",
        "SignatureDoesNotMatch",
    }
)
"""Refusals of the access key itself. They come before the request is examined, so another key may succeed."""
