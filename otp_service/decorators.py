"""Flask decorator that requires a valid proof.

The proof may be in a header, a JSON body or a form, but never in the URL. It is redeemed before the view is
called, so only one of two requests with the same proof reaches the view.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol, TypeVar, cast

from flask import Response, current_app, request

from otp_service.domain.errors import (
    FieldError,
    InvalidProof,
    InvalidRequest,
    OtpError,
    ProofError,
    ProofExpired,
    ProofRedeemed,
    StoreUnavailable,
)
from otp_service.web.api import problems, request_id

HEADER = "X-OTP-Proof"
FIELD = "proof"
LONGEST = 2048
"""In characters. Proofs of this service have about 400."""

View = TypeVar("View", bound=Callable[..., Any])

_REPORTED: dict[object, type[ProofError | StoreUnavailable]] = {
    **{error.code: error for error in (InvalidProof, ProofExpired, ProofRedeemed, StoreUnavailable)},
    "service_unreachable": StoreUnavailable,
    "outcome_unknown": StoreUnavailable,
}
"""The codes of the Python client's errors that are reported to the visitor.

Any other error is a bug in the application and is raised again.
"""


class Redeemed(Protocol):
    """What redeeming a proof returns."""

    @property
    def phone(self) -> str:
        """The verified number in E.164."""
        ...


def require_proof(
    redeem: Callable[..., Redeemed],
    *,
    purpose: str,
    refused: Callable[[OtpError], Any] | None = None,
) -> Callable[[View], View]:
    """Redeem the request's proof for *purpose*, and call the view with the number as `phone=`.

    The proof is in the header `X-OTP-Proof`, or in the field `proof` of a JSON body or a form. *redeem* is
    called as `redeem(proof, purpose=…)`. It is the `redeem` method of an `OtpClient`, the result of a
    blueprint's `redeem_for`, or `read_proof` with its other arguments bound. Without a valid proof the view
    is not called: the response is a problem document, or what *refused* returns for the error.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            try:
                redeemed = _redeemed(redeem, _proof_of_request(), purpose)
            except OtpError as error:
                return (refused or _problem)(error)
            return current_app.ensure_sync(view)(*args, phone=redeemed.phone, **kwargs)

        return cast("View", guarded)

    return decorate


def _proof_of_request() -> str:
    """Return the request's proof.

    Raises:
        InvalidRequest: the request has no proof.
        InvalidProof: the field is not text, or too long.
    """
    proof = request.headers.get(HEADER) or _proof_of_body()
    if not proof:
        raise InvalidRequest([FieldError(pointer=f"/{FIELD}", detail="is required")])
    if not isinstance(proof, str) or len(proof) > LONGEST:
        raise InvalidProof
    return proof


def _proof_of_body() -> object:
    if not request.is_json:
        return request.form.get(FIELD)
    body = request.get_json(silent=True)
    return body.get(FIELD) if isinstance(body, dict) else None


def _redeemed(redeem: Callable[..., Redeemed], proof: str, purpose: str) -> Redeemed:
    """Redeem *proof*, and translate the errors of the Python client into those of `domain/errors.py`.

    They are recognized by their `code`: the client is a separate package and need not be installed.
    """
    try:
        return redeem(proof, purpose=purpose)
    except OtpError:
        raise
    except Exception as error:
        reported = _REPORTED.get(getattr(error, "code", None))
        if reported is None:
            raise
    raise reported()


def _problem(error: OtpError) -> Response:
    request_id.begin()
    try:
        return problems.render(error, error)
    finally:
        request_id.end()
