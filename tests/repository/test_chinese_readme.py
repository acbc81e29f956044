"""README.zh-CN.md matches README.md: the same sections, code, links and names, in the same order."""

from __future__ import annotations

import re

from support.doc_blocks import ROOT, blocks

ENGLISH, CHINESE = "README.md", "README.zh-CN.md"


def prose(document: str) -> str:
    return re.sub(r"^```.*?^```$", "", (ROOT / document).read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def shape(document: str) -> list[str]:
    """Return the kind of each line of the prose: a heading, a list item, a sentence."""
    lines = [line for line in prose(document).splitlines() if line.strip()]
    return [found[0] if (found := re.match(r"#+ |- ", line)) else "sentence" for line in lines]


def named(document: str, pattern: str) -> list[str]:
    return sorted(re.findall(pattern, prose(document)))


def test_code_blocks_are_the_same() -> None:
    assert [(block.language, block.text) for block in blocks(CHINESE)] == [
        (block.language, block.text) for block in blocks(ENGLISH)
    ]


def test_headings_list_items_and_sentences_match() -> None:
    assert shape(CHINESE) == shape(ENGLISH)


def test_links_and_names_are_the_same() -> None:
    languages = {ENGLISH, CHINESE}
    for pattern in (r"\]\(([^)]+)\)", r"`([^`]+)`"):
        assert [name for name in named(CHINESE, pattern) if name not in languages] == [
            name for name in named(ENGLISH, pattern) if name not in languages
        ]


def test_each_links_to_the_other() -> None:
    assert f"]({CHINESE})" in prose(ENGLISH)
    assert f"]({ENGLISH})" in prose(CHINESE)
