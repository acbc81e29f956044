"""`[[routes]]`: the configured ways to send: provider, account, sign name and templates. Touches nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from otp_service.aliyun.templates import BadParam, ParamRule, check_params
from otp_service.messages import ANY, Template
from otp_service.settings.mistakes import Mistake
from otp_service.settings.tables import Name, Table

SANDBOX = "sandbox"
ENDPOINT = "https://dysmsapi.aliyuncs.com"

_ROUTE_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_VARIABLE = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_ANY_CODE = "123456"

_RULES = {
    ParamRule.NO_URL: "holds a link, which Aliyun refuses",
    ParamRule.LETTERS_AND_DIGITS: "may hold letters and digits only, as Aliyun demands",
}


class TemplateTable(Table):
    """One approved template and what it serves; `*` serves every purpose, locale or country."""

    purpose: Name = ANY
    locale: Name = ANY
    country: Annotated[str, Field(pattern=r"^(\*|[A-Z]{2})$")] = ANY
    template_code: str = ""
    param: str = "code"
    params: Mapping[str, str] = {}

    def template(self) -> Template:
        """Return the template that this table describes."""
        return Template(
            purpose=self.purpose,
            template_code=self.template_code,
            locale=self.locale,
            country=self.country,
            param=self.param,
            params=dict(self.params),
        )

    def serves(self, purpose: str, country: str) -> bool:
        """Tell whether it can be sent for *purpose* to *country*, whatever the locale."""
        return self.purpose in (ANY, purpose) and self.country in (ANY, country) and self.locale == ANY

    def mistakes(self, where: str) -> Iterator[Mistake]:
        """Tell what is wrong with the table in itself."""
        if not self.template_code:
            yield Mistake(f"{where}.template_code", "is required")
        if self.param in self.params:
            yield Mistake(f"{where}.params", "has the variable of the code")
        if not all(map(_VARIABLE.fullmatch, (self.param, *self.params))):
            yield Mistake(f"{where}.param", "names a variable that no template can have")
        names = (self.param, *self.params)
        try:
            check_params(names, {**self.params, self.param: _ANY_CODE}, waived=(ParamRule.CODE_LENGTH,))
        except BadParam as error:
            yield Mistake(f"{where}.params", _RULES.get(error.rule, "breaks Aliyun's rules"))


class RouteTable(Table):
    """One way to send. No *clients* means that it serves all of them."""

    name: str = ""
    provider: Literal["aliyun-sms", "sandbox"] = "aliyun-sms"
    access_key_id: SecretStr = SecretStr("")
    access_key_secret: SecretStr = SecretStr("")
    security_token: SecretStr | None = None
    second_access_key_id: SecretStr = SecretStr("")
    second_access_key_secret: SecretStr = SecretStr("")
    endpoint: str = ENDPOINT
    signature: Literal["v1", "v3"] = "v1"
    sign_name: str = ""
    clients: tuple[str, ...] = ()
    templates: tuple[TemplateTable, ...] = ()

    def access_keys(self) -> list[tuple[str, str, str]]:
        """Return id, secret and security token of every access key: two while they are rotated."""
        token = self.security_token.get_secret_value() if self.security_token else ""
        pairs = (
            (self.access_key_id, self.access_key_secret),
            (self.second_access_key_id, self.second_access_key_secret),
        )
        told = [(key_id.get_secret_value(), secret.get_secret_value()) for key_id, secret in pairs]
        return [(*told[0], token), *((*pair, "") for pair in told[1:] if pair[0])]

    def api(self) -> dict[str, str]:
        """Return where the API is and how its calls are made."""
        return {"endpoint": self.endpoint, "signature": self.signature, "sign_name": self.sign_name}

    def serves(self, client: str, purpose: str, country: str) -> bool:
        """Tell whether it sends for *client* and *purpose* to *country*."""
        return client in (self.clients or (client,)) and any(
            template.serves(purpose, country) for template in self.templates
        )

    def secrets(self, where: str) -> Iterator[tuple[str, SecretStr]]:
        """List every secret with its place."""
        yield f"{where}.access_key_id", self.access_key_id
        yield f"{where}.access_key_secret", self.access_key_secret
        if self._rotates():
            yield f"{where}.second_access_key_id", self.second_access_key_id
            yield f"{where}.second_access_key_secret", self.second_access_key_secret

    def mistakes(self, where: str) -> Iterator[Mistake]:
        """Tell what is wrong with the table in itself."""
        if not _ROUTE_NAME.fullmatch(self.name):
            yield Mistake(f"{where}.name", "must be 1 to 32 of a-z 0-9 _ -, beginning with a letter")
        if not self.sign_name:
            yield Mistake(f"{where}.sign_name", "is required")
        if not self.templates:
            yield Mistake(f"{where}.templates", "needs at least one template")
        for place, secret in self.secrets(where):
            if not secret.get_secret_value():
                yield Mistake(place, "is required")
        yield from self._endpoint_mistakes(f"{where}.endpoint")
        for number, template in enumerate(self.templates):
            yield from template.mistakes(f"{where}.templates[{number}]")

    def _rotates(self) -> bool:
        second = self.second_access_key_id, self.second_access_key_secret
        return any(secret.get_secret_value() for secret in second)

    def _endpoint_mistakes(self, where: str) -> Iterator[Mistake]:
        scheme, host = _origin(self.endpoint)
        if not host or scheme not in ("http", "https"):
            yield Mistake(where, "must be https://host, without a path")
        elif self.provider == SANDBOX and not _is_loopback(host):
            yield Mistake(where, "must be this machine: the sandbox is no public service")
        elif scheme == "http" and not _is_loopback(host):
            yield Mistake(where, "must be https: plain http is for this machine only")


def _origin(url: str) -> tuple[str, str]:
    """Return scheme and host of an URL that has nothing else, but perhaps a port."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "", ""
    plain = f"[{host}]" if ":" in host else host
    bare = plain if port is None else f"{plain}:{port}"
    is_bare = parts.netloc.lower() == bare and parts.path in ("", "/") and not parts.query + parts.fragment
    return (parts.scheme, host) if is_bare else ("", "")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
