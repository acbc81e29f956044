"""The widget's module: its headers, its size and its texts."""

from __future__ import annotations

import gzip
import re

import pytest
from web.web_app import WebApp

from otp_service.domain.clients import KeyKind
from otp_service.domain.phone import COUNTRIES, dialing
from otp_service.settings import Settings
from otp_service.settings.settings import ServiceConfig
from otp_service.web.api.routes import ENDPOINTS
from otp_service.web.widget.views import source

CHINA = (dialing("CN"),)


def test_module_can_be_loaded_by_any_page_and_is_cached_for_minutes(web_app: WebApp) -> None:
    answer = web_app.get("/otp/widget.js")

    assert (answer.status_code, answer.content_type) == (200, "text/javascript; charset=utf-8")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert "Set-Cookie" not in answer.headers
    assert answer.text == source(web_app.deps.dialing)


def test_module_is_not_sent_again_unless_it_changed(web_app: WebApp) -> None:
    etag = web_app.get("/otp/widget.js").headers["ETag"]
    again = web_app.client.get("/otp/widget.js", headers={"If-None-Match": etag})
    other = web_app.client.get("/otp/widget.js", headers={"If-None-Match": 'W/"other"'})

    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["Access-Control-Allow-Origin"] == "*"
    assert other.status_code == 200


def test_module_is_compressed_if_accepted(web_app: WebApp) -> None:
    plain = web_app.get("/otp/widget.js")
    packed = web_app.client.get("/otp/widget.js", headers={"Accept-Encoding": "br, gzip"})
    refused = web_app.client.get("/otp/widget.js", headers={"Accept-Encoding": "gzip;q=0"})

    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data == refused.data
    for answer in (plain, packed):
        assert "Accept-Encoding" in answer.headers["Vary"]


def test_module_is_small(web_app: WebApp) -> None:
    """Thirteen kilobytes, compressed."""
    packed = web_app.client.get("/otp/widget.js", headers={"Accept-Encoding": "gzip"})

    assert len(packed.data) <= 13_200


def test_module_loads_no_other_file() -> None:
    text = source(CHINA)

    assert re.findall(r"\bimport\b(?!\.meta\.url)", text) == []
    assert [url for url in re.findall(r"https?://[^\s`\"']+", text) if "localhost" not in url] == []


NEWER = {
    "private methods": r"(?m)^  (?:async |static |get |set )*#\w+\(",
    "static blocks": r"\bstatic \{",
    "assignment operators": r"(?:\?\?|\|\||&&)=",
    "lookbehind": r"\(\?<[=!]",
    "Array.prototype.at": r"\.at\(",
    "replaceAll": r"\breplaceAll\(",
    "structuredClone": r"\bstructuredClone\b",
    "Object.hasOwn": r"Object\.hasOwn\b",
    "AbortSignal.timeout": r"AbortSignal\.",
    "top-level await": r"(?m)^(?:const .* = )?await ",
    "private in": r"#\w+ in ",
    "error causes": r"\bcause:",
    "regular expressions of sets": r"/[gimsuy]*v[gimsuy]*[,;)]",
}
"""What Chrome 80 or Safari 15 cannot read or do."""


@pytest.mark.parametrize("pattern", NEWER.values(), ids=NEWER.keys())
def test_module_uses_no_syntax_that_the_oldest_browser_lacks(pattern: str) -> None:
    assert re.findall(pattern, source(CHINA)) == []


def test_module_without_comments_is_the_same_program() -> None:
    """Comments are complete blocks or end a line, so that they can be removed."""
    assert re.findall(r"(?m)^\s*(?:/\*\*|\* [A-Z]|\*/).*|(?<!\S)//.*", source(CHINA)) == []


def test_lengths_are_listed_where_groups_do_not_determine_them() -> None:
    assert "DE49-0:47/10,11" in source([dialing("DE")])
    assert 'CN86-0:344";' in source(CHINA)


def test_countries_whose_numbers_can_start_with_the_calling_code_are_marked() -> None:
    """A number in Italy can start with 39. No number in China starts with 86, its calling code."""
    assert "IT39?-:" in source([dialing("IT")])
    assert "IN91?-0:" in source([dialing("IN")])
    assert "ID62-0:" in source([dialing("ID")])


def test_module_never_inserts_texts_as_markup() -> None:
    """Nothing needs `unsafe-inline` or `unsafe-eval`, and no text becomes an element."""
    forbidden = (
        r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function|\.style\b|blob:|\bon\w+="
    )

    assert re.findall(forbidden, source(CHINA)) == []


def test_module_contains_the_countries_of_the_service() -> None:
    assert 'const SENDS_TO = "CN86-0:344";' in source(CHINA)
    assert 'const SENDS_TO = "SG65-:44 US1-1:334";' in source([dialing("SG"), dialing("US")])


def test_settings_put_the_default_region_first() -> None:
    settings = Settings(service=ServiceConfig(countries=("US", "CN", "SG"), default_region="CN"))

    assert [d.country for d in settings.dialing()] == ["CN", "US", "SG"]


@pytest.mark.parametrize("country", sorted(COUNTRIES))
def test_every_country_has_a_number_format(country: str) -> None:
    """One digit stands for the size of a group in the module."""
    made = dialing(country)

    assert made.code
    assert made.groups
    assert all(0 < group < 10 for group in made.groups)


@pytest.mark.parametrize("language", ["ENGLISH", "CHINESE"])
def test_every_problem_has_a_text_or_is_caused_by_the_page(language: str) -> None:
    texts = dict(
        re.findall(
            r'(\w+): "([^"]+)"', re.findall(rf"const {language} = {{(.*?)}};", source(CHINA), re.DOTALL)[0]
        )
    )
    of_the_page = {
        "invalid_request",
        "unauthorized",
        "forbidden",
        "payload_too_large",
        "unsupported_media_type",
        "idempotency_key_reused",
    }
    codes = {
        problem.code
        for call in ENDPOINTS
        if KeyKind.PUBLISHABLE in call.callers
        for problem in call.all_problems()
    }

    assert codes - of_the_page - set(texts) == set()
    assert "internal_error" in texts  # used for problems that the page causes
    assert not of_the_page & set(texts)


def test_both_languages_have_the_same_texts() -> None:
    names = [
        re.findall(r"^  (\w+):", table, re.MULTILINE)
        for table in re.findall(r"const (?:ENGLISH|CHINESE) = {\n(.*?)};", source(CHINA), re.DOTALL)
    ]

    assert len(names) == 2
    assert names[0] == names[1]
