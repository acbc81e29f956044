"""What MkDocs does besides: pages from the whole repository, two languages, and the API page.

The site has the tree of the repository (`README.md`, `docs/`, `clients/`, `examples/`). Relative links lead
to the same place here and on a forge, and `mkdocs build --strict` checks all of them.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.nav import Navigation
from mkdocs.structure.pages import Page

from otp_service.web.api import openapi

ROOT = Path(__file__).parents[2]
PAGES = (
    "README*.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "clients/*/README.md",
    "examples/**/README.md",
)
"""The pages outside `docs/`."""
IMAGES = {".png", ".svg"}
CHINESE = ".zh-CN.md"
CHINESE_SECTION = "中文"
REDOC = ROOT / "otp_service" / "web" / "docs_page"
REDOC_LOGO = b"https://cdn.redoc.ly/redoc/logo-mini.svg"
_LINK = re.compile(r"\]\((?![a-z]+:|#)([^)#\s]+)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Name anchors as forges do, and show the list of versions that mike writes if it builds the site."""
    config.mdx_configs["toc"]["slugify"] = slugify
    if "MIKE_DOCS_VERSION" in os.environ:
        config.extra["version"] = {"provider": "mike"}
    return config


def slugify(heading: str, separator: str) -> str:
    """Return the anchor of *heading* as a forge names it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", separator)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Move `docs/` below the root, and add the other pages, what they link to, and the API page."""
    docs = Path(config.docs_dir)
    found = [file for file in files if file.src_dir != config.docs_dir]
    pages = [
        path
        for pattern in (*PAGES, "docs/**/*.md")
        for path in sorted(ROOT.glob(pattern))
        if "node_modules" not in path.parts
    ]
    images = [path for path in docs.rglob("*") if path.suffix in IMAGES]
    linked = {target for page in pages for target in _linked_files(page)}.difference(pages, images)
    found += [_file(path, config) for path in (*pages, *images, *sorted(linked))]
    found += _api_page(config)
    return Files(found)


def _file(path: Path, config: MkDocsConfig) -> File:
    file = File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path))
    if path.suffix not in {".md", *IMAGES}:
        file.dest_uri += ".txt"  # a browser shows it instead of saving it or, if it is a page, running it
    return file


def _linked_files(page: Path) -> Iterator[Path]:
    """The files of the repository that *page* links to."""
    for target in _LINK.findall(page.read_text("utf-8")):
        path = (page.parent / target).resolve()
        if path.is_file() and path.is_relative_to(ROOT):
            yield path


def _api_page(config: MkDocsConfig) -> Iterator[File]:
    document = json.dumps(openapi.document(), ensure_ascii=False)
    redoc = (REDOC / "redoc.standalone.js").read_bytes().replace(REDOC_LOGO, b"data:,")
    yield File.generated(config, "docs/openapi.json", content=document)
    yield File.generated(
        config, "docs/openapi.md", content="---\ntemplate: openapi.html\n---\n# API explorer\n"
    )
    yield File.generated(config, "assets/vendor/redoc.standalone.js", content=redoc)
    for licence in REDOC.glob("*LICENSE.txt"):
        yield File.generated(config, f"assets/vendor/{licence.name}", abs_src_path=str(licence))


def on_nav(nav: Navigation, **_: Any) -> Navigation:
    """Let "next" lead from no language into the other."""
    for page in nav.pages:
        if page.next_page and _is_chinese(page) != _is_chinese(page.next_page):
            page.next_page.previous_page = None
            page.next_page = None
    return nav


def on_page_context(
    context: dict[str, Any], page: Page, config: MkDocsConfig, nav: Navigation
) -> dict[str, Any]:
    """Show a page in its language: the texts of the theme, the navigation, and the way to the other one."""
    chinese = _is_chinese(page)
    config.theme["language"] = "zh" if chinese else "en"
    (section,) = [item for item in nav.items if item.title == CHINESE_SECTION]
    shown = Navigation(
        section.children if chinese else [item for item in nav.items if item is not section], nav.pages
    )
    shown.homepage = _page(nav, "README.zh-CN.md" if chinese else "README.md")
    context["nav"] = shown
    uri = page.file.src_uri
    pages = (
        _page(nav, uri.replace(CHINESE, ".md")) or _page(nav, "README.md"),
        _page(nav, uri if chinese else uri.removesuffix(".md") + CHINESE) or _page(nav, "README.zh-CN.md"),
    )
    context["languages"] = [
        {"name": name, "lang": lang, "link": other.url}
        for name, lang, other in zip(("English", CHINESE_SECTION), ("en", "zh-CN"), pages, strict=True)
    ]
    if page.file.src_uri == "docs/openapi.md":
        context["openapi"] = openapi.document()
    return context


def _is_chinese(page: Page) -> bool:
    return page.file.src_uri.endswith(CHINESE)


def _page(nav: Navigation, uri: str) -> Page | None:
    return next((page for page in nav.pages if page.file.src_uri == uri), None)
