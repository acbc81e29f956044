"""The OpenAPI 3.1 document, written from the tables and models that serve the calls."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from itertools import groupby
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema

from otp_service import __version__
from otp_service.domain import errors
from otp_service.domain.clients import KeyKind
from otp_service.domain.errors import LimitError, OtpError, RetryableError
from otp_service.web.api import (
    answers,
    idempotency,
    openapi_examples,
    problem_schemas,
    problems,
    rate_limit,
    request_id,
)
from otp_service.web.api.responses import JSON
from otp_service.web.api.routes import ENDPOINTS, Endpoint

Json = dict[str, Any]

_SCHEMES = {KeyKind.SECRET: "secretKey", KeyKind.PUBLISHABLE: "publishableKey"}
_DESCRIPTION = (
    "Proves that somebody holds a phone number: `/otp/request` sends a code by SMS, `/otp/verify` checks "
    "what the person typed and answers with a signed proof, `/otp/redeem` uses that proof up.\n\n"
    "Every error is an RFC 9457 problem document with a stable `code`."
)


@lru_cache(maxsize=4)
def text(server: str = "/") -> str:
    """Return the document as JSON text; *server* is where the API is mounted."""
    return json.dumps({**document(), "servers": [{"url": server}]}, ensure_ascii=False)


@cache
def document() -> Json:
    """Return the document. It is shared: do not change it."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "otp_service", "version": __version__, "description": _DESCRIPTION},
        "servers": [{"url": "/"}],
        "paths": {**{call.path: {"post": _operation(call)} for call in ENDPOINTS}, **_pages()},
        "components": {
            "schemas": _schemas(),
            "headers": _headers(),
            "parameters": _parameters(),
            "responses": _unrouted(),
            "securitySchemes": _security_schemes(),
        },
    }


# ── calls ──


def _operation(call: Endpoint) -> Json:
    return {
        "operationId": call.name,
        "summary": call.summary,
        "description": call.description,
        "tags": ["calls"],
        "security": [{scheme: []} for kind, scheme in _SCHEMES.items() if kind in call.callers],
        "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in _parameters_of(call)],
        "requestBody": {
            "required": True,
            "content": _content(JSON, _ref(call.body), example=openapi_examples.body(call.body)),
        },
        "responses": {
            **{
                str(status): _success(status, model, repeatable=call.repeatable)
                for status, model in call.answers.items()
            },
            **_problem_responses(call.all_problems()),
        },
    }


def _parameters_of(call: Endpoint) -> list[str]:
    return ["RequestId", "IdempotencyKey"] if call.repeatable else ["RequestId"]


def _success(status: int, model: type[answers.Answer] | None, *, repeatable: bool = False) -> Json:
    names = ["RequestId", "IdempotencyReplayed"] if repeatable else ["RequestId"]
    names += _LIMITS if model is not None and issubclass(model, answers.VerificationAnswer) else []
    response: Json = {"description": openapi_examples.MEANINGS[status], "headers": _header_refs(*names)}
    if model is not None:
        response["content"] = _content(JSON, _ref(model), example=openapi_examples.answer(model, status))
    return response


def _problem_responses(of: Iterable[type[OtpError]]) -> Json:
    by_status = sorted(of, key=lambda error: (problems.STATUSES[error], error.code))
    return {
        str(status): _problem(list(same))
        for status, same in groupby(by_status, problems.STATUSES.__getitem__)
    }


def _problem(of: list[type[OtpError]]) -> Json:
    refs = [{"$ref": f"#/components/schemas/{error.__name__}"} for error in of]
    schema = refs[0] if len(refs) == 1 else {"oneOf": refs}
    names = ["RequestId"]
    names += ["RetryAfter"] if any(issubclass(error, RetryableError) for error in of) else []
    names += _LIMITS if any(issubclass(error, LimitError) for error in of) else []
    names += ["Authenticate"] if errors.Unauthorized in of else []
    examples = {error.code: {"value": problem_schemas.example(error)} for error in of}
    return {
        "description": "\n".join(f"- `{error.code}`: {error.title}" for error in of),
        "headers": _header_refs(*names),
        "content": {problems.MEDIA_TYPE: {"schema": schema, "examples": examples}},
    }


# ── pages ──


