"""The OpenAPI 3.1 document, generated from the tables and models that also serve the requests."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from itertools import groupby
from typing import Annotated, Any

from pydantic import BaseModel, Field
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema

from otp_service import __version__
from otp_service.domain import errors
from otp_service.domain.clients import KeyKind
from otp_service.domain.errors import (
    ChallengeRequired,
    InvalidRequest,
    LimitError,
    OtpError,
    RetryableError,
    WrongCode,
)
from otp_service.web.api import idempotency, openapi_examples, problems, rate_limit, request_id, schemas
from otp_service.web.api.responses import JSON
from otp_service.web.api.routes import ENDPOINTS, Endpoint
from otp_service.web.api.schemas import ResponseModel

Json = dict[str, Any]

_SCHEMES = {KeyKind.SECRET: "secretKey", KeyKind.PUBLISHABLE: "publishableKey"}
_DESCRIPTION = (
    "Verifies phone numbers: `/otp/request` sends a code by SMS, `/otp/verify` checks the code that the "
    "person typed and returns a signed proof, and `/otp/redeem` redeems that proof once.\n\n"
    "Every error is an RFC 9457 problem document with a stable `code`."
)


@lru_cache(maxsize=4)
def text(server: str = "/") -> str:
    """Return the document as JSON; *server* is the URL or path that the API is mounted at."""
    return json.dumps({**document(), "servers": [{"url": server}]}, ensure_ascii=False)


@cache
def document() -> Json:
    """Return the document. It is cached, so do not modify it."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "otp_service", "version": __version__, "description": _DESCRIPTION},
        "servers": [{"url": "/"}],
        "paths": {
            **{endpoint.path: {"post": _operation(endpoint)} for endpoint in ENDPOINTS},
            **_other_paths(),
        },
        "components": {
            "schemas": _schemas(),
            "headers": _headers(),
            "parameters": _parameters(),
            "responses": _unrouted(),
            "securitySchemes": _security_schemes(),
        },
    }


# ── endpoints ──


def _operation(endpoint: Endpoint) -> Json:
    return {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "description": endpoint.description,
        "tags": ["calls"],
        "security": [{scheme: []} for kind, scheme in _SCHEMES.items() if kind in endpoint.callers],
        "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in _parameters_of(endpoint)],
        "requestBody": {
            "required": True,
            "content": _content(JSON, _ref(endpoint.body), example=openapi_examples.request(endpoint.body)),
        },
        "responses": {
            **{
                str(status): _success(status, model, with_replay=endpoint.supports_idempotency)
                for status, model in endpoint.responses.items()
            },
            **_problem_responses(endpoint.all_problems()),
        },
    }


def _parameters_of(endpoint: Endpoint) -> list[str]:
    return ["RequestId", "IdempotencyKey"] if endpoint.supports_idempotency else ["RequestId"]


def _success(status: int, model: type[ResponseModel] | None, *, with_replay: bool = False) -> Json:
    names = ["RequestId", "IdempotencyReplayed"] if with_replay else ["RequestId"]
    has_limits = model is not None and issubclass(model, schemas.VerificationResponse)
    names += _LIMITS if has_limits else []
    response: Json = {
        "description": openapi_examples.STATUS_DESCRIPTIONS[status],
        "headers": _header_refs(*names),
    }
    if model is not None:
        response["content"] = _content(JSON, _ref(model), example=openapi_examples.response(model, status))
    return response


def _problem_responses(kinds: Iterable[type[OtpError]]) -> Json:
    by_status = sorted(kinds, key=lambda error: (problems.STATUSES[error], error.code))
    return {
        str(status): _problem(list(same))
        for status, same in groupby(by_status, problems.STATUSES.__getitem__)
    }


def _problem(kinds: list[type[OtpError]]) -> Json:
    refs = [{"$ref": f"#/components/schemas/{error.__name__}"} for error in kinds]
    schema = refs[0] if len(refs) == 1 else {"oneOf": refs}
    names = ["RequestId"]
    names += ["RetryAfter"] if any(issubclass(error, RetryableError) for error in kinds) else []
    names += _LIMITS if any(issubclass(error, LimitError) for error in kinds) else []
    names += ["Authenticate"] if errors.Unauthorized in kinds else []
    examples = {error.code: {"value": openapi_examples.problem(error)} for error in kinds}
    return {
        "description": "\n".join(f"- `{error.code}`: {error.title}" for error in kinds),
        "headers": _header_refs(*names),
        "content": {problems.MEDIA_TYPE: {"schema": schema, "examples": examples}},
    }


