"""Intercepts the calls of a page: answers them instead of the service, or serves another widget module."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, Route

from otp_service.domain.phone import dialing
from otp_service.web.widget.views import source

CORS = {"access-control-allow-origin": "*", "access-control-allow-headers": "*"}
SENT = {
    "verification_id": "A" * 22,
    "status": "pending",
    "purpose": "login",
    "phone_masked": "+86 138****8000",
    "code_length": 6,
    "code_type": "digits",
    "expires_in": 300,
    "resend_in": 60,
    "sends_left": 3,
    "attempts_left": 5,
    "delivery": "accepted",
}


def answer_calls(page: Page, **answers: tuple[int, dict[str, Any]]) -> list[dict[str, Any]]:
    """Answer these calls instead of the service; return a list that receives the posted bodies."""
    posted: list[dict[str, Any]] = []

    def respond_with(status: int, body: dict[str, Any]) -> Callable[[Route], None]:
        def answer(route: Route) -> None:
            if route.request.method == "POST":
                posted.append(route.request.post_data_json)
            route.fulfill(status=status, headers=CORS, content_type="application/json", body=json.dumps(body))

        return answer

    for call, (status, body) in answers.items():
        page.route(f"**/otp/{call}", respond_with(status, body))
    return posted


def serve_module_for(page: Page, countries: list[str]) -> None:
    """Serve the widget module of a service that sends to *countries*."""
    text = source([dialing(country) for country in countries])
    headers = {"access-control-allow-origin": "*"}
    page.route(
        "**/otp/widget.js",
        lambda route: route.fulfill(content_type="text/javascript", headers=headers, body=text),
    )
