"""The paths of an installation are the same everywhere."""

from __future__ import annotations

import re

import pytest
from support.doc_blocks import documents
from support.package_sources import ROOT

PLACES = sorted(
    {
        *documents(),
        "README.zh-CN.md",
        "config.example.toml",
        *(str(path.relative_to(ROOT)) for path in (ROOT / "deploy").rglob("*") if path.is_file()),
    }
)


@pytest.mark.parametrize("place", PLACES)
def test_paths_of_an_installation_are_consistent(place: str) -> None:
    text = (ROOT / place).read_text("utf-8")
    found = re.findall(r"/(?:etc|opt|var/log)/(otp\w*(?:[-_.]\w+)*)", text)

    assert {name for name in found if not name.startswith("otp-service")} == set()
    assert "/run/otp_service" not in text