# ── other paths ──

_READINESS_REASON: Json = {
    "enum": ["store_schema_newer"],
    "description": "Why a Redis that accepts writes is not used: a newer release writes data to it that this "
    "release cannot read. Absent otherwise.",
}


def _other_paths() -> Json:
    ready: Json = {"200": _success(200, schemas.ReadyResponse)}
    ready |= _problem_responses([errors.StoreUnavailable, errors.InternalError])
    ready["503"]["content"][problems.MEDIA_TYPE]["schema"] |= {"properties": {"reason": _READINESS_REASON}}
    return {
        "/healthz": _page(
            "healthz", "Liveness: the process responds", {"200": _success(200, schemas.HealthResponse)}
        ),
        "/readyz": _page("readyz", "Readiness: requests can be served", ready),
        "/openapi.json": _page("openapi_json", "This document", _plain(JSON, {"type": "object"})),
        "/docs": _page("docs", "This document as a web page", _plain("text/html", {"type": "string"})),
        "/otp/widget.js": _page(
            "widget_js",
            "The module that defines `<otp-verify>`, for signup pages",
            _plain("text/javascript", {"type": "string"}),
        ),
    }


def _page(name: str, summary: str, responses: Json) -> Json:
    operation = {"operationId": name, "summary": summary, "tags": ["pages"], "security": []}
    return {"get": {**operation, "responses": responses}}


def _plain(media_type: str, schema: Json) -> Json:
    return {
        "200": {
            "description": openapi_examples.STATUS_DESCRIPTIONS[200],
            "content": {media_type: {"schema": schema}},
        }
    }


# ── components ──


