"""The bodies of requests and responses, field by field.

These models validate requests and describe both directions in the OpenAPI document, so there is no second
list. Request fields are checked only for JSON type, length and characters. The domain decides what a valid
phone or code is, and raises its own errors. `domain.text_normalization` normalizes what people type, both for
the API and for the hosted page.

Responses give each time twice: absolute (RFC 3339, UTC) for records, and relative (seconds) for clients whose
clock is wrong. The full phone number appears only where a proof was earned or redeemed. No response contains
a code.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from otp_service import __version__
from otp_service.domain import text_normalization
from otp_service.domain.codes import LENGTH, CodeType
from otp_service.domain.proofs import Proof
from otp_service.domain.reports import DeliveryFailure
from otp_service.domain.verification import DeliveryStatus, SmsSend, Status, Verification
from otp_service.services.verification import Approved, SendOutcome
from otp_service.web.api.validation_errors import to_invalid_request

# ── field types of requests ──

_PRINTABLE = r"^[^\u0000-\u001f\u007f-\u009f]*$"
"""No control characters: no person types one, and no program needs one."""

_PASTED = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$"
"""Like `_PRINTABLE`, but with tabs and line breaks, which pasted text may contain."""

_LOCALE = r"^[A-Za-z]{2,8}([_-][A-Za-z0-9]{1,8})*([.@][A-Za-z0-9.@_-]*)?$"
"""A language tag. `_` is accepted as well, since Java, iOS and POSIX write `zh_CN`; POSIX may add a character
set and a variant: `zh_CN.UTF-8@pinyin`."""

Text = Annotated[str, StringConstraints(max_length=64, pattern=_PRINTABLE)]
TypedText = Annotated[str, StringConstraints(max_length=text_normalization.MAX_LENGTH, pattern=_PASTED)]
"""What a person types or pastes. The length limit applies before normalization."""

PhoneField = Annotated[
    TypedText,
    Field(
        description="The phone number, in E.164 or in any notation that is usual in the default region. "
        "Digits of every script are accepted; spaces, hyphens and invisible characters are ignored.",
        examples=["+8613800138000"],
    ),
]
VerificationIdField = Annotated[
    TypedText,
    AfterValidator(text_normalization.fold_id),
    Field(
        description="The id from the response of `/otp/request`. White space and invisible characters are "
        "ignored.",
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
        description="The code as the person typed it, as a string: codes may begin with zeros. Digits of "
        "every script and letters in either case are accepted; spaces, hyphens, dots and invisible "
        "characters are ignored.",
        examples=["012345"],
    ),
]
ClientIpField = Annotated[
    Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=_PRINTABLE)] | None,
    Field(
        description="The end user's IP address, for the limits per address; secret keys only. "
        "Without it these limits are skipped. Some clients are configured to require it.",
        examples=["203.0.113.7"],
    ),
]


# ── requests ──


class RequestModel(BaseModel):
    """The body of a request: exactly these fields, of exactly these types."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)

    @classmethod
    def read(cls, fields: dict[str, object]) -> Self:
        """Validate *fields*.

        Raises:
            InvalidRequest: lists each field that is unknown, missing or malformed.
        """
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise to_invalid_request(error) from None


