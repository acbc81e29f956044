"""docs/index.md links to all documents."""

from __future__ import annotations

import re

from support.doc_blocks import ROOT, documents


def test_index_links_to_every_document() -> None:
    text = (ROOT / "docs" / "index.md").read_text("utf-8")
    targets = {(ROOT / "docs" / target).resolve() for target in re.findall(r"\]\(([^)#]+)\)", text)}
    missing = [
        document
        for document in documents()
        if not ({(ROOT / document).resolve(), (ROOT / document).parent.resolve()} & targets)
        and not document.startswith(("examples/", "docs/runbooks/"))  # their page links to each of them
        and document != "docs/index.md"
    ]
    assert missing == []
