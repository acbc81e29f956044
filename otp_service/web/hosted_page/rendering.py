"""The look of a hosted page: what is known of it, as HTML and as the policy it needs. Touches its template.

Everything that somebody else has written goes through the template's escaping; nothing stands in a script.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from otp_service.domain.codes import CodeType
from otp_service.domain.hosted_page import FormError, HostedPage, Step
from otp_service.services.hosted_pages import PageView
from otp_service.web.hosted_page.translations import Words

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Html:
    """A page and the Content-Security-Policy it needs."""

    text: str
    policy: str


def draw(look: PageView, words: Words, *, international: bool) -> Html:
    """Return the page that *look* tells of; *international*: numbers of several countries are taken."""
    page = look.page
    facts = {
        "form_key": look.form_key,
        "trouble": _told(page.trouble, look.now, words),
        "phone": page.phone,
        "international": international,
        "riddle": json.dumps(page.riddle),
        "return_url": page.return_url,
        "state": page.state,
        "proof": page.proof,
        **_facts_of_code(page, look.now),
    }
    return _html(_view(look), words, page.return_url, facts)


def draw_closed(view: str, words: Words) -> Html:
    """Return the page that says why there is none: *view* is `gone` or `taken`."""
    return _html(view, words, "", {"trouble": ""})


def draw_failure(words: Words, code: str, wait: int) -> Html:
    """Return the page that says that the problem *code* came between; *wait* in seconds."""
    return _html("failed", words, "", {"trouble": words.trouble(code, wait=wait)})


def origin_of(url: str) -> str:
    """Return scheme, host and port of *url*."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _view(look: PageView) -> str:
    if look.is_busy:
        return "busy"
    return "solve" if look.page.wish else look.page.step.value


def _told(trouble: FormError | None, now: float, words: Words) -> str:
    if trouble is None or trouble.code == "challenge_required":
        return ""
    wait = max(0, math.ceil(trouble.until - now))
    return words.trouble(trouble.code, wait=wait, attempts_left=trouble.attempts_left)


def _facts_of_code(page: HostedPage, now: float) -> dict[str, object]:
    opened = page.opened
    if page.step is not Step.CODE or opened is None:
        return {}
    return {
        "masked": opened.phone_masked,
        "digits": opened.code_type == CodeType.DIGITS,
        "can_resend": opened.resend_at > 0,
        "resend_in": max(0, math.ceil(opened.resend_at - now)),
    }


def _html(view: str, words: Words, return_url: str, facts: dict[str, object]) -> Html:
    origin = origin_of(return_url) if return_url else ""
    site = urlsplit(origin).netloc
    text = _template().render(view=view, words=words, origin=origin, site=site, **facts)
    return Html(text, _policy(origin))


def _policy(origin: str) -> str:
    """Nothing but our own style and script; forms go to us, and the last one to where the page leads back."""
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