class SendCodeRequest(RequestModel):
    """What to verify, or, with `verification_id`, the verification to send another SMS for."""

    model_config = ConfigDict(json_schema_extra={"not": {"required": ["verification_id", "purpose"]}})

    phone: PhoneField
    purpose: Annotated[
        Text | None,
        Field(
            description="Why the phone is verified. Optional if the client has only one purpose. Not allowed "
            "in a resend, which keeps the purpose of its verification.",
            examples=["login"],
        ),
    ] = None
    verification_id: Annotated[
        Annotated[TypedText, AfterValidator(text_normalization.fold_id)] | None,
        Field(description="Resend: send another SMS with the same code for this verification."),
    ] = None
    locale: Annotated[
        LocaleText | None,
        Field(
            description="The language of the SMS, if templates exist in several.",
            examples=["zh-CN"],
        ),
    ] = None
    client_ip: ClientIpField = None
    known_phone: Annotated[
        bool | None,
        Field(
            description="The caller has an account with this phone: the request may use the share of the "
            "daily budgets that is reserved for known phones. Secret keys only."
        ),
    ] = None
    known_device: Annotated[
        bool | None,
        Field(
            description="The caller recognizes this person's device or session, for example by a cookie set "
            "after an earlier login. The request is trusted, and may use quotas that strangers cannot "
            "exhaust. An existing account is not enough, because anyone can start a login. Secret keys only."
        ),
    ] = None
    accepts_challenge: Annotated[
        bool | None,
        Field(
            description="The caller can pass a risk challenge to its page and repeat the request with the "
            "solution. While the wrong-code alarm is on, such a request gets a challenge, as a browser does; "
            "requests with a secret key but without this field do not. Secret keys only."
        ),
    ] = None
    risk_solution: Annotated[
        str | None,
        StringConstraints(max_length=4096, pattern=_PRINTABLE),
        Field(
            description="The solution of the risk challenge that an earlier request returned; for altcha, "
            "its payload in base64. Valid once, for this phone and this client."
        ),
    ] = None


class VerifyRequest(RequestModel):
    """One attempt: the code that a person typed."""

    phone: PhoneField
    verification_id: VerificationIdField
    code: CodeField
    client_ip: ClientIpField = None


class RedeemRequest(RequestModel):
    """A proof to redeem, and the purpose it must have."""

    proof: Annotated[
        str,
        StringConstraints(max_length=2048, pattern=_PRINTABLE),
        Field(
            description="The proof from the response of `/otp/verify`.",
            examples=["eyJpc3MiOiJvdHAi….aSNd-Q.k7…"],
        ),
    ]
    purpose: Annotated[
        Text,
        Field(
            description="The purpose that the proof must have; a proof for another one is rejected.",
            examples=["login"],
        ),
    ]
    allow_test: Annotated[
        bool | None, Field(description="Also accept proofs of configured test phones.", strict=True)
    ] = None


class CreatePageRequest(RequestModel):
    """A hosted page to create."""

    return_url: Annotated[
        str,
        StringConstraints(max_length=2048, pattern=_PRINTABLE),
        Field(
            description="Where the page posts the proof. Must equal one of the client's `return_urls`.",
            examples=["https://www.example.com/verified"],
        ),
    ]
    purpose: Annotated[
        Text | None,
        Field(
            description="Why the phone is verified. Optional if the client has only one purpose.",
            examples=["signup"],
        ),
    ] = None
    state: Annotated[
        str | None,
        StringConstraints(max_length=512, pattern=_PRINTABLE),
        Field(
            description="Returned unchanged together with the proof. Bind it to your visitor's session, and "
            "check it.",
            examples=["f3b1c9"],
        ),
    ] = None
    locale: Annotated[
        LocaleText | None,
        Field(
            description="The language of the page and the SMS. By default the page uses the browser's.",
            examples=["zh-CN"],
        ),
    ] = None
    client_ip: ClientIpField = None


class UnlockRequest(RequestModel):
    """The phone to unlock."""

    phone: PhoneField


class VerificationRequest(RequestModel):
    """The verification to look up or to cancel."""

    phone: PhoneField
    verification_id: VerificationIdField


# ── responses ──

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-11-23T08:07:41Z"])]
Seconds = Annotated[int, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]