def _pages() -> Json:
    ready: Json = {"200": _success(200, answers.ReadyAnswer)}
    ready |= _problem_responses([errors.StoreUnavailable, errors.InternalError])
    return {
        "/healthz": _page(
            "healthz", "Whether the process answers", {"200": _success(200, answers.HealthAnswer)}
        ),
        "/readyz": _page("readyz", "Whether calls can be served", ready),
        "/openapi.json": _page("openapi_json", "This document", _plain(JSON, {"type": "object"})),
        "/docs": _page("docs", "This document, for people", _plain("text/html", {"type": "string"})),
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
        "200": {"description": openapi_examples.MEANINGS[200], "content": {media_type: {"schema": schema}}}
    }


# ── components ──


class _Schemas(GenerateJsonSchema):
    """Pydantic's schemas without a title for each field, which only says its name again."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's signature
        return False


def _schemas() -> Json:
    models: list[tuple[type[BaseModel], JsonSchemaMode]] = [(call.body, "validation") for call in ENDPOINTS]
    answered = {model: None for call in ENDPOINTS for model in call.answers.values() if model}
    models += [(model, "serialization") for model in answered]
    models += [(answers.HealthAnswer, "serialization"), (answers.ReadyAnswer, "serialization")]
    models += [(model, "serialization") for model in problem_schemas.MODELS]
    _, schema = models_json_schema(
        list(dict.fromkeys(models)),
        ref_template="#/components/schemas/{model}",
        schema_generator=_Schemas,
    )
    of_errors = {error.__name__: problem_schemas.schema(error) for error in problems.STATUSES}
    return {**schema["$defs"], **of_errors}


def _headers() -> Json:
    return {
        "RequestId": {
            "description": "Finds this call in the service's log.",
            "schema": {"type": "string"},
        },
        "RetryAfter": {
            "description": "Whole seconds after which the same request may succeed.",
            "schema": {"type": "integer", "minimum": 0},
        },
        "Authenticate": {"description": "Always `Bearer`.", "schema": {"type": "string"}},
        "IdempotencyReplayed": {
            "description": "There, and `true`, when the call of this idempotency key was made before.",
            "schema": {"type": "string", "const": "true"},
        },
        "RateLimitPolicy": {
            "description": "For servers: a limit by its name, how much it allows (`q`), in how many seconds "
            "(`w`).",
            "schema": {"type": "string"},
        },
        "RateLimit": {
            "description": "For servers: what is left of that limit (`r`), and when there is more (`t`, "
            "seconds).",
            "schema": {"type": "string"},
        },
    }


_HEADER_NAMES: Mapping[str, str] = {
    "RequestId": request_id.HEADER,
    "RetryAfter": "Retry-After",
    "Authenticate": "WWW-Authenticate",
    "IdempotencyReplayed": idempotency.REPLAYED[0],
    "RateLimitPolicy": rate_limit.POLICY,
    "RateLimit": rate_limit.LEFT,
}
_LIMITS = ["RateLimitPolicy", "RateLimit"]


def _header_refs(*names: str) -> Json:
    return {_HEADER_NAMES[name]: {"$ref": f"#/components/headers/{name}"} for name in names}


def _parameters() -> Json:
    return {
        "RequestId": {
            "name": request_id.HEADER,
            "in": "header",
            # Without a pattern: one of another form breaks no rule, it only goes unheard.
            "description": "An id of the caller's own for this call, taken from callers with a secret key; "
            f"one that does not match `^{request_id.GIVEN.pattern}$` is ignored.",
            "schema": {"type": "string"},
        },
        "IdempotencyKey": {
            "name": "Idempotency-Key",
            "in": "header",
            "description": "The same key with the same body makes the call once, however often it is sent.",
            "schema": {"type": "string", "pattern": f"^{idempotency.KEY.pattern}$"},
        },
    }


def _unrouted() -> Json:
    """Return the responses of no operation: those of addresses that do not exist."""
    return {error.__name__: _problem([error]) for error in (errors.NotFound, errors.MethodNotAllowed)}


def _security_schemes() -> Json:
    return {
        _SCHEMES[KeyKind.SECRET]: {
            "type": "http",
            "scheme": "bearer",
            "description": "`sk_…`, for servers. Keep it off browsers and apps.",
        },
        _SCHEMES[KeyKind.PUBLISHABLE]: {
            "type": "http",
            "scheme": "bearer",
            "description": "`pk_…`, for browsers on pages of the client's origins.",
        },
    }


def _content(media_type: str, schema: Json, *, example: Json) -> Json:
    return {media_type: {"schema": schema, "example": example}}


def _ref(model: type[BaseModel]) -> Json:
    return {"$ref": f"#/components/schemas/{model.__name__}"}
