"""The codes that SendSms itself answers with, nearly all on HTTP 200; touches nothing.

https://help.aliyun.com/document_detail/101346.html
"""

from __future__ import annotations

from dataclasses import replace

from otp_service.sms.aliyun.protocol.code_row import CodeRow, Outcome, Retry, Who, refused

BUSINESS_CODES = (
    CodeRow(
        "OK",
        Outcome.ACCEPTED,
        Who.NOBODY,
        Retry.NO,
        "Accepted; a receipt will tell whether it arrived.",
        "请求成功",
        200,
        "OK",
    ),
    # The limits of a number, and those that the operator set for the account.
    replace(
        refused(
            "isv.BUSINESS_LIMIT_CONTROL",
            Who.LIMIT,
            "The provider's flow control for this number is full.",
            "触发云通信流控限制",
            "触发分钟级流控Permits:1",
        ),
        retry=Retry.LATER,
    ),
    replace(
        refused(
            "isv.DAY_LIMIT_CONTROL",
            Who.OPERATOR,
            "The account's own daily cap is reached; raise it in the console.",
            "触发日发送限额",
        ),
        retry=Retry.LATER,
    ),
    replace(
        refused(
            "isv.MONTH_LIMIT_CONTROL",
            Who.OPERATOR,
            "The account's own monthly cap is reached; raise it in the console.",
            "触发月发送限额",
        ),
        retry=Retry.LATER,
    ),
    # The number.
    refused(
        "isv.MOBILE_NUMBER_ILLEGAL",
        Who.NUMBER,
        "Not a valid mobile number.",
        "手机号码格式错误",
        "{parameter}invalid mobile number",
    ),
    refused(
        "isv.BLACK_KEY_CONTROL_LIMIT",
        Who.NUMBER,
        "The number is on the provider's blacklist.",
        "黑名单管控",
    ),
    refused(
        "isv.CUSTOMER_REFUSED",
        Who.NUMBER,
        "The holder of the number unsubscribed.",
        "用户已退订推广短信",
    ),
    # The call.
    refused(
        "isv.MOBILE_COUNT_OVER_LIMIT",
        Who.CALLER,
        "Too many numbers in one call: 1000 for SendSms, 100 for SendBatchSms.",
        "手机号码数量超出限制",
    ),
    refused(
        "isv.TEMPLATE_MISSING_PARAMETERS",
        Who.CALLER,
        "A variable of the template has no value.",
        "模板变量中存在未赋值变量",
        "模板变量缺少对应参数值",
    ),
    refused(
        "isv.TEMPLATE_PARAMS_ILLEGAL",
        Who.CALLER,
        "A value does not have the kind that the template's variable was given.",
        "传入的变量内容和模板变量属性不匹配",
    ),
    refused(
        "isv.INVALID_JSON_PARAM",
        Who.CALLER,
        "TemplateParam is not a JSON object of strings.",
        "参数格式错误，请修改为字符串值",
        "模板变量JSON格式错误",
    ),
    refused(
        "isv.INVALID_PARAMETERS",
        Who.CALLER,
        "A parameter is malformed, such as a value that is not letters and digits.",
        "参数格式不正确",
        "params must be [a-zA-Z0-9] for verification sms",
    ),
    refused(
        "isv.PARAM_LENGTH_LIMIT",
        Who.CALLER,
        "A value is too long or too short: a code has 4 to 6 characters.",
        "参数超过长度限制",
        "参数超过长度限制:6",
    ),
    refused(
        "isv.PARAM_NOT_SUPPORT_URL",
        Who.CALLER,
        "A value contains a link.",
        "变量不支持传入URL",
    ),
    refused(
        "isv.SMS_TEST_TEMPLATE_PARAMS_ILLEGAL",
        Who.CALLER,
        "The test template takes 4 to 6 digits only.",
        "测试模板变量仅支持4~6位纯数字",
    ),
    # Template, sign name and what they may be used for.
    refused(
        "isv.SMS_TEMPLATE_ILLEGAL",
        Who.OPERATOR,
        "The account has no such approved template.",
        "模板非法",
        "该账号下找不到对应模板",
    ),
    refused(
        "isv.SMS_SIGNATURE_ILLEGAL",
        Who.OPERATOR,
        "The account has no such approved sign name.",
        "签名非法",
        "该账号下找不到对应签名",
    ),
    refused(
        "isv.SMS_SIGN_ILLEGAL",
        Who.OPERATOR,
        "The sign name is forbidden.",
        "签名禁止使用",
    ),
    refused(
        "isv.SIGN_STATE_ILLEGAL",
        Who.OPERATOR,
        "The sign name is in the state 'unavailable'.",
        "签名状态为“不可用”",
    ),
    refused(
        "isv.SMS_SIGNATURE_SCENE_ILLEGAL",
        Who.OPERATOR,
        "Sign name and template are of different kinds.",
        "签名和模板类型不一致",
    ),
    refused(
        "isv.SMS_TEST_SIGN_TEMPLATE_LIMIT",
        Who.OPERATOR,
        "The test sign name and the test template work only with each other.",
        "测试专用签名和模板必须结合使用",
    ),
    refused(
        "isv.SMS_TEST_NUMBER_LIMIT",
        Who.OPERATOR,
        "The test sign name reaches only numbers that are bound in the console.",
        "只能向已绑定的手机号发送",
    ),
    refused(
        "isv.DOMESTIC_NUMBER_NOT_SUPPORTED",
        Who.OPERATOR,
        "A template for international messages can't reach a mainland number.",
        "国际/港澳台消息模板不支持发送境内号码",
    ),
    refused(
        "isv.SMS_CONTENT_ILLEGAL",
        Who.OPERATOR,
        "The text is forbidden.",
        "短信内容包含禁止发送内容",
    ),
    refused(
        "isv.UNSUPPORTED_CONTENT",
        Who.OPERATOR,
        "The text contains characters that can't be sent.",
        "内容包含不支持的字符",
    ),
    refused(
        "isv.SMS_CONTENT_MISMATCH_TEMPLATE_TYPE",
        Who.OPERATOR,
        "The text does not fit the kind of the template.",
        "短信内容和模板属性不匹配",
    ),
    refused(
        "isv.SMS_SIGN_EMOJI_ILLEGAL",
        Who.OPERATOR,
        "The sign name contains an emoji.",
        "签名不能包含emoji",
    ),
    refused(
        "isv.EXTEND_CODE_ERROR",
        Who.OPERATOR,
        "The extension code is wrong.",
        "扩展码错误",
    ),
    refused(
        "isv.ONE_CODE_MULTIPLE_SIGN",
        Who.OPERATOR,
        "The extension code belongs to several sign names.",
        "一码多签，扩展码错误",
    ),
    refused(
        "isv.CODE_EXCEED_LIMIT",
        Who.OPERATOR,
        "Too many extension codes are in use.",
        "扩展码超出限制",
    ),
    refused(
        "isv.CODE_ERROR",
        Who.OPERATOR,
        "The extension code is wrong.",
        "扩展码使用错误",
    ),
    # The account.
    refused(
        "isv.DENY_IP_RANGE",
        Who.OPERATOR,
        "The call came from an address outside mainland China.",
        "原IP地址所在地区被禁用",
    ),
    refused(
        "isp.RAM_PERMISSION_DENY",
        Who.OPERATOR,
        "The RAM user lacks the right dysms:SendSms.",
        "RAM权限不足",
        "没有访问权限",
    ),
    refused(
        "isv.OUT_OF_SERVICE",
        Who.OPERATOR,
        "The account is in arrears and suspended.",
        "业务停机",
    ),
    refused(
        "isv.AMOUNT_NOT_ENOUGH",
        Who.OPERATOR,
        "The account's balance is too low.",
        "账户余额不足",
    ),
    refused(
        "isv.PRODUCT_UN_SUBSCRIPT",
        Who.OPERATOR,
        "The account has not subscribed to the SMS service.",
        "未开通云通信产品的阿里云客户",
    ),
    refused(
        "isv.PRODUCT_UNSUBSCRIBE",
        Who.OPERATOR,
        "The SMS service is not activated.",
        "产品未开通",
    ),
    refused(
        "isv.ACCOUNT_NOT_EXISTS",
        Who.OPERATOR,
        "The account does not exist.",
        "账户不存在",
    ),
    refused(
        "isv.ACCOUNT_ABNORMAL",
        Who.OPERATOR,
        "Something is wrong with the account.",
        "账户异常",
    ),
    refused(
        "isv.SECURITY_FROZEN_ACCOUNT",
        Who.OPERATOR,
        "The account was not used for long and is frozen.",
        "账号长时间未使用，已限制发送",
    ),
    refused(
        "isv.INTERFACE_OFFLINE",
        Who.CALLER,
        "The API was withdrawn.",
        "接口已下线",
    ),
    # The provider. Its page says "call again", but the SMS may be on its way.
    CodeRow(
        "isp.SYSTEM_ERROR",
        Outcome.UNKNOWN,
        Who.PROVIDER,
        Retry.AFTER_RECEIPT,
        "A failure inside the provider; the SMS may have been sent.",
        "系统错误，请重新调用",
        200,
        "系统错误",
    ),
    CodeRow(
        "isp.GATEWAY_ERROR",
        Outcome.UNKNOWN,
        Who.PROVIDER,
        Retry.AFTER_RECEIPT,
        "The provider could not reach its sender; the SMS may have been sent.",
        "调用发送应用模块失败，请尝试重新发送",
        200,
        "调用发送应用模块失败",
    ),
)