class ResponseModel(BaseModel):
    """The body of a successful response, or an object in it: these fields and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class VerificationResponse(ResponseModel):
    """The current state of a verification."""

    verification_id: Annotated[
        str,
        Field(description="The id that is needed to resend, verify, look up or cancel this verification."),
    ]
    status: Status
    purpose: str
    phone_masked: Annotated[str, Field(examples=["+86 138****8000"])]
    code_length: Annotated[int, Field(description="The number of characters of the code.")]
    code_type: Annotated[CodeType, Field(description="Digits, or digits and capital letters.")]
    expires_at: Time
    expires_in: Annotated[Seconds, Field(description="Seconds until `expires_at`, rounded down.")]
    resend_at: Annotated[
        Time | None, Field(description="When the next SMS may be requested; null if no more can be sent.")
    ]
    resend_in: Annotated[Seconds | None, Field(description="Seconds until `resend_at`, rounded up.")]
    sends_left: Annotated[
        Count, Field(description="How many more SMS can be sent: the minimum over all limits that apply.")
    ]
    attempts_left: Annotated[Count, Field(description="How many more codes can be submitted.")]
    delivery: Annotated[DeliveryStatus, Field(description="The delivery status of the latest SMS.")]


class FailureReason(ResponseModel):
    """Why an SMS was not delivered, for people."""

    code: Annotated[str, Field(examples=["MOBILE_NOT_ON_SERVICE"], description="The provider's code.")]
    en: str
    zh: str


class SentSms(ResponseModel):
    """One SMS of a verification and its delivery status."""

    number: Annotated[int, Field(ge=1)]
    delivery: DeliveryStatus
    at: Time
    route: Annotated[str, Field(description="The configured route; empty until it is known.")]
    reason: Annotated[
        FailureReason | None, Field(description="Why it was not delivered; null unless it is undelivered.")
    ]


class StatusResponse(VerificationResponse):
    """The current state of a verification and, for secret keys, its SMS."""

    sends: Annotated[
        list[SentSms] | None, Field(description="Its SMS, oldest first; null for publishable keys.")
    ]


class ApprovedResponse(ResponseModel):
    """The code was correct, and `proof` proves it to every server that trusts this service."""

    status: Literal[Status.APPROVED]
    verification_id: str
    purpose: str
    phone: Annotated[str, Field(description="The full number in E.164.", examples=["+8613800138000"])]
    proof: Annotated[str, Field(description="The signed proof; redeem it once, on a server.")]
    proof_expires_in: Seconds


class RedeemedResponse(ResponseModel):
    """The claims of a valid proof, which has now been redeemed."""

    phone: Annotated[str, Field(description="The full number in E.164.", examples=["+8613800138000"])]
    purpose: str
    verification_id: str
    client: str
    verified_at: Time
    amr: Annotated[list[str], Field(description="The authentication methods (RFC 8176).", examples=[["sms"]])]


class PageResponse(ResponseModel):
    """A new hosted page."""

    url: Annotated[
        str,
        Field(
            description="The URL to send the visitor to. It works only in the browser that submits the first "
            "form.",
            examples=["https://otp.example.com/otp/pages/dGhpcyBpcyBubyByZWFsIGlkIGF0IGFs"],
        ),
    ]
    expires_at: Time
    expires_in: Seconds


class HealthResponse(ResponseModel):
    """The process is alive."""

    status: Literal["ok"] = "ok"


class RouteStatus(BaseModel):
    """The state of one SMS route: `ok`, or one word for the problem."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str
    state: str


class ReadyResponse(ResponseModel):
    """The store accepts writes. `degraded`: a route has a problem, which does not affect `/otp/verify`.

    `warnings`: `store_not_persistent` means that a restart of Redis would lose all codes and counters;
    `wrong_code_alarm` means that so many codes were wrong today that browsers must solve a risk challenge.
    `version`: the release of the service that responds.
    """

    status: Literal["ready", "degraded"]
    version: str
    store: Literal["ok"] = "ok"
    warnings: list[Literal["store_not_persistent", "wrong_code_alarm"]]
    routes: list[RouteStatus]


# ── responses from the values of the services ──


def verification_response(outcome: SendOutcome) -> VerificationResponse:
    """Describe the verification after a request or resend."""
    return VerificationResponse(**_verification_fields(outcome))


