"""What Aliyun's verification service PNVS (Dypnsapi) presets for its customers; touches nothing.

It sends with sign names and templates of its own, so that nobody needs an approval:
https://help.aliyun.com/zh/pnvs/developer-reference/api-dypnsapi-2017-05-25-sendsmsverifycode
"""

from __future__ import annotations

_DIGITS = "0123456789"
_LOWER = "abcdefghijklmnopqrstuvwxyz"
_UPPER = _LOWER.upper()

#: Stands in `TemplateParam` for a code that the service draws itself.
CODE_PLACEHOLDER = "##code##"

#: The variable that every template has beside the code: how long the code is good for.
MINUTES = "min"

MIN_CODE_LENGTH, MAX_CODE_LENGTH = 4, 8
DEFAULT_CODE_LENGTH = 4
DEFAULT_VALID_SECONDS = 300
DEFAULT_INTERVAL_SECONDS = 60
MAX_SCHEME_NAME = 20

#: The preset sign names; they work with the preset templates only.
SIGN_NAMES = frozenset({"速通互联验证码", "速通互联验证平台", "速通互联验证服务"})

#: The preset templates; the wording is close to Aliyun's, the variables are the same.
TEMPLATES = {
    "100001": "您的验证码为${code}。尊敬的客户，以上验证码${min}分钟内有效，请注意保密，切勿告知他人。",
    "100002": "尊敬的客户，您正在修改绑定手机号，您的验证码为${code}，${min}分钟内有效，请注意保密。",
    "100003": "尊敬的客户，您正在重置密码，您的验证码为${code}，${min}分钟内有效，请注意保密。",
    "100004": "尊敬的客户，您正在绑定新手机号，您的验证码为${code}，${min}分钟内有效，请注意保密。",
    "100005": "尊敬的客户，您正在验证绑定手机号，您的验证码为${code}，${min}分钟内有效，请注意保密。",
}

#: `CodeType` and the characters of which the service makes a code.
ALPHABETS = {
    1: _DIGITS,
    2: _UPPER,
    3: _LOWER,
    4: _LOWER + _UPPER,
    5: _DIGITS + _UPPER,
    6: _DIGITS + _LOWER,
    7: _DIGITS + _LOWER + _UPPER,
}
