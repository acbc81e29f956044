"""The distribution `otp-service-client`: built, and installed into an environment without the service."""

from __future__ import annotations

import re
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from support.distributions import build, environment, install, run, with_dependencies
from support.package_sources import ROOT

import otp_service
import otp_service_client

SOURCES = ROOT / "clients" / "python"
DIRECT = {"itsdangerous", "requests"}


@dataclass(frozen=True)
class Built:
    """The built files, and an environment with the wheel and what it requires."""

    wheel: Path
    sdist: Path
    python: Path


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    place = tmp_path_factory.mktemp("client")
    wheel, sdist = build(SOURCES, place / "dist")
    python = environment(place / "venv", with_dependencies(*DIRECT))
    install(wheel, python)
    return Built(wheel, sdist, python)


def test_client_installs_without_the_service(built: Built) -> None:
    program = (
        "import importlib.util, otp_service_client as c\n"
        "assert importlib.util.find_spec('otp_service') is None\n"
        "print(c.__version__, c.OtpClient('https://otp.example.com', 'sk_x'))\n"
    )

    assert run(built.python, "-I", "-c", program).split() == [
        otp_service.__version__,
        "OtpClient(https://otp.example.com)",
    ]


def test_async_client_says_which_extra_it_needs(built: Built) -> None:
    program = (
        "from otp_service_client import AsyncOtpClient\n"
        "try:\n"
        "    AsyncOtpClient('https://otp.example.com', 'sk_x')\n"
        "except ImportError as error:\n"
        "    print(error)\n"
    )

    assert "otp-service-client[async]" in run(built.python, "-I", "-c", program)


def test_wheel_and_sdist_hold_what_they_must(built: Built) -> None:
    modules = {f"otp_service_client/{path.name}" for path in (SOURCES / "otp_service_client").glob("*.py")}
    with zipfile.ZipFile(built.wheel) as wheel:
        names = set(wheel.namelist())
        metadata = wheel.read(next(name for name in names if name.endswith("/METADATA"))).decode()
    with tarfile.open(built.sdist) as sdist:
        packed = {name.partition("/")[2] for name in sdist.getnames()}

    assert modules | {"otp_service_client/py.typed"} == {name for name in names if ".dist-info/" not in name}
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert packed >= modules | {"otp_service_client/py.typed", "README.md", "LICENSE", "pyproject.toml"}
    assert f"\nVersion: {otp_service.__version__}\n" in metadata
    assert "\nAuthor: otp_service contributors\n" in metadata
    requirements = [line[15:] for line in metadata.splitlines() if line.startswith("Requires-Dist: ")]
    assert {Requirement(text).name for text in requirements if "extra" not in text} == DIRECT
    assert [Requirement(text).name for text in requirements if "extra" in text] == ["httpx"]


def test_client_and_service_have_the_same_version() -> None:
    assert otp_service_client.__version__ == otp_service.__version__


def test_license_is_that_of_the_service() -> None:
    assert (SOURCES / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_links_of_the_readme_work_on_a_package_page() -> None:
    """A relative link would lead to nothing there."""
    assert re.findall(r"\]\((?!https://|#)", (SOURCES / "README.md").read_text("utf-8")) == []


@pytest.mark.parametrize("example", ["django_signup", "fastapi", "flask_login"])
def test_example_requires_the_client_of_the_checkout(example: str) -> None:
    folder = ROOT / "examples" / example
    lines = [
        line.partition(" #")[0].strip() for line in (folder / "requirements.txt").read_text().splitlines()
    ]

    assert [(folder / line).resolve() for line in lines if line.startswith(".")] == [SOURCES]
    assert "from otp_service_client import" in (folder / "app.py").read_text()
