"""`[[routes]]`: the ways to send SMS, each with its provider, account, sign name and templates."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from otp_service.domain.messages import INTERNATIONAL, MAINLAND, WILDCARD, Template
from otp_service.domain.policy import TEST_ROUTE
from otp_service.settings.fields import Config, Name, Secret, country, endpoint_issue, webhook_issues
from otp_service.settings.issues import ConfigIssue
from otp_service.settings.secret_settings import is_placeholder, is_quoted
from otp_service.sms.aliyun.protocol import endpoints
from otp_service.sms.aliyun.protocol.pnvs import MINUTES
from otp_service.sms.aliyun.protocol.templates import BadParam, ParamRule, check_params

ALIYUN_SMS, ALIYUN_PNVS, WEBHOOK, SANDBOX = "aliyun-sms", "aliyun-pnvs", "webhook", "sandbox"

ENDPOINTS = {ALIYUN_SMS: endpoints.SMS, ALIYUN_PNVS: endpoints.PNVS, SANDBOX: endpoints.SMS}

_ROUTE_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")

_ALIYUNS = (
    "access_key_id",
    "access_key_secret",
    "security_token",
    "second_access_key_id",
    "second_access_key_secret",
    "endpoint",
    "signature",
)
_WEBHOOKS = ("url", "secret")


_HOST_OF = {ALIYUN_SMS: "dysmsapi", ALIYUN_PNVS: "dypnsapi"}
_HOSTS = (*_HOST_OF.values(), "dybaseapi")


def _default_endpoint(route: Mapping[str, Any]) -> str:
    return ENDPOINTS.get(route.get("provider", ALIYUN_SMS), "")


def sign_name_issue(name: str) -> str:
    """Return why *name* cannot be an approved sign name; empty if it can."""
    if not name:
        return "is required"
    if any(bracket in name for bracket in "【】〔〕〖〗［］"):
        return "is written with 【】, which Aliyun adds itself: leave the brackets out"
    if is_placeholder(name):
        return "is a placeholder: replace it with the real value"
    if any(unicodedata.category(character)[0] in "CZ" and character != " " for character in name):
        return "contains an invisible character: type it again"
    if name != name.strip():
        return "begins or ends with white space"
    return "is enclosed in quotes, which are not part of it" if is_quoted(name) else ""


_VARIABLE = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_APPROVED = re.compile(r"SMS_[0-9]+")
_PRESET = re.compile(r"[0-9]{6}")
_MINUTES = re.compile(r"[1-9][0-9]?")
_ANY_CODE = "123456"

_RULES = {
    ParamRule.NO_URL: "contains a link, which Aliyun refuses",
    ParamRule.LETTERS_AND_DIGITS: "may contain only letters and digits: Aliyun refuses anything else",
}


def _listed(value: object) -> object:
    """Return a single text as a list with one item."""
    return (value,) if isinstance(value, str) else value


def _destination(text: str) -> str:
    return text if text in (WILDCARD, INTERNATIONAL) else country(text)


_Destination = Annotated[str, AfterValidator(_destination)]
Destinations = Annotated[tuple[_Destination, ...], BeforeValidator(_listed), Field(min_length=1)]


class TemplateConfig(Config):
    """`[[routes.templates]]`: one approved template; `*` serves every purpose, locale or country."""

    purpose: Name = WILDCARD
    locale: Name = WILDCARD
    country: Destinations = (WILDCARD,)
    template_code: str = ""
    code_variable: str = "code"
    extra_variables: Mapping[str, str] = {}

    def template(self) -> Template:
        """Return the template that this table describes."""
        return Template(
            purpose=self.purpose,
            template_code=self.template_code,
            locale=self.locale,
            countries=self.country,
            code_variable=self.code_variable,
            extra_variables=dict(self.extra_variables),
        )

    def issues(self, where: str) -> Iterator[ConfigIssue]:
        """Yield the issues of this table alone that do not depend on the provider."""
        if len(self.country) > 1 and {WILDCARD, INTERNATIONAL} & set(self.country):
            yield ConfigIssue(f"{where}.country", 'combines "*" or "international" with other values')
        if self.code_variable in self.extra_variables:
            yield ConfigIssue(f"{where}.extra_variables", "contains code_variable: remove it here")
        if not all(map(_VARIABLE.fullmatch, (self.code_variable, *self.extra_variables))):
            yield ConfigIssue(
                f"{where}.code_variable",
                "must begin with a letter and contain only letters, digits and _, as must extra_variables",
            )

    def aliyun_issues(self, where: str) -> Iterator[ConfigIssue]:
        """Yield what Aliyun would refuse."""
        if not self.template_code:
            yield ConfigIssue(f"{where}.template_code", "is required")
        names = (self.code_variable, *self.extra_variables)
        try:
            check_params(
                names,
                {**self.extra_variables, self.code_variable: _ANY_CODE},
                waived=(ParamRule.CODE_LENGTH,),
            )
        except BadParam as error:
            yield ConfigIssue(f"{where}.extra_variables", _RULES.get(error.rule, "breaks Aliyun's rules"))

    def sms_issues(self, where: str) -> Iterator[ConfigIssue]:
        """Yield what SendSms would refuse in addition."""
        if self.template_code and not _APPROVED.fullmatch(self.template_code):
            yield ConfigIssue(f"{where}.template_code", "must be SMS_ and digits, like SMS_154950909")

    def pnvs_issues(self, where: str) -> Iterator[ConfigIssue]:
        """Yield what PNVS would refuse in addition."""
        if self.template_code and not _PRESET.fullmatch(self.template_code):
            yield ConfigIssue(f"{where}.template_code", "must be a preset template of PNVS, such as 100001")
        if self.code_variable == MINUTES:
            yield ConfigIssue(f"{where}.code_variable", "is the variable that PNVS fills with the minutes")
        if not set(self.country) <= {WILDCARD, MAINLAND}:
            yield ConfigIssue(f"{where}.country", f"must be {MAINLAND}: PNVS sends to the mainland only")

    def minutes_issues(self, where: str, ttl: int) -> Iterator[ConfigIssue]:
        """Yield an issue if the text promises a longer lifetime than the *ttl* of codes in seconds."""
        minutes = self.extra_variables.get(MINUTES)
        if minutes is None:
            return
        if not _MINUTES.fullmatch(minutes):
            yield ConfigIssue(f"{where}.extra_variables", f"has a {MINUTES} that is not a number of minutes")
        elif int(minutes) * 60 > ttl:
            yield ConfigIssue(f"{where}.extra_variables", f"has a {MINUTES} that is longer than codes.ttl")


class RouteConfig(Config):
    """`[[routes]]`: one way to send SMS. Empty *clients* mean all."""

    name: str = ""
    provider: Literal["aliyun-sms", "aliyun-pnvs", "webhook", "sandbox"] = "aliyun-sms"
    access_key_id: Secret = SecretStr("")
    access_key_secret: Secret = SecretStr("")
    security_token: Secret | None = None
    second_access_key_id: Secret = SecretStr("")
    second_access_key_secret: Secret = SecretStr("")
    endpoint: str = Field(default_factory=_default_endpoint)
    signature: Literal["v1", "v3"] = "v1"
    url: str = Field(default="", repr=False)
    secret: Secret | None = None
    sign_name: str = ""
    clients: tuple[str, ...] = ()
    templates: tuple[TemplateConfig, ...] = ()

    def access_keys(self) -> list[tuple[str, str, str]]:
        """Return id, secret and security token of each AccessKey: two during a key rotation."""
        token = self.security_token.get_secret_value() if self.security_token else ""
        pairs = (
            (self.access_key_id, self.access_key_secret),
            (self.second_access_key_id, self.second_access_key_secret),
        )
        keys = [(key_id.get_secret_value(), secret.get_secret_value()) for key_id, secret in pairs]
        return [(*keys[0], token), *((*pair, "") for pair in keys[1:] if pair[0])]

    def api(self) -> dict[str, str]:
        """Return the endpoint of the API, the version of its signature, and the sign name."""
        return {"endpoint": self.endpoint, "signature": self.signature, "sign_name": self.sign_name}

    def webhook_secret(self) -> str:
        """Return the secret that signs the posts of a webhook; the table must be valid."""
        return self.secret.get_secret_value() if self.secret else ""

    def all_templates(self) -> tuple[Template, ...]:
        """Return its templates; a webhook without any serves everything, PNVS only serves the mainland."""
        tables = self.templates or ((TemplateConfig(),) if self.provider == WEBHOOK else ())
        templates = tuple(table.template() for table in tables)
        if self.provider != ALIYUN_PNVS:
            return templates
        return tuple(replace(t, countries=(MAINLAND,)) if WILDCARD in t.countries else t for t in templates)

    def serves(self, client: str, purpose: str, country: str) -> bool:
        """Return whether it sends for *client* and *purpose* to *country* in every locale."""
        return client in (self.clients or (client,)) and any(
            template.serves(purpose, country) and template.locale == WILDCARD
            for template in self.all_templates()
        )

    def sends_to(self, country: str) -> bool:
        """Return whether it has a template for *country*."""
        return any(template.country_specificity(country) for template in self.all_templates())

    def secrets(self, where: str) -> Iterator[tuple[str, SecretStr]]:
        """Yield every secret with its path."""
        if self.provider == WEBHOOK:
            yield f"{where}.secret", self.secret or SecretStr("")
            return
        yield f"{where}.access_key_id", self.access_key_id
        yield f"{where}.access_key_secret", self.access_key_secret
        if self._rotates():
            yield f"{where}.second_access_key_id", self.second_access_key_id
            yield f"{where}.second_access_key_secret", self.second_access_key_secret

    def issues(self, where: str) -> Iterator[ConfigIssue]:
        """Yield the issues of this table alone."""
        if not _ROUTE_NAME.fullmatch(self.name):
            yield ConfigIssue(f"{where}.name", "must be 1 to 32 of a-z 0-9 _ -, beginning with a letter")
        if self.name == TEST_ROUTE:
            yield ConfigIssue(f"{where}.name", "is reserved for test phones")
        for setting in _ALIYUNS if self.provider == WEBHOOK else _WEBHOOKS:
            if setting in self.model_fields_set:
                yield ConfigIssue(f"{where}.{setting}", f"is not a setting of {self.provider}")
        for number, template in enumerate(self.templates):
            yield from template.issues(f"{where}.templates[{number}]")
        if self.provider == WEBHOOK:
            yield from webhook_issues(f"{where}.", self.url, self.secret)
        else:
            yield from self._aliyun_issues(where)

    def minutes_issues(self, where: str, ttl: int) -> Iterator[ConfigIssue]:
        """Yield templates that promise a longer lifetime than the *ttl* of codes in seconds."""
        if self.provider == ALIYUN_PNVS:
            for number, template in enumerate(self.templates):
                yield from template.minutes_issues(f"{where}.templates[{number}]", ttl)

    def _aliyun_issues(self, where: str) -> Iterator[ConfigIssue]:
        if issue := sign_name_issue(self.sign_name):
            yield ConfigIssue(f"{where}.sign_name", issue)
        if not self.templates:
            yield ConfigIssue(f"{where}.templates", "needs at least one template")
        for place, secret in self.secrets(where):
            if not secret.get_secret_value():
                yield ConfigIssue(place, "is required")
        if issue := self._endpoint_issue():
            yield ConfigIssue(f"{where}.endpoint", issue)
        for number, template in enumerate(self.templates):
            yield from template.aliyun_issues(f"{where}.templates[{number}]")
            if self.provider == ALIYUN_PNVS:
                yield from template.pnvs_issues(f"{where}.templates[{number}]")
            else:
                yield from template.sms_issues(f"{where}.templates[{number}]")

    def _endpoint_issue(self) -> str:
        if issue := endpoint_issue(self.endpoint, local_only=self.provider == SANDBOX):
            return issue
        host = urlsplit(self.endpoint).hostname or ""
        theirs = next((start for start in _HOSTS if host.startswith(start)), "")
        ours = _HOST_OF.get(self.provider, theirs)
        return (
            f"is the address of another API: that of {self.provider} begins with {ours}"
            if (theirs and theirs != ours)
            else ""
        )

    def _rotates(self) -> bool:
        second = self.second_access_key_id, self.second_access_key_secret
        return any(secret.get_secret_value() for secret in second)
