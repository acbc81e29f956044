"""The version of a release: it is the same everywhere, and CHANGELOG.md describes it.

Without an option, prints where a version differs from that of `otp_service/__init__.py`. `make release-check`
also demands a section in CHANGELOG.md (`--changelog`), and `make version` writes a new version (`--set`).
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = "otp_service/__init__.py"
"""The place that decides. The build and `otp-service --version` read it."""

_PYTHON = r'^__version__ = "(.+)"$'
_PACKAGE = r'^  "version": "(.+)",$'
PLACES: Sequence[tuple[str, str]] = (
    # Each file with a version, and where in it the version is.
    (SOURCE, _PYTHON),
    ("clients/python/otp_service_client/_version.py", _PYTHON),
    ("clients/js/package.json", _PACKAGE),
    ("clients/js/lib/transport.js", r'"User-Agent": "otp_service-client-js/(.+)"'),
    ("clients/widget/package.json", _PACKAGE),
    ("clients/widget/package-lock.json", r'"name": "@otp-service/widget",\n +"version": "(.+)",$'),
    ("deploy/helm/otp-service/Chart.yaml", r"^version: (.+)$"),
    # The tag of the image in the chart is that of the application.
    ("deploy/helm/otp-service/Chart.yaml", r'^appVersion: "(.+)"$'),
)

_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


def found(root: Path = ROOT) -> Iterator[tuple[str, str]]:
    """Yield each file and the version in it. A place without a version has an empty one."""
    for name, pattern in PLACES:
        versions = re.findall(pattern, (root / name).read_text("utf-8"), re.MULTILINE)
        yield from ((name, version) for version in versions or [""])


def differences(root: Path = ROOT) -> list[str]:
    """Return what differs from the version of the service."""
    version = dict(found(root))[SOURCE]
    if not _VERSION.fullmatch(version):
        return [f"{SOURCE}: {version or 'nothing'} is not a version like 1.2.3"]
    return [
        f"{name}: has {other or 'no version'} instead of {version}"
        for name, other in found(root)
        if other != version
    ]


def undescribed(root: Path = ROOT) -> list[str]:
    """Return what is missing in CHANGELOG.md for a release of the version."""
    version = dict(found(root))[SOURCE]
    text = (root / "CHANGELOG.md").read_text("utf-8")
    section = re.search(
        rf"^## {re.escape(version)} - \d{{4}}-\d\d-\d\d\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL
    )
    if section is None:
        return [f"CHANGELOG.md: has no heading '## {version} - YYYY-MM-DD'"]
    if not re.search("^- ", section[1], re.MULTILINE):
        return [f"CHANGELOG.md: says nothing about {version}"]
    unreleased = re.search(r"^## Unreleased\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if unreleased and re.search("^- ", unreleased[1], re.MULTILINE):
        return [f"CHANGELOG.md: lines are left under 'Unreleased'; move them to {version}"]
    return []


def write(version: str, root: Path = ROOT) -> None:
    """Write *version* to every place.

    Raises:
        ValueError: it is not a version like 1.2.3.
    """
    if not _VERSION.fullmatch(version):
        raise ValueError(f"{version} is not a version like 1.2.3")
    for name, pattern in PLACES:
        path = root / name
        text = path.read_text("utf-8")
        for match in reversed(list(re.finditer(pattern, text, re.MULTILINE))):
            text = text[: match.start(1)] + version + text[match.end(1) :]
        path.write_text(text, "utf-8")


def main(arguments: Sequence[str]) -> int:
    """Check, or write, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changelog", action="store_true", help="check CHANGELOG.md, too")
    parser.add_argument("--set", metavar="VERSION", help="write this version to every place")
    given = parser.parse_args(arguments)
    if given.set is not None:
        try:
            write(given.set)
        except ValueError as error:
            parser.error(str(error))
    wrong = differences() or (undescribed() if given.changelog else [])
    sys.stdout.write("".join(f"{line}\n" for line in wrong or [f"Version {dict(found())[SOURCE]}: correct."]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
