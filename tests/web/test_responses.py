from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, Response

from otp_service.web.api.responses import no_content, respond


def sent(response: Response, method: str = "POST") -> tuple[Any, dict[str, str]]:
    """Return what the WSGI server gets: the body and the header fields."""
    received: dict[str, str] = {}

    def start_response(_: str, fields: list[tuple[str, str]], *__: object) -> Any:
        received.update(fields)

    with Flask("app").test_request_context("/", method=method) as context:
        return response(context.request.environ, start_response), received


def test_body_is_sent_with_its_length() -> None:
    body, fields = sent(respond(200, '{"a":1}'))

    assert list(body) == [b'{"a":1}']
    assert fields["Content-Length"] == "7"


@pytest.mark.parametrize(("response", "method"), [(respond(200, "{}"), "HEAD"), (no_content(), "POST")])
def test_response_without_a_body_sends_none(response: Response, method: str) -> None:
    body, _ = sent(response, method)

    assert list(body) == []


def test_close_callbacks_of_a_response_are_called() -> None:
    ended = []
    response = respond(200, "{}")
    response.call_on_close(lambda: ended.append(True))

    body, _ = sent(response)
    assert list(body) == [b"{}"]
    body.close()
    assert ended == [True]
