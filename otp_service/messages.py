"""Messages: purpose, country and locale → sign name, template code and template param. Touches nothing.

The names are Aliyun's; which template serves a request is decided here, how it travels is a room's affair.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from otp_service.codes import Code, CodeType
from otp_service.phone import Phone

ANY = "*"


@dataclass(frozen=True, slots=True)
class Template:
    """One approved template of a route and what it serves; `*` serves every country or locale.

    *param* is the name of the variable that carries the code, *params* fixed values of further variables.
    """

    purpose: str
    template_code: str
    locale: str = ANY
    country: str = ANY
    param: str = "code"
    params: Mapping[str, str] = field(default_factory=dict)

    def template_param(self, code: Code) -> dict[str, str]:
        """Return exactly the template's variables, all of them text."""
        return {**self.params, self.param: code.reveal()}


@dataclass(frozen=True, slots=True)
class Sms:
    """One SMS to send: to whom, for what, and the code. *out_id* comes back in reports."""

    phone: Phone
    client: str
    purpose: str
    locale: str
    code: Code
    code_type: CodeType
    out_id: str


def choose(templates: Iterable[Template], sms: Sms) -> Template | None:
    """Return the template that fits *sms* best: an exact country beats an exact locale beats `*`."""
    fitting = [t for t in templates if _serves(t, sms)]
    return max(fitting, key=_closeness, default=None)


def _serves(template: Template, sms: Sms) -> bool:
    return (
        template.purpose in (ANY, sms.purpose)
        and template.country in (ANY, sms.phone.country)
        and template.locale.lower() in (ANY, sms.locale.lower())
    )


def _closeness(template: Template) -> tuple[bool, bool, bool]:
    return template.purpose != ANY, template.country != ANY, template.locale != ANY
