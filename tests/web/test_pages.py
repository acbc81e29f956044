"""Pages: what may be read without a key."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from web.desk import Desk, problem

from otp_service.domain.errors import StoreUnavailable
from otp_service.web.api import docs_page, openapi

# ── probes ──


def test_the_process_is_alive_whatever_the_store_says(desk: Desk) -> None:
    desk.house.store.failure = StoreUnavailable()

    answer = desk.get("/healthz")

    assert (answer.status_code, answer.get_json()) == (200, {"status": "ok"})
    assert desk.house.store.calls == []


def test_ready_when_the_store_takes_writes(desk: Desk) -> None:
    answer = desk.get("/readyz")

    assert answer.status_code == 200
    assert answer.get_json() == {
        "status": "ready",
        "store": "ok",
        "warnings": [],
        "routes": [{"name": "main", "state": "ok"}],
    }


def test_a_store_that_a_restart_would_empty_is_warned_of(desk: Desk) -> None:
    desk.house.store.persists = False

    answer = desk.get("/readyz")

    assert (answer.status_code, answer.get_json()["status"]) == (200, "ready")
    assert answer.get_json()["warnings"] == ["store_not_persistent"]


def test_alarm_for_wrong_codes_is_warned_of(desk: Desk) -> None:
    desk.house.ledger.level = 1

    answer = desk.get("/readyz")

    assert (answer.status_code, answer.get_json()["status"]) == (200, "ready")
    assert answer.get_json()["warnings"] == ["wrong_code_alarm"]


@pytest.mark.parametrize("state", ["open", "paused"])
def test_a_bad_route_degrades_and_takes_nothing_down(desk: Desk, state: str) -> None:
    desk.routes.append({"name": "spare", "state": state})

    answer = desk.get("/readyz")

    assert answer.status_code == 200
    assert answer.get_json()["status"] == "degraded"
    assert answer.get_json()["routes"][1] == {"name": "spare", "state": state}


def test_not_ready_when_the_store_is_down(desk: Desk) -> None:
    desk.house.store.failure = StoreUnavailable(2)

    answer = desk.get("/readyz")

    assert answer.status_code == 503
    assert problem(answer)["code"] == "store_unavailable"
    assert answer.headers["Retry-After"] == "2"


# ── the docs page ──


class Elements(HTMLParser):
    """Every element of a page with its attributes, and whether all of them are closed."""

    VOID = frozenset({"meta", "link", "br", "img", "input", "hr"})

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def elements(html: str) -> Elements:
    parser = Elements()
    parser.feed(html)
    parser.close()
    return parser


def test_the_docs_page_shows_every_call_and_every_problem(desk: Desk) -> None:
    answer = desk.get("/docs")

    assert answer.content_type == "text/html; charset=utf-8"
    for path in openapi.document()["paths"]:
        assert path in answer.text
    for schema in openapi.document()["components"]["schemas"].values():
        if "allOf" in schema:
            assert schema["properties"]["code"]["const"] in answer.text


def test_the_docs_page_loads_nothing_and_runs_nothing(desk: Desk) -> None:
    found = elements(desk.get("/docs").text).found

    tags = {tag for tag, _ in found}
    assert not tags & {"script", "link", "img", "iframe", "object", "form", "base", "video", "svg"}
    for _, attributes in found:
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        assert re.match(r"#|openapi\.json$", attributes.get("href") or "#")


def test_the_policy_names_the_style_that_the_page_has(desk: Desk) -> None:
    answer = desk.get("/docs")

    [style] = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}';" in answer.headers["Content-Security-Policy"]
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert "@import" not in style
    assert "url(" not in style


def test_the_docs_page_is_well_formed_and_can_be_navigated(desk: Desk) -> None:
    page = elements(desk.get("/docs").text)

    ids = [attributes["id"] for _, attributes in page.found if "id" in attributes]
    links = [a["href"] for tag, a in page.found if tag == "a" and (a["href"] or "").startswith("#")]
    assert page.open == []
    assert len(ids) == len(set(ids))
    assert {str(link)[1:] for link in links} <= set(ids)
    assert ("html", {"lang": "en"}) in page.found
    assert [tag for tag, _ in page.found].count("h1") == 1
    assert [tag for tag, _ in page.found].count("main") == 1


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("plain", "<p>plain</p>"),
        ("a `b` c", "<p>a <code>b</code> c</p>"),
        ("one\n\ntwo", "<p>one</p><p>two</p>"),
        ("- one\n- `two`", "<ul><li>one</li><li><code>two</code></li></ul>"),
        ("<script>`<b>`", "<p>&lt;script&gt;<code>&lt;b&gt;</code></p>"),
        ("", ""),
    ],
)
def test_prose_becomes_html_and_nothing_in_it_does(text: str, html: str) -> None:
    assert docs_page.prose(text) == html
