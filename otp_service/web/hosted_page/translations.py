"""The texts of hosted pages, in English and Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from otp_service.domain.codes import LENGTH

MINUTE = 60


@dataclass(frozen=True, slots=True)
class Language:
    """The texts in one language.

    Attributes:
        tag: its BCP 47 tag.
        sentences: the sentences and labels, by name.
        errors: what each error means for the visitor, by problem code.
        second: singular and plural of a duration in seconds.
        minute: singular and plural of a duration in minutes.
    """

    tag: str
    sentences: Mapping[str, str]
    errors: Mapping[str, str]
    second: tuple[str, str]
    minute: tuple[str, str]

    def __getitem__(self, name: str) -> str:
        return self.sentences[name]

    def duration(self, seconds: int) -> str:
        """Return *seconds* as text; from two minutes on in whole minutes, rounded up."""
        if seconds < 2 * MINUTE:
            return self.second[seconds != 1].format(seconds)
        return self.minute[1].format(-(-seconds // MINUTE))

    def error(self, code: str, *, wait: int = 0, attempts_left: int = 0) -> str:
        """Return what the error *code* means for the visitor; *wait* is in seconds."""
        text = self.errors.get(code, self.errors["internal_error"])
        if attempts_left:
            text += self.sentences["attempts_left_one" if attempts_left == 1 else "attempts_left"]
        if wait:
            text += self.sentences["wait"]
        return text.format(wait=self.duration(wait), attempts_left=attempts_left, length=LENGTH)


ENGLISH = Language(
    tag="en",
    second=("{} second", "{} seconds"),
    minute=("{} minute", "{} minutes"),
    sentences={
        "phone_title": "Verify your phone number",
        "phone_text": "{site} asks for your phone number. We text you a code to confirm that it is yours.",
        "phone_label": "Phone number",
        "phone_hint": "For a number of another country, include the country code, like +852.",
        "send": "Send me a code",
        "code_title": "Enter the code",
        "code_text": "We sent it by SMS to {phone}.",
        "code_label": "Code of {length} letters and digits",
        "digits_label": "{length}-digit code",
        "verify": "Verify",
        "resend": "Send it again",
        "resend_in": "You can request it again in {wait}.",
        "no_resend": "This code cannot be sent again.",
        "change": "Change the number",
        "solve_title": "One moment, please",
        "solve_text": "Before we send the code, your browser solves a small puzzle. It takes a few seconds.",
        "solve_noscript": "This step needs JavaScript. Enable it for this site, then reload the page.",
        "solve_failed": "Your browser cannot solve the puzzle. Please try another browser.",
        "busy_title": "One moment, please",
        "busy_text": "We are working on it. This page continues automatically.",
        "busy_again": "Check again",
        "done_title": "Your phone number is verified",
        "done_text": "Continue to {site} to finish.",
        "done": "Continue to {site}",
        "gone_title": "This page is no longer valid",
        "gone_text": "It has expired or was already used. Go back to where you came from and start again.",
        "taken_title": "This page was opened in another browser",
        "taken_text": "It only works there. Go back to where you came from and start again.",
        "failed_title": "That did not work",
        "reload": "Back to the page",
        "back": "Back to {site}",
        "error": "Error",
        "attempts_left": " You have {attempts_left} attempts left.",
        "attempts_left_one": " You have one attempt left.",
        "wait": " Please wait {wait}.",
    },
    errors={
        "invalid_phone": "This is not a valid phone number.",
        "destination_blocked": "We cannot send a code to this number. Please use another one.",
        "destination_rejected": "This number cannot receive our SMS. Please use another one.",
        "invalid_code": "The code has {length} characters. Please check the SMS again.",
        "wrong_code": "This code is wrong.",
        "attempts_exhausted": "Too many wrong codes. Please request a new code.",
        "verification_expired": "The code has expired. Please request a new one.",
        "verification_canceled": "This code is no longer valid. Please request a new one.",
        "verification_not_found": "This code is no longer valid. Please request a new one.",
        "already_verified": "This code has already been used. Please request a new one.",
        "cooldown_active": "It is too soon to send another SMS to this number.",
        "limit_reached": "There were too many requests.",
        "provider_rate_limited": "This number cannot receive more SMS for now.",
        "provider_misconfigured": "The SMS could not be sent. Please try again later.",
        "provider_unavailable": "The SMS could not be sent.",
        "store_unavailable": "The service is not available at the moment.",
        "forbidden": "This form is out of date. Nothing was sent.",
        "internal_error": "Something went wrong on our side. Please try again.",
    },
)

CHINESE = Language(
    tag="zh-CN",
    second=("{} 秒", "{} 秒"),
    minute=("{} 分钟", "{} 分钟"),
    sentences={
        "phone_title": "验证手机号",
        "phone_text": "{site} 需要您的手机号。我们会发送短信验证码，确认该号码属于您。",
        "phone_label": "手机号",
        "phone_hint": "非本地号码请加国家或地区代码，例如 +852。",
        "send": "获取验证码",
        "code_title": "输入验证码",
        "code_text": "验证码已通过短信发送至 {phone}。",
        "code_label": "{length} 位验证码（字母和数字）",
        "digits_label": "{length} 位数字验证码",
        "verify": "验证",
        "resend": "重新发送",
        "resend_in": "{wait}后可重新发送。",
        "no_resend": "此验证码不能再次发送。",
        "change": "更换手机号",
        "solve_title": "请稍候",
        "solve_text": "发送验证码之前，浏览器需要完成一个小任务，只需几秒钟。",
        "solve_noscript": "此步骤需要 JavaScript。请为本网站启用后重新加载页面。",
        "solve_failed": "您的浏览器无法完成此任务，请换一个浏览器再试。",
        "busy_title": "请稍候",
        "busy_text": "正在处理，页面会自动继续。",
        "busy_again": "刷新",
        "done_title": "手机号验证成功",
        "done_text": "请继续前往 {site} 完成操作。",
        "done": "继续前往 {site}",
        "gone_title": "此页面已失效",
        "gone_text": "页面已过期或已被使用。请返回原网站重新开始。",
        "taken_title": "此页面已在另一个浏览器中打开",
        "taken_text": "只能在那个浏览器中继续。请返回原网站重新开始。",
        "failed_title": "操作未成功",
        "reload": "返回页面",
        "back": "返回 {site}",
        "error": "错误",
        "attempts_left": "您还可以尝试 {attempts_left} 次。",
        "attempts_left_one": "您还可以尝试 1 次。",
        "wait": "请等待 {wait}。",
    },
    errors={
        "invalid_phone": "请输入有效的手机号。",
        "destination_blocked": "无法向该号码发送验证码，请换一个号码。",
        "destination_rejected": "该号码无法接收短信，请换一个号码。",
        "invalid_code": "验证码为 {length} 位，请再核对一下短信。",
        "wrong_code": "验证码错误。",
        "attempts_exhausted": "错误次数过多，请重新获取验证码。",
        "verification_expired": "验证码已过期，请重新获取。",
        "verification_canceled": "验证码已失效，请重新获取。",
        "verification_not_found": "验证码已失效，请重新获取。",
        "already_verified": "验证码已被使用，请重新获取。",
        "cooldown_active": "发送过于频繁。",
        "limit_reached": "操作过于频繁。",
        "provider_rate_limited": "该号码暂时不能接收更多短信。",
        "provider_misconfigured": "短信发送失败，请稍后再试。",
        "provider_unavailable": "短信发送失败。",
        "store_unavailable": "服务暂时不可用。",
        "forbidden": "此表单已过期，未发送任何内容。",
        "internal_error": "我们这边出了点问题，请重试。",
    },
)

LANGUAGES = (ENGLISH, CHINESE)


def negotiate_language(*requested: str) -> Language:
    """Return the first of the *requested* languages (tags, best first) that has texts, or else English."""
    for tag in requested:
        for language in LANGUAGES:
            if tag.lower().replace("_", "-").partition("-")[0] == language.tag.partition("-")[0]:
                return language
    return ENGLISH