class _Schemas(GenerateJsonSchema):
    """Pydantic's schemas without field titles, which only repeat the field names."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's signature
        return False


def _schemas() -> Json:
    models: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        (endpoint.body, "validation") for endpoint in ENDPOINTS
    ]
    models += [
        (model, "serialization") for endpoint in ENDPOINTS for model in endpoint.responses.values() if model
    ]
    models += [(schemas.HealthResponse, "serialization"), (schemas.ReadyResponse, "serialization")]
    models += [(model, "serialization") for model in _PROBLEM_MODELS]
    _, schema = models_json_schema(
        list(dict.fromkeys(models)),
        ref_template="#/components/schemas/{model}",
        schema_generator=_Schemas,
    )
    of_errors = {error.__name__: _problem_schema(error) for error in problems.STATUSES}
    return {**schema["$defs"], **of_errors}


class Problem(BaseModel):
    """An RFC 9457 problem document. Branch on `code`, and ignore members that you do not know."""

    type: Annotated[str, Field(description="Identifies the type of problem; it cannot be dereferenced.")]
    title: Annotated[str, Field(description="A summary in one sentence, for developers.")]
    status: int
    code: Annotated[str, Field(description="The stable name of the problem.")]
    request_id: Annotated[str, Field(description="Identifies this request in the service's log.")]


class FieldProblem(BaseModel):
    """One error in a request."""

    pointer: Annotated[
        str,
        Field(description="A JSON pointer (RFC 6901) to it; empty for the whole body.", examples=["/phone"]),
    ]
    detail: Annotated[str, Field(examples=["is required"])]


class ProblemWithFields(Problem):
    """An invalid request, with all of its errors."""

    errors: list[FieldProblem]


class ProblemWithAttempts(Problem):
    """A wrong code, with the number of attempts that remain."""

    attempts_left: Annotated[int, Field(ge=0)]


class ProblemWithDelay(Problem):
    """A temporary problem."""

    retry_after: Annotated[int, Field(ge=0, description="Whole seconds, as in the header `Retry-After`.")]


class ProblemWithLimit(ProblemWithDelay):
    """A limit of this service that was reached, with its name."""

    limit: Annotated[str, Field(examples=["phone_sends_per_hour"])]


class ProblemWithChallenge(Problem):
    """A risk challenge that must be solved first."""

    challenge: Annotated[
        dict[str, object],
        Field(description="What a browser needs to solve it; by default a challenge of the altcha protocol."),
    ]


_PROBLEM_MODELS = (
    Problem,
    ProblemWithFields,
    ProblemWithAttempts,
    ProblemWithDelay,
    ProblemWithLimit,
    ProblemWithChallenge,
)


def _problem_model(error: type[OtpError]) -> type[Problem]:
    """Return the model of problem documents of *error*."""
    if issubclass(error, InvalidRequest):
        return ProblemWithFields
    if issubclass(error, WrongCode):
        return ProblemWithAttempts
    if issubclass(error, LimitError):
        return ProblemWithLimit
    if issubclass(error, ChallengeRequired):
        return ProblemWithChallenge
    return ProblemWithDelay if issubclass(error, RetryableError) else Problem


def _problem_schema(error: type[OtpError]) -> Json:
    """Return the JSON schema of *error*: its model, and the members that are constant."""
    return {
        "description": error.title,
        "allOf": [_ref(_problem_model(error))],
        "properties": {
            "type": {"const": problems.type_uri(error.code)},
            "status": {"const": problems.STATUSES[error]},
            "code": {"const": error.code},
        },
    }


def _headers() -> Json:
    return {
        "RequestId": {
            "description": "Identifies this request in the service's log.",
            "schema": {"type": "string"},
        },
        "RetryAfter": {
            "description": "Whole seconds after which the same request may succeed.",
            "schema": {"type": "integer", "minimum": 0},
        },
        "Authenticate": {"description": "Always `Bearer`.", "schema": {"type": "string"}},
        "IdempotencyReplayed": {
            "description": "`true` if this is the response to an earlier request with the same key.",
            "schema": {"type": "string", "const": "true"},
        },
        "RateLimitPolicy": {
            "description": "For servers: the name of a limit, its quota (`q`) and its window in seconds "
            "(`w`).",
            "schema": {"type": "string"},
        },
        "RateLimit": {
            "description": "For servers: how much of that limit is left (`r`), and the seconds until more is "
            "available (`t`).",
            "schema": {"type": "string"},
        },
    }


_HEADER_NAMES: Mapping[str, str] = {
    "RequestId": request_id.HEADER,
    "RetryAfter": "Retry-After",
    "Authenticate": "WWW-Authenticate",
    "IdempotencyReplayed": idempotency.REPLAYED[0],
    "RateLimitPolicy": rate_limit.POLICY,
    "RateLimit": rate_limit.REMAINING,
}
_LIMITS = ["RateLimitPolicy", "RateLimit"]


def _header_refs(*names: str) -> Json:
    return {_HEADER_NAMES[name]: {"$ref": f"#/components/headers/{name}"} for name in names}


def _parameters() -> Json:
    return {
        "RequestId": {
            "name": request_id.HEADER,
            "in": "header",
            # No pattern: an id of another form is ignored and not an error.
            "description": "The caller's own id for this request, accepted with a secret key; "
            f"an id that does not match `^{request_id.GIVEN.pattern}$` is ignored.",
            "schema": {"type": "string"},
        },
        "IdempotencyKey": {
            "name": "Idempotency-Key",
            "in": "header",
            "description": "Requests with the same key and the same body take effect only once.",
            "schema": {"type": "string", "pattern": f"^{idempotency.KEY.pattern}$"},
        },
    }


def _unrouted() -> Json:
    """Return the responses that belong to no operation: those for unknown paths and methods."""
    return {error.__name__: _problem([error]) for error in (errors.NotFound, errors.MethodNotAllowed)}


def _security_schemes() -> Json:
    return {
        _SCHEMES[KeyKind.SECRET]: {
            "type": "http",
            "scheme": "bearer",
            "description": "`sk_…`, for servers. Never put it into a browser or an app.",
        },
        _SCHEMES[KeyKind.PUBLISHABLE]: {
            "type": "http",
            "scheme": "bearer",
            "description": "`pk_…`, for browsers, on pages of the client's origins.",
        },
    }


def _content(media_type: str, schema: Json, *, example: Json) -> Json:
    return {media_type: {"schema": schema, "example": example}}


def _ref(model: type[BaseModel]) -> Json:
    return {"$ref": f"#/components/schemas/{model.__name__}"}
