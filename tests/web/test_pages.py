"""Pages: what may be read without a key."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from web.web_app import WebApp, problem

from otp_service.domain.errors import StoreUnavailable
from otp_service.store.schema import StoreSchemaNewer
from otp_service.web.docs_page import views as docs_views

# ── probes ──


def test_the_process_is_alive_whatever_the_store_says(web_app: WebApp) -> None:
    web_app.harness.store.failure = StoreUnavailable()

    answer = web_app.get("/healthz")

    assert (answer.status_code, answer.get_json()) == (200, {"status": "ok"})
    assert web_app.harness.store.calls == []


def test_ready_when_the_store_takes_writes(web_app: WebApp) -> None:
    answer = web_app.get("/readyz")

    assert answer.status_code == 200
    assert answer.get_json() == {
        "status": "ready",
        "store": "ok",
        "warnings": [],
        "routes": [{"name": "main", "state": "ok"}],
    }


def test_a_store_that_a_restart_would_empty_is_warned_of(web_app: WebApp) -> None:
    web_app.harness.store.persists = False

    answer = web_app.get("/readyz")

    assert (answer.status_code, answer.get_json()["status"]) == (200, "ready")
    assert answer.get_json()["warnings"] == ["store_not_persistent"]


def test_alarm_for_wrong_codes_is_warned_of(web_app: WebApp) -> None:
    web_app.harness.usage_counters.level = 1

    answer = web_app.get("/readyz")

    assert (answer.status_code, answer.get_json()["status"]) == (200, "ready")
    assert answer.get_json()["warnings"] == ["wrong_code_alarm"]


@pytest.mark.parametrize("state", ["open", "paused"])
def test_a_bad_route_degrades_and_takes_nothing_down(web_app: WebApp, state: str) -> None:
    web_app.routes.append({"name": "spare", "state": state})

    answer = web_app.get("/readyz")

    assert answer.status_code == 200
    assert answer.get_json()["status"] == "degraded"
    assert answer.get_json()["routes"][1] == {"name": "spare", "state": state}


def test_not_ready_when_the_store_is_down(web_app: WebApp) -> None:
    web_app.harness.store.failure = StoreUnavailable(2)

    answer = web_app.get("/readyz")

    assert answer.status_code == 503
    assert problem(answer)["code"] == "store_unavailable"
    assert answer.headers["Retry-After"] == "2"


def test_not_ready_beside_a_newer_release_that_it_cannot_read(web_app: WebApp) -> None:
    web_app.harness.store.failure = StoreSchemaNewer()

    answer = web_app.get("/readyz")

    assert answer.status_code == 503
    assert problem(answer)["code"] == "store_unavailable"
    assert problem(answer)["reason"] == "store_schema_newer"


# ── the docs page ──

FOLDER = Path(docs_views.__file__).parent


def test_the_docs_page_loads_files_of_ours_and_runs_nothing_else(web_app: WebApp) -> None:
    answer = web_app.get("/docs")
    loaded = re.findall(r'(?:src|href)="([^"]+)"', answer.text)

    assert answer.content_type == "text/html; charset=utf-8"
    assert loaded == ["docs/docs.css", "docs/redoc.standalone.js", "docs/docs.js", "openapi.json"]
    assert {web_app.get(f"/{path}").status_code for path in loaded} == {200}
    assert "<style" not in answer.text
    assert re.findall(r"<script(?! defer src=)", answer.text) == []
    assert re.findall(r"\s(?:style|on\w+)=", answer.text) == []


def test_the_policy_of_the_docs_page_runs_no_inline_script(web_app: WebApp) -> None:
    policy = web_app.get("/docs").headers["Content-Security-Policy"]
    rules = {name: values for name, *values in (rule.split() for rule in policy.split(";"))}

    assert rules == {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'", "'unsafe-inline'"],
        "connect-src": ["'self'"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
        "frame-ancestors": ["'none'"],
    }


def test_redoc_is_sent_compressed_and_only_once(web_app: WebApp) -> None:
    path = "/docs/redoc.standalone.js"
    plain = web_app.get(path)
    packed = web_app.client.get(path, headers={"Accept-Encoding": "gzip"})
    again = web_app.client.get(path, headers={"If-None-Match": plain.headers["ETag"]})

    assert plain.data == (FOLDER / "redoc.standalone.js").read_bytes()
    assert plain.content_type == "text/javascript; charset=utf-8"
    assert gzip.decompress(packed.data) == plain.data
    assert packed.headers["Vary"] == "Accept-Encoding"
    assert (again.status_code, again.data) == (304, b"")


def test_licences_are_beside_redoc() -> None:
    assert "MIT" in (FOLDER / "redoc.LICENSE.txt").read_text("utf-8")
    assert "@license" in (FOLDER / "redoc.standalone.js.LICENSE.txt").read_text("utf-8")