def status_response(
    outcome: SendOutcome, describe_failure: Callable[[str], DeliveryFailure], *, with_sends: bool
) -> StatusResponse:
    """Describe a verification; *with_sends* adds the delivery of each SMS, which only servers may see.

    *describe_failure* explains a provider's code for an SMS that was not delivered.
    """
    sends = None
    if with_sends:
        sends = [_sent_sms(send, describe_failure) for send in outcome.verification.sends]
    return StatusResponse(**_verification_fields(outcome), sends=sends)


def approved_response(approved: Approved) -> ApprovedResponse:
    """Describe an approval."""
    return ApprovedResponse(
        status=Status.APPROVED,
        verification_id=approved.verification_id,
        purpose=approved.purpose,
        phone=approved.phone.e164,
        proof=approved.proof,
        proof_expires_in=approved.proof_expires_in,
    )


def redeemed_response(proof: Proof) -> RedeemedResponse:
    """Return the claims of *proof*."""
    return RedeemedResponse(
        phone=proof.phone,
        purpose=proof.purpose,
        verification_id=proof.verification_id,
        client=proof.client,
        verified_at=rfc3339(proof.issued_at),
        amr=list(proof.amr),
    )


def page_response(url: str, ends_at: float, now: float) -> PageResponse:
    """Return the URL of a hosted page that ends at *ends_at* (unix seconds)."""
    left = max(0, math.floor(ends_at - now))
    return PageResponse(url=url, expires_at=rfc3339(math.floor(ends_at)), expires_in=left)


def ready_response(routes: Sequence[dict[str, object]], *, persists: bool, risk_level: int) -> ReadyResponse:
    """Describe a healthy store.

    Args:
        routes: name and state of each SMS route.
        persists: whether the data of the store survives a restart.
        risk_level: the level of the wrong-code alarm, 0 if it is off.
    """
    states = [RouteStatus.model_validate(route) for route in routes]
    warnings: list[Literal["store_not_persistent", "wrong_code_alarm"]] = []
    if not persists:
        warnings.append("store_not_persistent")
    if risk_level:
        warnings.append("wrong_code_alarm")
    all_ok = all(route.state == "ok" for route in states)
    status: Literal["ready", "degraded"] = "ready" if all_ok else "degraded"
    return ReadyResponse(status=status, version=__version__, warnings=warnings, routes=states)


@lru_cache(maxsize=1024)  # the times of one second's calls, and of their expiry, repeat
def rfc3339(seconds: int) -> str:
    """Format unix *seconds* as RFC 3339 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _verification_fields(outcome: SendOutcome) -> dict[str, Any]:
    """Round the absolute times like the relative ones: the expiry down, the next resend up."""
    verification: Verification = outcome.verification
    resend_at = verification.resend_at
    return {
        "verification_id": outcome.verification_id,
        "status": verification.status,
        "purpose": verification.purpose,
        "phone_masked": outcome.phone.masked(),
        "code_length": LENGTH,
        "code_type": verification.code_type,
        "expires_at": rfc3339(math.floor(verification.expires_at)),
        "expires_in": verification.expires_in,
        "resend_at": None if resend_at is None else rfc3339(math.ceil(resend_at)),
        "resend_in": verification.resend_in,
        "sends_left": verification.sends_left,
        "attempts_left": verification.attempts_left,
        "delivery": verification.delivery,
    }


def _sent_sms(send: SmsSend, describe_failure: Callable[[str], DeliveryFailure]) -> SentSms:
    reason = None
    if send.delivery is DeliveryStatus.UNDELIVERED:
        failure = describe_failure(send.reason)
        reason = FailureReason(code=failure.code, en=failure.english, zh=failure.chinese)
    return SentSms(
        number=send.number,
        delivery=send.delivery,
        at=rfc3339(math.floor(send.at)),
        route=send.route,
        reason=reason,
    )
