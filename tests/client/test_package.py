"""The distribution `otp-service-client`: built, and installed into an environment without the service."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from support.package_sources import ROOT
from support.redis_servers import skip_or_fail

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


def run(*command: object, cwd: Path | None = None) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def needed(*names: str) -> set[str]:
    """Return the installed distributions that *names* require, themselves included."""
    found, waiting = set[str](), list(names)
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name not in found:
            found.add(name)
            requirements = map(Requirement, distribution(name).requires or [])
            waiting += [
                one.name for one in requirements if one.marker is None or one.marker.evaluate({"extra": ""})
            ]
    return found


def copy_installed(names: set[str], site_packages: Path) -> None:
    """Copy distributions from this environment, so that the test needs no network."""
    for name in names:
        one = distribution(name)
        for path in one.files or []:
            if ".." in path.parts or "__pycache__" in path.parts:
                continue
            target = site_packages / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(Path(str(one.locate_file(path))).read_bytes())


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    if find_spec("hatchling") is None:
        skip_or_fail("hatchling is not installed")
    place = tmp_path_factory.mktemp("client")
    run(sys.executable, "-m", "hatchling", "build", "-d", place / "dist", cwd=SOURCES)
    (wheel,), (sdist,) = (list((place / "dist").glob(pattern)) for pattern in ("*.whl", "*.tar.gz"))
    venv.create(place / "venv", symlinks=True)
    (site_packages,) = (place / "venv" / "lib").glob("*/site-packages")
    copy_installed(needed(*DIRECT), site_packages)
    python = place / "venv" / "bin" / "python"
    install(wheel, python)
    return Built(wheel, sdist, python)


def install(what: object, python: Path) -> None:
    """Install a wheel, whose requirements must be there already, as `pip check` then confirms."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]
    run(*pip, "install", "--quiet", "--no-index", "--no-deps", what)
    assert "No broken requirements" in run(*pip, "check")


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
