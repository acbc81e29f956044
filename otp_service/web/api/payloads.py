"""Payloads: the bodies of all calls, field by field.

These models validate what comes in and describe it in the OpenAPI document; there is no second list.
A field here is checked for its JSON type, length and characters only: what a phone or a code is, the spine
knows, and says so by errors of its own. `typed` folds what people type, for every door alike.
"""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from otp_service.domain import typed_text
from otp_service.web.api import validation_errors

_PRINTABLE = r"^[^\u0000-\u001f\u007f-\u009f]*$"
"""No control characters: nothing that a person types or a program means holds one."""

_LOCALE = r"^[A-Za-z]{2,8}([_-][A-Za-z0-9]{1,8})*([.@][A-Za-z0-9.@_-]*)?$"
"""A language tag, with `_` as well: Java, iOS and POSIX write `zh_CN`. POSIX adds a character set and a
variant: `zh_CN.UTF-8@pinyin`."""

_TYPED = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$"
"""The same, but for tabs and line ends, which come along when people paste."""

Text = Annotated[str, StringConstraints(max_length=64, pattern=_PRINTABLE)]
TypedText = Annotated[str, StringConstraints(max_length=typed_text.MAX_LENGTH, pattern=_TYPED)]
"""What a person types or pastes. The length counts before anything is folded."""

PhoneField = Annotated[
    TypedText,
    Field(
        description="The phone number, in E.164 or any spelling that is usual in the default region. Digits "
        "of every script are read, and spaces, hyphens and invisible characters left out.",
        examples=["+8613800138000"],
    ),
]
VerificationIdField = Annotated[
    TypedText,
    AfterValidator(typed_text.fold_id),
    Field(
        description="The id that `/otp/request` answered with. White space and invisible characters in it "
        "are left out.",
        examples=["bXkgdmVyaWZpY2F0aW9u_w"],
    ),
]
LocaleText = Annotated[
    str,
    StringConstraints(max_length=35, pattern=_LOCALE),
    AfterValidator(lambda text: re.split("[.@]", text)[0]),
]
CodeField = Annotated[
    TypedText,
    Field(
        description="What the person typed, as text: codes may begin with zeros. Digits of every script and "
        "letters in either case are read, and spaces, hyphens, dots and invisible characters left out.",
        examples=["012345"],
    ),
]
ClientIpField = Annotated[
    Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=_PRINTABLE)] | None,
    Field(
        description="The end user's IP address, which limits are counted for; secret keys only. "
        "Without it these limits are skipped. Some clients are configured to require it.",
        examples=["203.0.113.7"],
    ),
]


class Body(BaseModel):
    """A request body: exactly these fields, of exactly these types."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)

    @classmethod
    def read(cls, fields: dict[str, object]) -> Self:
        """Return *fields* as this body.

        Raises:
            InvalidRequest: names each field that is unknown, missing or of the wrong form.
        """
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise validation_errors.told(error) from None


class RequestBody(Body):
    """What to verify; with `verification_id`, which verification to send the SMS of once more."""

    model_config = ConfigDict(json_schema_extra={"not": {"required": ["verification_id", "purpose"]}})

    phone: PhoneField
    purpose: Annotated[
        Text | None,
        Field(
            description="Why the phone is verified. May be left out when the client has one purpose only; "
            "must be left out of a resend, which repeats that of its verification.",
            examples=["login"],
        ),
    ] = None
    verification_id: Annotated[
        Annotated[TypedText, AfterValidator(typed_text.fold_id)] | None,
        Field(
            description="Ask for another SMS of this verification, with the same code, instead of a new one.",
        ),
    ] = None
    locale: Annotated[
        LocaleText | None,
        Field(description="The language of the SMS, where templates differ in it.", examples=["zh-CN"]),
    ] = None
    client_ip: ClientIpField = None
    known_phone: Annotated[
        bool | None,
        Field(
            description="The caller has an account with this phone: it may use the part of the daily budgets "
            "that is kept for known phones. Secret keys only."
        ),
    ] = None
    known_device: Annotated[
        bool | None,
        Field(
            description="The caller recognises the device or session of this very person, such as by a "
            "cookie set after an earlier login: the call is trusted, and may use what strangers cannot use "
            "up. That an account exists is not enough: anybody can start a login. Secret keys only."
        ),
    ] = None
    accepts_challenge: Annotated[
        bool | None,
        Field(
            description="The caller hands a risk challenge to its page and repeats the request with the "
            "solution. While the alarm for wrong codes is on, it is asked for one as browsers are; without "
            "this field a secret key is not. Secret keys only."
        ),
    ] = None
    risk_solution: Annotated[
        str | None,
        StringConstraints(max_length=4096, pattern=_PRINTABLE),
        Field(
            description="The solution of the risk challenge that this request was refused with: for altcha, "
            "its payload in base64. It counts once, for this phone and the key's client."
        ),
    ] = None


class VerifyBody(Body):
    """One attempt: the code that a person typed."""

    phone: PhoneField
    verification_id: VerificationIdField
    code: CodeField
    client_ip: ClientIpField = None


class RedeemBody(Body):
    """A proof to use up, and the purpose it must be for."""

    proof: Annotated[
        str,
        StringConstraints(max_length=2048, pattern=_PRINTABLE),
        Field(
            description="The proof that `/otp/verify` answered with.",
            examples=["eyJpc3MiOiJvdHAi….aSNd-Q.k7…"],
        ),
    ]
    purpose: Annotated[
        Text, Field(description="What the proof must be for; any other is refused.", examples=["login"])
    ]
    allow_test: Annotated[
        bool | None, Field(description="Take proofs of configured test phones, too.", strict=True)
    ] = None


class PageBody(Body):
    """A hosted page to make."""

    return_url: Annotated[
        str,
        StringConstraints(max_length=2048, pattern=_PRINTABLE),
        Field(
            description="Where the page posts the proof to: one of the client's `return_urls`, exactly.",
            examples=["https://www.example.com/verified"],
        ),
    ]
    purpose: Annotated[
        Text | None,
        Field(
            description="Why the phone is verified. May be left out when the client has one purpose only.",
            examples=["signup"],
        ),
    ] = None
    state: Annotated[
        str | None,
        StringConstraints(max_length=512, pattern=_PRINTABLE),
        Field(
            description="Comes back beside the proof, as it is. Bind it to your visitor, and check it.",
            examples=["f3b1c9"],
        ),
    ] = None
    locale: Annotated[
        LocaleText | None,
        Field(
            description="The language of page and SMS. Without it the page speaks the browser's.",
            examples=["zh-CN"],
        ),
    ] = None
    client_ip: ClientIpField = None


class PhoneBody(Body):
    """Which phone is meant."""

    phone: PhoneField


class VerificationBody(Body):
    """Which verification is meant."""

    phone: PhoneField
    verification_id: VerificationIdField
