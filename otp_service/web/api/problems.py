"""Problem documents (RFC 9457), and the HTTP status of each error, which only this module knows.

Every error, of the domain or of Flask, becomes a problem document with a stable `code`. An unexpected
exception becomes `internal_error`. Its text may contain a phone number, so only its type and the line that
raised it are recorded, and only in the log.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from traceback import walk_tb

from flask import Response
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import MethodNotAllowed as WrongMethod

from otp_service.domain import errors
from otp_service.domain.errors import FieldError, InternalError, InvalidRequest, OtpError, RetryableError
from otp_service.web.api import request_id as request_ids
from otp_service.web.api.responses import respond

MEDIA_TYPE = "application/problem+json"

STATUSES: Mapping[type[OtpError], int] = {
    errors.InvalidRequest: 400,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.DestinationBlocked: 403,
    errors.ChallengeRequired: 403,
    errors.NotFound: 404,
    errors.VerificationNotFound: 404,
    errors.MethodNotAllowed: 405,
    errors.AlreadyVerified: 409,
    errors.ProofRedeemed: 409,
    errors.IdempotencyInProgress: 409,
    errors.VerificationExpired: 410,
    errors.VerificationCanceled: 410,
    errors.ProofExpired: 410,
    errors.PayloadTooLarge: 413,
    errors.UnsupportedMediaType: 415,
    errors.InvalidPhone: 422,
    errors.InvalidCode: 422,
    errors.WrongCode: 422,
    errors.InvalidProof: 422,
    errors.DestinationRejected: 422,
    errors.IdempotencyKeyReused: 422,
    errors.AttemptsExhausted: 429,
    errors.CooldownActive: 429,
    errors.LimitReached: 429,
    errors.ProviderRateLimited: 429,
    errors.InternalError: 500,
    errors.ProviderMisconfigured: 502,
    errors.ProviderUnavailable: 503,
    errors.StoreUnavailable: 503,
}

_FLASK_ERRORS: Mapping[int, type[OtpError]] = {
    404: errors.NotFound,
    405: errors.MethodNotAllowed,
    413: errors.PayloadTooLarge,
    415: errors.UnsupportedMediaType,
}
_FLASK_DETAILS: Mapping[int, str] = {
    408: "did not arrive in time",
    414: "has a URL that is too long",
    431: "has headers that are too large",
}

_PACKAGE = Path(__file__).resolve().parents[2]


def status_of(error: OtpError) -> int:
    """Return the status of *error*, or of its nearest base class that has one."""
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)


def type_uri(code: str) -> str:
    """Return the URI that identifies the type of problem. It cannot be dereferenced."""
    return f"urn:otp-service:problem:{code}"


def from_exception(error: Exception) -> OtpError:
    """Convert any exception to an error of the domain."""
    if isinstance(error, OtpError):
        return error
    if isinstance(error, HTTPException):
        return _from_flask(error.code or 500)
    return InternalError()


def document(error: OtpError, request_id: str) -> dict[str, object]:
    """Return *error* as a problem document."""
    return {
        "type": type_uri(error.code),
        "title": error.title,
        "status": status_of(error),
        "code": error.code,
        "request_id": request_id,
        **error.members(),
    }


def render(error: OtpError, cause: Exception) -> Response:
    """Return *error* as a response; *cause* is the exception that it was converted from."""
    return respond(
        status_of(error),
        json.dumps(document(error, request_ids.current()), separators=(",", ":")),
        media_type=MEDIA_TYPE,
        headers=_headers(error, cause),
    )


def origin(error: BaseException) -> str:
    """Return file and line of the innermost frame in this package; only these and the type are logged."""
    lines = [_line(frame.f_code.co_filename, number) for frame, number in walk_tb(error.__traceback__)]
    return next((line for line in reversed(lines) if line), "")


def _from_flask(status: int) -> OtpError:
    if status in _FLASK_ERRORS:
        return _FLASK_ERRORS[status]()
    if 400 <= status < 500:  # noqa: PLR2004 - the range of client errors
        detail = _FLASK_DETAILS.get(status, "is not acceptable")
        return InvalidRequest([FieldError(pointer="", detail=detail)])
    return InternalError()


def _headers(error: OtpError, cause: Exception) -> tuple[tuple[str, str], ...]:
    if isinstance(error, RetryableError):
        return (("Retry-After", str(error.retry_after)),)
    if isinstance(error, errors.Unauthorized):
        return (("WWW-Authenticate", "Bearer"),)
    if isinstance(cause, WrongMethod):
        return (("Allow", ", ".join(sorted(cause.valid_methods or ()))),)
    return ()


def _line(filename: str, number: int) -> str:
    path = Path(filename)
    return f"{path.relative_to(_PACKAGE.parent)}:{number}" if path.is_relative_to(_PACKAGE) else ""
