"""Each document in Chinese matches the English one: the same sections, code, links and names."""

from __future__ import annotations

import re

import pytest
from support.doc_blocks import ROOT, blocks

SUFFIX = ".zh-CN.md"
CHINESE = sorted(
    str(path.relative_to(ROOT)) for folder in (ROOT, ROOT / "docs") for path in folder.glob(f"*{SUFFIX}")
)


def english(chinese: str) -> str:
    return chinese.replace(SUFFIX, ".md")


def prose(document: str) -> str:
    return re.sub(r"^```.*?^```$", "", (ROOT / document).read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def shape(document: str) -> list[str]:
    """Return the kind of each line of the prose: a heading, a list item, a sentence."""
    lines = [line for line in prose(document).splitlines() if line.strip()]
    return [found[0] if (found := re.match(r"#+ |- (?:\[ \] )?", line)) else "sentence" for line in lines]


def links(document: str) -> list[str]:
    """Return the targets of the links without their language; a page in Chinese has anchors in Chinese."""
    found = re.findall(r"\]\(([^)]+)\)", prose(document))
    other = english(document) if document.endswith(SUFFIX) else document.replace(".md", SUFFIX)
    return sorted(
        re.sub(rf"({re.escape(SUFFIX)}|README\.md)(#.*)?$", ".md", link).replace("README.md", ".md")
        for link in found
        if link not in (document, other)
    )


def test_first_pages_are_in_chinese() -> None:
    assert CHINESE == [
        "README.zh-CN.md",
        "docs/production-checklist.zh-CN.md",
        "docs/quickstart.zh-CN.md",
    ]


@pytest.mark.parametrize("chinese", CHINESE)
def test_code_blocks_are_the_same(chinese: str) -> None:
    assert [(block.language, block.text) for block in blocks(chinese)] == [
        (block.language, block.text) for block in blocks(english(chinese))
    ]


@pytest.mark.parametrize("chinese", CHINESE)
def test_headings_list_items_and_sentences_match(chinese: str) -> None:
    assert shape(chinese) == shape(english(chinese))


@pytest.mark.parametrize("chinese", CHINESE)
def test_links_and_names_are_the_same(chinese: str) -> None:
    assert links(chinese) == links(english(chinese))
    names = [re.findall(r"`([^`]+)`", prose(document)) for document in (chinese, english(chinese))]
    assert sorted(names[0]) == sorted(names[1])


def test_each_readme_links_to_the_other() -> None:
    assert "](README.zh-CN.md)" in prose("README.md")
    assert "](README.md)" in prose("README.zh-CN.md")
