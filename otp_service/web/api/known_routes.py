"""Known calls: every endpoint with each code that its calls may end in, for metrics that start at 0."""

from __future__ import annotations

from collections.abc import Iterator

from otp_service.domain import errors
from otp_service.domain.errors import OtpError
from otp_service.web.api.routes import ENDPOINTS

OK = "ok"

_OF_OTHERS: dict[str, tuple[type[OtpError], ...]] = {
    "reports": (
        errors.InvalidRequest,
        errors.NotFound,
        errors.PayloadTooLarge,
        errors.StoreUnavailable,
        errors.InternalError,
    ),
    "readyz": (errors.StoreUnavailable, errors.InternalError),
    "hosted_page": (errors.StoreUnavailable, errors.InternalError),
    "hosted_form": (
        errors.InvalidRequest,
        errors.PayloadTooLarge,
        errors.UnsupportedMediaType,
        errors.StoreUnavailable,
        errors.InternalError,
    ),
    "address_probe": (
        errors.InvalidRequest,
        errors.NotFound,
        errors.PayloadTooLarge,
        errors.UnsupportedMediaType,
        errors.InternalError,
    ),
    "none": (errors.NotFound, errors.MethodNotAllowed, errors.InternalError),
}
"""Endpoints that are not calls of the API. Except for forms, only their failures are counted."""


def known_calls() -> Iterator[tuple[str, str]]:
    """List endpoints and codes as `otp_service_http_requests_total` names them."""
    for call in ENDPOINTS:
        yield call.name, OK
        yield from ((call.name, problem.code) for problem in call.all_problems())
    yield "hosted_form", OK
    for endpoint, problems in _OF_OTHERS.items():
        yield from ((endpoint, problem.code) for problem in problems)
