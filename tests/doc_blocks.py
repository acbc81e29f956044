"""The code blocks of README and docs, and which of them nobody can run here, each with its reason."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]

READERS = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "docs", "examples", "clients")
"""What people read. README.zh-CN.md has the blocks of README.md, which a test sees to."""

_BLOCK = re.compile(r"^(?P<margin> *)```(?P<language>\w*)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One code block: where it begins and what it says."""

    document: str
    line: int
    language: str
    text: str

    @property
    def first(self) -> str:
        """Its first line."""
        return self.text.strip().splitlines()[0]


NOT_RUN: dict[tuple[str, str], str] = {
    # (document, how the block begins): why it is not run by tests/docs
    ("README.md", "make test"): "runs every test, this one too",
    (
        "docs/operations.md",
        "otp-service check-config",
    ): "signals what bears a name: tests/flows/test_reload.py",
    ("docs/own-flask-app.md", "import atexit"): "tests/test_own_flask_app.py runs it",
    ("docs/own-flask-app.md", "@require_proof"): "one line of a view",
    ("docs/operations.md", "location /otp/ {"): "nginx is none of our tools",
    (
        "docs/reports.md",
        "otp-service reports",
    ): "runs until it is stopped: tests/faults/test_report_worker.py",
    ("docs/risk-challenge.md", "import { solveChallenge }"): "tests/risk/test_docs_examples.py runs it",
    ("docs/risk-challenge.md", '<script type="module">'): "altcha's own widget is none of our packages",
    ("docs/risk-challenge.md", "import hashlib"): "tests/risk/test_docs_examples.py runs it",
    ("docs/risk-challenge.md", "import os"): "a file of one's own that needs a configuration and a captcha",
    ("docs/sandbox.md", "from otp_service.sandbox"): "tests/sandbox/test_docs_examples.py runs it",
    ("docs/sandbox.md", "from dataclasses import replace"): "tests/sandbox/test_docs_examples.py runs it",
    ("docs/sandbox.md", "const SMSClient"): "tests/sandbox/test_docs_examples.py runs it",
    ("docs/sandbox.md", "const { $OpenApiUtil }"): "tests/sandbox/test_docs_examples.py runs it",
    ("docs/sandbox.md", "from alibabacloud"): "tests/sandbox/test_docs_examples.py runs it",
    ("docs/sandbox.md", "from aliyunsdkcore"): "tests/sandbox/test_docs_examples.py runs it",
    ("examples/express/README.md", "make example"): "fetches packages: tests/examples starts the same server",
}


def documents() -> list[str]:
    """Return what people read, by its path from the root."""
    found = [path for name in READERS for path in _markdown(ROOT / name)]
    return sorted(str(path.relative_to(ROOT)) for path in found if "node_modules" not in path.parts)


def _markdown(place: Path) -> list[Path]:
    return [place] if place.is_file() else list(place.rglob("*.md"))


def blocks(document: str) -> list[Block]:
    """Return the blocks of a document, in their order."""
    text = (ROOT / document).read_text("utf-8")
    return [
        Block(
            document,
            text.count("\n", 0, found.start()) + 1,
            found["language"],
            textwrap.dedent(found["text"]),
        )
        for found in _BLOCK.finditer(text)
    ]


def reason(block: Block) -> str | None:
    """Return why the block is not run, if there is a reason."""
    reasons = [
        why
        for (where, begins), why in NOT_RUN.items()
        if where == block.document and block.first.startswith(begins)
    ]
    return reasons[0] if reasons else None


def running(*languages: str) -> list[Block]:
    """Return all blocks of *languages* that are run."""
    found = [block for document in documents() for block in blocks(document)]
    return [block for block in found if block.language in languages and not reason(block)]
