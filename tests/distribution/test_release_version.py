"""The version is the same everywhere; the tool that says so finds a place where it differs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import release_version
import yaml
from support.package_sources import ROOT

import otp_service

NAMES = sorted({name for name, _ in release_version.PLACES})


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The files with a version, and a changelog, to be changed by a test."""
    for name in (*NAMES, "CHANGELOG.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_version_is_the_same_everywhere() -> None:
    assert release_version.differences() == []
    assert dict(release_version.found())[release_version.SOURCE] == otp_service.__version__


def test_pyproject_reads_the_version_of_the_package() -> None:
    text = (ROOT / "pyproject.toml").read_text("utf-8")

    assert re.search(rf'^\[tool\.hatch\.version\]\npath = "{release_version.SOURCE}"$', text, re.MULTILINE)
    assert not re.search(r"^version = ", text, re.MULTILINE)


def test_no_other_file_of_the_packages_has_the_version() -> None:
    """A place that the tool does not know would keep the old version in a release."""
    folders = ("otp_service", "clients", "deploy")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    texts = {
        str(path.relative_to(ROOT)): path.read_text("utf-8")
        for path in paths
        if path.suffix in {".py", ".js", ".json", ".ts", ".toml", ".yaml", ".yml", ".md", ""}
        and not {"node_modules", "dist", "docs_page"} & set(path.parts)
    }
    pattern = re.compile(rf"(?<![\d.]){re.escape(otp_service.__version__)}(?![\d.])")

    assert {name for name, text in texts.items() if pattern.search(text)} == set(NAMES)


@pytest.mark.parametrize("name", [name for name in NAMES if name != release_version.SOURCE])
def test_version_that_differs_is_found(copy: Path, name: str) -> None:
    text = (copy / name).read_text("utf-8")
    (copy / name).write_text(text.replace(otp_service.__version__, "9.9.9", 1), "utf-8")

    assert release_version.differences(copy) == [f"{name}: has 9.9.9 instead of {otp_service.__version__}"]


def test_file_without_a_version_is_found(copy: Path) -> None:
    (copy / "clients/js/package.json").write_text("{}", "utf-8")

    assert release_version.differences(copy) == [
        f"clients/js/package.json: has no version instead of {otp_service.__version__}"
    ]


def test_new_version_is_written_to_every_place(copy: Path) -> None:
    release_version.write("12.3.45", copy)
    chart = yaml.safe_load((copy / "deploy/helm/otp-service/Chart.yaml").read_text("utf-8"))
    lock = json.loads((copy / "clients/widget/package-lock.json").read_text("utf-8"))

    assert release_version.differences(copy) == []
    assert {version for _, version in release_version.found(copy)} == {"12.3.45"}
    assert chart["version"] == chart["appVersion"] == "12.3.45"
    assert lock["version"] == lock["packages"][""]["version"] == "12.3.45"


@pytest.mark.parametrize("version", ["1.2", "v1.2.3", "1.2.3rc1", "01.2.3", ""])
def test_text_that_is_no_version_is_not_written(copy: Path, version: str) -> None:
    with pytest.raises(ValueError, match=r"is not a version like 1\.2\.3"):
        release_version.write(version, copy)

    assert release_version.differences(copy) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# Changelog\n\n## Unreleased\n\n- A line.\n", "has no heading '## 1.2.3 - YYYY-MM-DD'"),
        ("## 1.2.3 - 2026-12-01\n\n## 1.2.2 - 2026-11-01\n\n- A line.\n", "says nothing about 1.2.3"),
        (
            "## Unreleased\n\n- A line.\n\n## 1.2.3 - 2026-12-01\n\n- A line.\n",
            "lines are left under 'Unreleased'; move them to 1.2.3",
        ),
        ("## Unreleased\n\n## 1.2.3 - 2026-12-01\n\n### Added\n\n- A line.\n", None),
    ],
    ids=["no section", "empty section", "unreleased lines", "described"],
)
def test_release_needs_a_section_in_the_changelog(copy: Path, text: str, expected: str | None) -> None:
    release_version.write("1.2.3", copy)
    (copy / "CHANGELOG.md").write_text(text, "utf-8")

    assert release_version.undescribed(copy) == ([f"CHANGELOG.md: {expected}"] if expected else [])


def recipe(target: str) -> str:
    """Return the commands of a target of the Makefile, without those of its prerequisites."""
    text = (ROOT / "Makefile").read_text("utf-8")
    (found,) = re.findall(rf"^{target}:.*\n((?:\t.*\n)+)", text, re.MULTILINE)
    return found


def test_release_check_fails_if_a_check_cannot_be_made() -> None:
    commands = recipe("release-check")

    assert "pip-audit --strict --require-hashes --disable-pip -r constraints/server.txt" in commands
    assert "release_version.py --changelog" in commands
    assert "cyclonedx-py environment" in commands
    assert not re.search(r"^\t-|\|\| *true|\|\| *:", commands, re.MULTILINE)


@pytest.mark.parametrize("target", ["dist", "release-check", "version"])
def test_nothing_is_published(target: str) -> None:
    assert not re.search(r"publish|upload|twine|docker push|git push", recipe(target))


def test_tool_says_that_the_version_is_correct() -> None:
    result = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "release_version.py")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (result.returncode, result.stdout) == (0, f"Version {otp_service.__version__}: correct.\n")
