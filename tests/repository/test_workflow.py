"""The workflow of CI runs targets of make on every supported Python, may only read, and pins its actions."""

from __future__ import annotations

import re
import shlex
import tomllib
from typing import Any

import pytest
import yaml
from support.package_sources import ROOT

FILE = ROOT / ".github" / "workflows" / "ci.yml"
TEXT = FILE.read_text("utf-8")
WORKFLOW: dict[Any, Any] = yaml.safe_load(TEXT)
JOBS: dict[str, Any] = WORKFLOW["jobs"]
STEPS = [step for job in JOBS.values() for step in job["steps"]]
TARGETS = set(re.findall(r"^([a-z-]+):(?!=)", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


def supported(pyproject: str) -> list[str]:
    """Return the versions of Python that the classifiers of a package name."""
    classifiers = tomllib.loads((ROOT / pyproject).read_text("utf-8"))["project"]["classifiers"]
    prefix = "Programming Language :: Python :: 3."
    return [one.rpartition(" ")[2] for one in classifiers if one.startswith(prefix)]


def targets(job: str) -> list[str]:
    """Return what a job makes, by .ci/run, which installs what a machine lacks."""
    found: list[str] = []
    for command in (step["run"] for step in JOBS[job]["steps"] if "run" in step):
        program, *words = shlex.split(command)
        assert program == ".ci/run", command
        found += words
    return found


def test_jobs_make_what_a_developer_makes() -> None:
    assert {job: targets(job) for job in JOBS} == {
        "test": ["check", "test"],
        "newest": ["test-newest"],
        "packages": ["dist"],
    }
    assert {target for job in JOBS for target in targets(job)} <= TARGETS


def test_script_makes_check_and_test_by_itself() -> None:
    script = ROOT / ".ci" / "run"
    text = script.read_text("utf-8")

    assert script.stat().st_mode & 0o111
    assert text.endswith('(($#)) || set -- check test\nmake EXTRA=deploy "$@"\n')


@pytest.mark.parametrize("pyproject", ["pyproject.toml", "clients/python/pyproject.toml"])
def test_every_supported_python_is_tested(pyproject: str) -> None:
    assert JOBS["test"]["strategy"]["matrix"]["python"] == supported(pyproject)
    assert JOBS["test"]["container"] == "python:${{ matrix.python }}-trixie"
    newest = supported(pyproject)[-1]
    assert {JOBS[job]["container"] for job in ("newest", "packages")} == {f"python:{newest}-trixie"}


def test_failure_on_one_python_does_not_hide_another() -> None:
    assert JOBS["test"]["strategy"]["fail-fast"] is False


def test_every_action_is_pinned_to_a_commit_and_names_its_version() -> None:
    used = [step["uses"] for step in STEPS if "uses" in step]

    assert len(used) == len(JOBS) + 1
    assert [one for one in used if not re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", one)] == []
    assert len(re.findall(r"uses: \S+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", TEXT, re.MULTILINE)) == len(used)


def test_workflow_may_only_read() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert [job for job in JOBS.values() if "permissions" in job or "secrets" in job] == []
    assert "secrets." not in TEXT
    assert "pull_request_target" not in WORKFLOW[True]  # `on` is a boolean of YAML 1.1


def test_no_credentials_are_left_for_the_tests() -> None:
    checkouts = [step for step in STEPS if step.get("uses", "").startswith("actions/checkout@")]

    assert len(checkouts) == len(JOBS)
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_upgrade_is_tested_from_the_previous_commit() -> None:
    assert {JOBS[job]["steps"][0]["with"].get("fetch-depth") for job in ("test", "newest")} == {0}


def test_every_job_ends() -> None:
    assert all(0 < job["timeout-minutes"] <= 90 for job in JOBS.values())


def test_packages_are_kept() -> None:
    kept = JOBS["packages"]["steps"][-1]

    assert kept["uses"].startswith("actions/upload-artifact@")
    assert kept["with"] == {"name": "packages", "path": "dist/", "if-no-files-found": "error"}
