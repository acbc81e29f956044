"""Renders the hosted page as HTML, with the Content-Security-Policy that it needs.

The template escapes everything that comes from outside. No such value is part of a script.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from otp_service.domain.codes import LENGTH, CodeType
from otp_service.domain.hosted_page import FormError, HostedPage, Step
from otp_service.services.hosted_pages import PageView
from otp_service.web.hosted_page.translations import Language

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class RenderedPage:
    """A page and its Content-Security-Policy."""

    html: str
    policy: str


def render_page(view: PageView, language: Language, *, international: bool) -> RenderedPage:
    """Render *view*. *international*: phone numbers of several countries are accepted."""
    page = view.page
    values = {
        "form_key": view.form_key,
        "error_text": _error_text(page.form_error, view.now, language),
        "phone": page.phone,
        "international": international,
        "challenge": json.dumps(page.challenge),
        "return_url": page.return_url,
        "state": page.state,
        "proof": page.proof,
        **_code_values(page, view.now),
    }
    return _render(_step(view), language, page.return_url, values)


def render_unavailable(reason: str, language: Language) -> RenderedPage:
    """Render the page that explains why the page is unavailable: *reason* is `gone` or `taken`."""
    return _render(reason, language, "", {"error_text": ""})


def render_failure(language: Language, code: str, wait: int) -> RenderedPage:
    """Render the page for the error *code*; *wait* is in seconds."""
    return _render("failed", language, "", {"error_text": language.error(code, wait=wait)})


def origin_of(url: str) -> str:
    """Return scheme, host and port of *url*."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _step(view: PageView) -> str:
    if view.is_busy:
        return "busy"
    return "solve" if view.page.pending_action else view.page.step.value


def _error_text(error: FormError | None, now: float, language: Language) -> str:
    if error is None or error.code == "challenge_required":
        return ""
    wait = max(0, math.ceil(error.until - now))
    return language.error(error.code, wait=wait, attempts_left=error.attempts_left)


def _code_values(page: HostedPage, now: float) -> dict[str, object]:
    """Return the values that only the form for the code has."""
    active = page.active
    if page.step is not Step.CODE or active is None:
        return {}
    return {
        "masked": active.phone_masked,
        "length": LENGTH,
        "digits": active.code_type == CodeType.DIGITS,
        "can_resend": active.resend_at > 0,
        "resend_in": max(0, math.ceil(active.resend_at - now)),
    }


def _render(step: str, language: Language, return_url: str, values: dict[str, object]) -> RenderedPage:
    origin = origin_of(return_url) if return_url else ""
    site = urlsplit(origin).netloc
    html = _template().render(step=step, texts=language, origin=origin, site=site, **values)
    return RenderedPage(html, _policy(origin))


def _policy(origin: str) -> str:
    """Allow only our own style and script. Forms may post to us, and the last one to the return URL."""
    targets = f"'self' {origin}".strip()
    return (
        "default-src 'none'; style-src 'self'; script-src 'self'; base-uri 'none'; "
        f"form-action {targets}; frame-ancestors 'none'"
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("hosted.html")
