"""Problem schemas: how each error looks on the wire, for the OpenAPI document."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from otp_service.domain.errors import (
    ChallengeRequired,
    InvalidRequest,
    LimitError,
    OtpError,
    RetryableError,
    WrongCode,
)
from otp_service.web.api.problems import STATUSES, document, type_uri

SAMPLE_REQUEST_ID = "req_hB3XJ5o8yq0ZdTkM"
SAMPLE_CHALLENGE: dict[str, object] = {
    "algorithm": "SHA-256",
    "challenge": "2c5e8a…",
    "maxnumber": 50_000,
    "salt": "b1946ac9…?expires=1795421861&level=1&for=721c7e0a…&",
    "signature": "7f83b165…",
}


class Problem(BaseModel):
    """An RFC 9457 problem document. Branch on `code`, and ignore members that you do not know."""

    type: Annotated[str, Field(description="Names the kind of problem; nothing is to be fetched there.")]
    title: Annotated[str, Field(description="The problem in a sentence, for developers.")]
    status: int
    code: Annotated[str, Field(description="The stable name of the problem.")]
    request_id: Annotated[str, Field(description="Finds this call in the service's log.")]


class Place(BaseModel):
    """One thing wrong with a request."""

    pointer: Annotated[
        str,
        Field(description="A JSON pointer (RFC 6901) to it; empty for the whole body.", examples=["/phone"]),
    ]
    detail: Annotated[str, Field(examples=["is required"])]


class ProblemWithPlaces(Problem):
    """A malformed request, with every place that is wrong."""

    errors: list[Place]


class ProblemWithAttempts(Problem):
    """A wrong code, with the attempts that remain."""

    attempts_left: Annotated[int, Field(ge=0)]


class ProblemWithDelay(Problem):
    """A problem that passes with time."""

    retry_after: Annotated[int, Field(ge=0, description="Whole seconds, as in the header `Retry-After`.")]


class ProblemWithLimit(ProblemWithDelay):
    """A limit of this service, with its name."""

    limit: Annotated[str, Field(examples=["sends_per_hour"])]


class ProblemWithChallenge(Problem):
    """A risk challenge that must be solved first."""

    challenge: Annotated[
        dict[str, object],
        Field(description="What a browser needs to solve it; by default a challenge of the altcha protocol."),
    ]


MODELS = (
    Problem,
    ProblemWithPlaces,
    ProblemWithAttempts,
    ProblemWithDelay,
    ProblemWithLimit,
    ProblemWithChallenge,
)


def model(error: type[OtpError]) -> type[Problem]:
    """Return the shape that problems of *error* have."""
    if issubclass(error, InvalidRequest):
        return ProblemWithPlaces
    if issubclass(error, WrongCode):
        return ProblemWithAttempts
    if issubclass(error, LimitError):
        return ProblemWithLimit
    if issubclass(error, ChallengeRequired):
        return ProblemWithChallenge
    return ProblemWithDelay if issubclass(error, RetryableError) else Problem


def schema(error: type[OtpError]) -> dict[str, object]:
    """Return the JSON schema of *error*: its shape, with what never changes about it."""
    return {
        "description": error.title,
        "allOf": [{"$ref": f"#/components/schemas/{model(error).__name__}"}],
        "properties": {
            "type": {"const": type_uri(error.code)},
            "status": {"const": STATUSES[error]},
            "code": {"const": error.code},
        },
    }


def example(error: type[OtpError]) -> dict[str, object]:
    """Return a problem document as it could come."""
    return document(_sample(error), SAMPLE_REQUEST_ID)


def _sample(error: type[OtpError]) -> OtpError:
    if issubclass(error, InvalidRequest):
        return error([{"pointer": "/phone", "detail": "is required"}])
    if issubclass(error, WrongCode):
        return error(4)
    if issubclass(error, LimitError):
        return error(42, "phone_cooldown")
    if issubclass(error, ChallengeRequired):
        return error(SAMPLE_CHALLENGE)
    return error(2) if issubclass(error, RetryableError) else error()
