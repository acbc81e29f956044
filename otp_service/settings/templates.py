"""`[[routes.templates]]`: which text goes to whom."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from otp_service.aliyun.pnvs import MINUTES
from otp_service.aliyun.templates import BadParam, ParamRule, check_params
from otp_service.messages import ANY, INTERNATIONAL, MAINLAND, Template
from otp_service.settings.countries import country
from otp_service.settings.issues import Mistake
from otp_service.settings.tables import Name, Table

_VARIABLE = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_APPROVED = re.compile(r"SMS_[0-9]+")
_PRESET = re.compile(r"[0-9]{6}")
_MINUTES = re.compile(r"[1-9][0-9]?")
_ANY_CODE = "123456"

_RULES = {
    ParamRule.NO_URL: "holds a link, which Aliyun refuses",
    ParamRule.LETTERS_AND_DIGITS: "may hold letters and digits only, as Aliyun demands",
}


def _listed(value: object) -> object:
    """Read one text as a list of one."""
    return (value,) if isinstance(value, str) else value


def _destination(text: str) -> str:
    return text if text in (ANY, INTERNATIONAL) else country(text)


_Destination = Annotated[str, AfterValidator(_destination)]
Destinations = Annotated[tuple[_Destination, ...], BeforeValidator(_listed), Field(min_length=1)]


class TemplateTable(Table):
    """One approved template and what it serves; `*` serves every purpose, locale or country."""

    purpose: Name = ANY
    locale: Name = ANY
    country: Destinations = (ANY,)
    template_code: str = ""
    param: str = "code"
    params: Mapping[str, str] = {}

    def template(self) -> Template:
        """Return the template that this table describes."""
        return Template(
            purpose=self.purpose,
            template_code=self.template_code,
            locale=self.locale,
            countries=self.country,
            param=self.param,
            params=dict(self.params),
        )

    def mistakes(self, where: str) -> Iterator[Mistake]:
        """Tell what is wrong with the table in itself, whoever sends."""
        if len(self.country) > 1 and {ANY, INTERNATIONAL} & set(self.country):
            yield Mistake(f"{where}.country", "lists a group beside countries: give one or the other")
        if self.param in self.params:
            yield Mistake(f"{where}.params", "has the variable of the code")
        if not all(map(_VARIABLE.fullmatch, (self.param, *self.params))):
            yield Mistake(
                f"{where}.param",
                "names a variable that is not letters, digits and _, beginning with a letter",
            )

    def aliyun_mistakes(self, where: str) -> Iterator[Mistake]:
        """Tell what Aliyun would refuse."""
        if not self.template_code:
            yield Mistake(f"{where}.template_code", "is required")
        names = (self.param, *self.params)
        try:
            check_params(names, {**self.params, self.param: _ANY_CODE}, waived=(ParamRule.CODE_LENGTH,))
        except BadParam as error:
            yield Mistake(f"{where}.params", _RULES.get(error.rule, "breaks Aliyun's rules"))

    def sms_mistakes(self, where: str) -> Iterator[Mistake]:
        """Tell what SendSms would refuse beside that."""
        if self.template_code and not _APPROVED.fullmatch(self.template_code):
            yield Mistake(f"{where}.template_code", "must be SMS_ and digits, like SMS_154950909")

    def pnvs_mistakes(self, where: str) -> Iterator[Mistake]:
        """Tell what PNVS would refuse beside that."""
        if self.template_code and not _PRESET.fullmatch(self.template_code):
            yield Mistake(f"{where}.template_code", "must be a template that PNVS presets, such as 100001")
        if self.param == MINUTES:
            yield Mistake(f"{where}.param", "is the variable of the minutes")
        if not set(self.country) <= {ANY, MAINLAND}:
            yield Mistake(f"{where}.country", f"must be {MAINLAND}: PNVS sends to the mainland only")

    def minutes_mistakes(self, where: str, ttl: int) -> Iterator[Mistake]:
        """Tell whether the text promises a life that codes of *ttl* seconds do not have."""
        told = self.params.get(MINUTES)
        if told is None:
            return
        if not _MINUTES.fullmatch(told):
            yield Mistake(f"{where}.params", f"has a {MINUTES} that is no number of minutes")
        elif int(told) * 60 > ttl:
            yield Mistake(f"{where}.params", f"has a {MINUTES} that is longer than codes.ttl")
