"""Views: what lets into a view of one's own application only who brings a proof. Touches Flask.

A proof is looked for where forms, scripts and apps put it, and never in an address. It is used up before the
view is called, so that of two calls with the same proof one gets in.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol, TypeVar, cast

from flask import Response, current_app, request

from otp_service.client import ApiError, OtpServiceError, OutcomeUnknown, ServiceUnreachable
from otp_service.domain import errors
from otp_service.domain.errors import FieldError, InvalidProof, InvalidRequest, OtpError, StoreUnavailable
from otp_service.web.api import problems, request_id

HEADER = "X-OTP-Proof"
FIELD = "proof"
LONGEST = 2048
"""Characters of a proof; ours have about 400."""

View = TypeVar("View", bound=Callable[..., Any])

_TOLD = {
    error.code: error
    for error in (errors.InvalidProof, errors.ProofExpired, errors.ProofRedeemed, errors.StoreUnavailable)
}
"""What a visitor is told of; any other error is a mistake of the application, and its own affair."""


class Redeemed(Protocol):
    """What a proof has proved."""

    @property
    def phone(self) -> str:
        """The number in E.164."""
        ...


def require_proof(
    redeem: Callable[..., Redeemed],
    *,
    purpose: str,
    refused: Callable[[OtpError], Any] | None = None,
) -> Callable[[View], View]:
    """Call a view with `phone=`, the number of a proof for *purpose* that is used up by this very call.

    The proof is that of the header `X-OTP-Proof`, or the field `proof` of a JSON body or a form. *redeem* is
    called as `redeem(proof, purpose=…)`: the `redeem` of an `OtpClient`, the `redeem_for` of a blueprint, or
    `read_proof` with everything else given. A call without a good proof is answered with a problem document,
    or with what *refused* makes of the error; the view is not called then.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            try:
                redeemed = _redeemed(redeem, _given(), purpose)
            except OtpError as error:
                return (refused or _problem)(error)
            return current_app.ensure_sync(view)(*args, phone=redeemed.phone, **kwargs)

        return cast("View", guarded)

    return decorate


def _given() -> str:
    """Return the proof that was brought along.

    Raises:
        InvalidRequest: there is none.
        InvalidProof: it cannot be one.
    """
    proof = request.headers.get(HEADER) or _of_body()
    if not proof:
        raise InvalidRequest([FieldError(pointer=f"/{FIELD}", detail="is required")])
    if not isinstance(proof, str) or len(proof) > LONGEST:
        raise InvalidProof
    return proof


def _of_body() -> object:
    if not request.is_json:
        return request.form.get(FIELD)
    told = request.get_json(silent=True)
    return told.get(FIELD) if isinstance(told, dict) else None


def _redeemed(redeem: Callable[..., Redeemed], proof: str, purpose: str) -> Redeemed:
    """Use *proof* up; whoever is asked, the errors are those of `domain/errors.py`."""
    try:
        return redeem(proof, purpose=purpose)
    except (ServiceUnreachable, OutcomeUnknown):
        raise StoreUnavailable from None
    except OtpServiceError as error:
        told = _TOLD.get(error.code) if isinstance(error, ApiError) else None
        if told is None:
            raise
        raise told() from None


def _problem(error: OtpError) -> Response:
    request_id.begin()
    try:
        return problems.render(error, error)
    finally:
        request_id.end()
