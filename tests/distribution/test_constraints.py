"""constraints/ has a version, with hashes, for everything that pyproject.toml requires."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from update_lock import DIRECTORY, LOCKS, requirements

PYTHONS = ["3.11.2", "3.11.9", "3.12.3", "3.13.5", "3.14.0"]
"""3.11.2 is Debian 12's, for which redis-py needs one more package."""
MACHINES = [("Linux", "linux", "x86_64"), ("Linux", "linux", "aarch64"), ("Darwin", "darwin", "arm64")]


@dataclass(frozen=True)
class Pin:
    """One version of a package, for the machines that its marker names."""

    requirement: Requirement
    hashes: int

    @property
    def name(self) -> str:
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> Version:
        (one,) = self.requirement.specifier
        assert one.operator == "=="
        return Version(one.version)


def pins(name: str) -> list[Pin]:
    text = (DIRECTORY / f"{name}.txt").read_text("utf-8")
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        if line and not line.startswith("#"):
            requirement, *hashes = re.split(r"\s+--hash=", line.strip())
            assert [one for one in hashes if not re.fullmatch("sha256:[0-9a-f]{64}", one)] == []
            found.append(Pin(Requirement(requirement), len(hashes)))
    return found


def environment(python: str, system: str, platform: str, machine: str) -> Mapping[str, str]:
    """Return the values of the markers on a machine."""
    return {
        **{name: str(value) for name, value in default_environment().items()},
        "python_full_version": python,
        "python_version": python.rpartition(".")[0],
        "implementation_version": python,
        "platform_system": system,
        "sys_platform": platform,
        "platform_machine": machine,
    }


ENVIRONMENTS = [environment(python, *machine) for python in PYTHONS for machine in MACHINES]


def applying(
    found: Iterable[Requirement], values: Mapping[str, str], extras: Iterable[str] = ()
) -> list[Requirement]:
    """Return the requirements that a machine has."""
    return [
        one
        for one in found
        if one.marker is None
        or any(one.marker.evaluate({**values, "extra": extra}) for extra in ("", *extras))
    ]


def versions(name: str, values: Mapping[str, str]) -> dict[str, Version]:
    """Return the versions that a machine gets from a file of constraints/. No package has two."""
    chosen = [pin for pin in pins(name) if applying([pin.requirement], values)]
    assert len({pin.name for pin in chosen}) == len(chosen)
    return {pin.name: pin.version for pin in chosen}


def unmet(wanted: Iterable[Requirement], given: Mapping[str, Version]) -> list[str]:
    """Return the requirements that *given* does not satisfy."""
    return [
        str(one)
        for one in wanted
        if (version := given.get(canonicalize_name(one.name))) is None
        or not one.specifier.contains(version, prereleases=True)
    ]


def required_by(name: str, version: Version) -> list[Requirement]:
    """Return what a package requires, if this version of it is installed here."""
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return []
    return list(map(Requirement, found.requires or [])) if Version(found.version) == version else []


def test_there_is_a_file_for_each_lock_and_no_other() -> None:
    assert {path.name for path in DIRECTORY.iterdir()} == {f"{name}.txt" for name in LOCKS}


@pytest.mark.parametrize("name", LOCKS)
def test_every_version_has_hashes(name: str) -> None:
    assert pins(name)
    assert [str(pin.requirement) for pin in pins(name) if not pin.hashes] == []


@pytest.mark.parametrize("name", LOCKS)
def test_no_address_and_no_option_is_in_the_file(name: str) -> None:
    """Which registry is used is the decision of the machine that installs."""
    text = (DIRECTORY / f"{name}.txt").read_text("utf-8")

    assert re.findall(r"\S*(?:://| @ )\S*", text) == []
    assert set(re.findall(r"^\s*(--?\w+)", text, re.MULTILINE)) == {"--hash"}


@pytest.mark.parametrize("name", LOCKS)
def test_versions_satisfy_pyproject_on_every_machine(name: str) -> None:
    """Every requirement of the extras that the file covers has a version, within the bounds."""
    wanted = list(map(Requirement, requirements(LOCKS[name])))

    assert wanted
    for values in ENVIRONMENTS:
        assert unmet(applying(wanted, values), versions(name, values)) == [], values


@pytest.mark.parametrize("name", LOCKS)
def test_what_the_locked_packages_require_is_locked_too(name: str) -> None:
    """Otherwise pip refuses to go on. Only packages that are installed here can be asked."""
    direct = {canonicalize_name(one.name): one for one in map(Requirement, requirements(LOCKS[name]))}
    checked = set[str]()
    for values in ENVIRONMENTS:
        given = versions(name, values)
        for package, version in given.items():
            extras = direct[package].extras if package in direct else ()
            if wanted := required_by(package, version):
                assert unmet(applying(wanted, values, extras), given) == [], (package, values)
                checked.add(package)

    assert checked


def test_a_package_has_one_version_in_all_files() -> None:
    """So that several of them can be installed into one environment."""
    for values in ENVIRONMENTS:
        seen: dict[str, Version] = {}
        for name in LOCKS:
            for package, version in versions(name, values).items():
                assert seen.setdefault(package, version) == version, (name, package)


def test_oldest_supported_python_gets_what_only_it_needs() -> None:
    for python, expected in (("3.11.2", True), ("3.12.3", False)):
        assert ("async-timeout" in versions("server", environment(python, *MACHINES[0]))) is expected


def test_server_has_less_than_development() -> None:
    values = ENVIRONMENTS[0]

    assert versions("server", values).items() < versions("embedded", values).items()
    assert versions("embedded", values).items() < versions("dev", values).items()
    assert versions("dev", values).items() < versions("deploy", values).items()
    assert "pytest" not in versions("embedded", values)
