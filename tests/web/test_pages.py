"""Pages that need no key."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from web.web_app import WebApp, problem

from otp_service import __version__
from otp_service.domain.errors import StoreUnavailable
from otp_service.store.schema import StoreSchemaNewer
from otp_service.web.docs_page import views as docs_views

# ── probes ──


def test_liveness_does_not_depend_on_the_store(web_app: WebApp) -> None:
    web_app.harness.store.failure = StoreUnavailable()

    answer = web_app.get("/healthz")

    assert (answer.status_code, answer.get_json()) == (200, {"status": "ok"})
    assert web_app.harness.store.calls == []


def test_ready_if_the_store_accepts_writes(web_app: WebApp) -> None:
    answer = web_app.get("/readyz")

    assert answer.status_code == 200
    assert answer.get_json() == {
        "status": "ready",
        "version": __version__,
        "store": "ok",
        "warnings": [],
        "routes": [{"name": "main", "state": "ok"}],
    }


def test_store_without_persistence_is_a_warning(web_app: WebApp) -> None:
    web_app.harness.store.persists = False

    answer = web_app.get("/readyz")

    assert (answer.status_code, answer.get_json()["status"]) == (200, "ready")
    assert answer.get_json()["warnings"] == ["store_not_persistent"]


def test_alarm_for_wrong_codes_is_a_warning(web_app: WebApp) -> None:
    web_app.harness.usage_counters.level = 1

    answer = web_app.get("/readyz")

    assert (answer.status_code, answer.get_json()["status"]) == (200, "ready")
    assert answer.get_json()["warnings"] == ["wrong_code_alarm"]


@pytest.mark.parametrize("state", ["open", "paused"])
def test_suspended_route_degrades_and_the_service_stays_ready(web_app: WebApp, state: str) -> None:
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


def test_not_ready_after_an_upgrade_of_the_stored_data(web_app: WebApp) -> None:
    web_app.harness.store.failure = StoreSchemaNewer()

    answer = web_app.get("/readyz")

    assert answer.status_code == 503
    assert problem(answer)["code"] == "store_unavailable"
    assert problem(answer)["reason"] == "store_schema_newer"


# ── the docs page ──

FOLDER = Path(docs_views.__file__).parent


def test_docs_page_loads_only_files_of_the_service(web_app: WebApp) -> None:
    answer = web_app.get("/docs")
    loaded = re.findall(r'(?:src|href)="([^"]+)"', answer.text)

    assert answer.content_type == "text/html; charset=utf-8"
    assert loaded == ["docs/docs.css", "docs/redoc.standalone.js", "docs/docs.js", "openapi.json"]
    assert {web_app.get(f"/{path}").status_code for path in loaded} == {200}
    assert "<style" not in answer.text
    assert re.findall(r"<script(?! defer src=)", answer.text) == []
    assert re.findall(r"\s(?:style|on\w+)=", answer.text) == []


def test_policy_of_the_docs_page_forbids_inline_scripts(web_app: WebApp) -> None:
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


def test_licences_are_in_the_folder_of_redoc() -> None:
    assert "MIT" in (FOLDER / "redoc.LICENSE.txt").read_text("utf-8")
    assert "@license" in (FOLDER / "redoc.standalone.js.LICENSE.txt").read_text("utf-8")
