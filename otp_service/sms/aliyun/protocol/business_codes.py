"""The error codes of SendSms itself, nearly all with HTTP 200.

https://help.aliyun.com/document_detail/101346.html
"""

from __future__ import annotations

from dataclasses import replace

from otp_service.sms.aliyun.protocol.error_code_info import (
    ErrorCodeInfo,
    ResponsibleParty,
    Retry,
    SendOutcome,
    business_error,
)

BUSINESS_CODES = (
    ErrorCodeInfo(
        "OK",
        SendOutcome.ACCEPTED,
        ResponsibleParty.NONE,
        Retry.NO,
        "Accepted; a receipt will tell whether it arrived.",
        "请求成功",
        200,
        "OK",
    ),
    # The limits of a number, and those that the operator set for the account.
    replace(
        business_error(
            "isv.BUSINESS_LIMIT_CONTROL",
            ResponsibleParty.RECIPIENT_LIMIT,
            "The provider's flow control for this number is full.",
            "触发云通信流控限制",
            "触发分钟级流控Permits:1",
        ),
        retry=Retry.LATER,
    ),
    replace(
        business_error(
            "isv.DAY_LIMIT_CONTROL",
            ResponsibleParty.OPERATOR,
            "The account's own daily cap is reached; raise it in the console.",
            "触发日发送限额",
        ),
        retry=Retry.LATER,
    ),
    replace(
        business_error(
            "isv.MONTH_LIMIT_CONTROL",
            ResponsibleParty.OPERATOR,
            "The account's own monthly cap is reached; raise it in the console.",
            "触发月发送限额",
        ),
        retry=Retry.LATER,
    ),
    # The number.
    business_error(
        "isv.MOBILE_NUMBER_ILLEGAL",
        ResponsibleParty.RECIPIENT,
        "Not a valid mobile number.",
        "手机号码格式错误",
        "{parameter}invalid mobile number",
    ),
    business_error(
        "isv.BLACK_KEY_CONTROL_LIMIT",
        ResponsibleParty.RECIPIENT,
        "The number is on the provider's blacklist.",
        "黑名单管控",
    ),
    business_error(
        "isv.CUSTOMER_REFUSED",
        ResponsibleParty.RECIPIENT,
        "The holder of the number unsubscribed.",
        "用户已退订推广短信",
    ),
    # The call.
    business_error(
        "isv.MOBILE_COUNT_OVER_LIMIT",
        ResponsibleParty.DEVELOPER,
        "Too many numbers in one call: 1000 for SendSms, 100 for SendBatchSms.",
        "手机号码数量超出限制",
    ),
    business_error(
        "isv.TEMPLATE_MISSING_PARAMETERS",
        ResponsibleParty.DEVELOPER,
        "A variable of the template has no value.",
        "模板变量中存在未赋值变量",
        "模板变量缺少对应参数值",
    ),
    business_error(
        "isv.TEMPLATE_PARAMS_ILLEGAL",
        ResponsibleParty.DEVELOPER,
        "A value does not match the type of its template variable.",
        "传入的变量内容和模板变量属性不匹配",
    ),
    business_error(
        "isv.INVALID_JSON_PARAM",
        ResponsibleParty.DEVELOPER,
        "TemplateParam is not a JSON object of strings.",
        "参数格式错误，请修改为字符串值",
        "模板变量JSON格式错误",
    ),
    business_error(
        "isv.INVALID_PARAMETERS",
        ResponsibleParty.DEVELOPER,
        "A parameter is malformed, such as a value that is not letters and digits.",
        "参数格式不正确",
        "params must be [a-zA-Z0-9] for verification sms",
    ),
    business_error(
        "isv.PARAM_LENGTH_LIMIT",
        ResponsibleParty.DEVELOPER,
        "A value is too long or too short: a code has 4 to 6 characters.",
        "参数超过长度限制",
        "参数超过长度限制:6",
    ),
    business_error(
        "isv.PARAM_NOT_SUPPORT_URL",
        ResponsibleParty.DEVELOPER,
        "A value contains a link.",
        "变量不支持传入URL",
    ),
    business_error(
        "isv.SMS_TEST_TEMPLATE_PARAMS_ILLEGAL",
        ResponsibleParty.DEVELOPER,
        "The test template accepts only 4 to 6 digits.",
        "测试模板变量仅支持4~6位纯数字",
    ),
    # Template, sign name and what they may be used for.
    business_error(
        "isv.SMS_TEMPLATE_ILLEGAL",
        ResponsibleParty.OPERATOR,
        "The account has no such approved template.",
        "模板非法",
        "该账号下找不到对应模板",
    ),
    business_error(
        "isv.SMS_SIGNATURE_ILLEGAL",
        ResponsibleParty.OPERATOR,
        "The account has no such approved sign name.",
        "签名非法",
        "该账号下找不到对应签名",
    ),
    business_error(
        "isv.SMS_SIGN_ILLEGAL",
        ResponsibleParty.OPERATOR,
        "The sign name is forbidden.",
        "签名禁止使用",
    ),
    business_error(
        "isv.SIGN_STATE_ILLEGAL",
        ResponsibleParty.OPERATOR,
        "The sign name is in the state 'unavailable'.",
        "签名状态为“不可用”",
    ),
    business_error(
        "isv.SMS_SIGNATURE_SCENE_ILLEGAL",
        ResponsibleParty.OPERATOR,
        "The sign name and the template have different types.",
        "签名和模板类型不一致",
    ),
    business_error(
        "isv.SMS_TEST_SIGN_TEMPLATE_LIMIT",
        ResponsibleParty.OPERATOR,
        "The test sign name and the test template work only with each other.",
        "测试专用签名和模板必须结合使用",
    ),
    business_error(
        "isv.SMS_TEST_NUMBER_LIMIT",
        ResponsibleParty.OPERATOR,
        "The test sign name reaches only numbers that are bound in the console.",
        "只能向已绑定的手机号发送",
    ),
    business_error(
        "isv.DOMESTIC_NUMBER_NOT_SUPPORTED",
        ResponsibleParty.OPERATOR,
        "A template for international messages can't reach a mainland number.",
        "国际/港澳台消息模板不支持发送境内号码",
    ),
    business_error(
        "isv.SMS_CONTENT_ILLEGAL",
        ResponsibleParty.OPERATOR,
        "The text is forbidden.",
        "短信内容包含禁止发送内容",
    ),
    business_error(
        "isv.UNSUPPORTED_CONTENT",
        ResponsibleParty.OPERATOR,
        "The text contains characters that can't be sent.",
        "内容包含不支持的字符",
    ),
    business_error(
        "isv.SMS_CONTENT_MISMATCH_TEMPLATE_TYPE",
        ResponsibleParty.OPERATOR,
        "The text does not match the type of the template.",
        "短信内容和模板属性不匹配",
    ),
    business_error(
        "isv.SMS_SIGN_EMOJI_ILLEGAL",
        ResponsibleParty.OPERATOR,
        "The sign name contains an emoji.",
        "签名不能包含emoji",
    ),
    business_error(
        "isv.EXTEND_CODE_ERROR",
        ResponsibleParty.OPERATOR,
        "The extension code is wrong.",
        "扩展码错误",
    ),
    business_error(
        "isv.ONE_CODE_MULTIPLE_SIGN",
        ResponsibleParty.OPERATOR,
        "The extension code belongs to several sign names.",
        "一码多签，扩展码错误",
    ),
    business_error(
        "isv.CODE_EXCEED_LIMIT",
        ResponsibleParty.OPERATOR,
        "Too many extension codes are in use.",
        "扩展码超出限制",
    ),
    business_error(
        "isv.CODE_ERROR",
        ResponsibleParty.OPERATOR,
        "The extension code is wrong.",
        "扩展码使用错误",
    ),
    # The account.
    business_error(
        "isv.DENY_IP_RANGE",
        ResponsibleParty.OPERATOR,
        "The call came from an address outside mainland China.",
        "原IP地址所在地区被禁用",
    ),
    business_error(
        "isp.RAM_PERMISSION_DENY",
        ResponsibleParty.OPERATOR,
        "The RAM user lacks the right dysms:SendSms.",
        "RAM权限不足",
        "没有访问权限",
    ),
    business_error(
        "isv.OUT_OF_SERVICE",
        ResponsibleParty.OPERATOR,
        "The account is in arrears and suspended.",
        "业务停机",
    ),
    business_error(
        "isv.AMOUNT_NOT_ENOUGH",
        ResponsibleParty.OPERATOR,
        "The account's balance is too low.",
        "账户余额不足",
    ),
    business_error(
        "isv.PRODUCT_UN_SUBSCRIPT",
        ResponsibleParty.OPERATOR,
        "The account has not subscribed to the SMS service.",
        "未开通云通信产品的阿里云客户",
    ),
    business_error(
        "isv.PRODUCT_UNSUBSCRIBE",
        ResponsibleParty.OPERATOR,
        "The SMS service is not activated.",
        "产品未开通",
    ),
    business_error(
        "isv.ACCOUNT_NOT_EXISTS",
        ResponsibleParty.OPERATOR,
        "The account does not exist.",
        "账户不存在",
    ),
    business_error(
        "isv.ACCOUNT_ABNORMAL",
        ResponsibleParty.OPERATOR,
        "Something is wrong with the account.",
        "账户异常",
    ),
    business_error(
        "isv.SECURITY_FROZEN_ACCOUNT",
        ResponsibleParty.OPERATOR,
        "The account was not used for a long time and is frozen.",
        "账号长时间未使用，已限制发送",
    ),
    business_error(
        "isv.INTERFACE_OFFLINE",
        ResponsibleParty.DEVELOPER,
        "The API was withdrawn.",
        "接口已下线",
    ),
    # The provider. Its page says "call again", but the SMS may be on its way.
    ErrorCodeInfo(
        "isp.SYSTEM_ERROR",
        SendOutcome.UNKNOWN,
        ResponsibleParty.PROVIDER,
        Retry.AFTER_RECEIPT,
        "A failure inside the provider; the SMS may have been sent.",
        "系统错误，请重新调用",
        200,
        "系统错误",
    ),
    ErrorCodeInfo(
        "isp.GATEWAY_ERROR",
        SendOutcome.UNKNOWN,
        ResponsibleParty.PROVIDER,
        Retry.AFTER_RECEIPT,
        "The provider could not reach its sender; the SMS may have been sent.",
        "调用发送应用模块失败，请尝试重新发送",
        200,
        "调用发送应用模块失败",
    ),
)
