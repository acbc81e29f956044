"""The distribution `otp-service`: what is in it, what a package page shows, and that it runs as installed."""

from __future__ import annotations

import os
import re
import shutil
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from support.distributions import build, environment, install, requirements_of, run, with_dependencies
from support.doc_blocks import blocks
from support.package_sources import PACKAGE, ROOT

import otp_service

EXAMPLE = (ROOT / "config.example.toml").read_bytes()


@dataclass(frozen=True)
class Built:
    """The built files, and an environment with the wheel and what it requires, without extras."""

    wheel: Path
    sdist: Path
    python: Path

    @property
    def program(self) -> Path:
        """The command `otp-service`."""
        return self.python.with_name("otp-service")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    place = tmp_path_factory.mktemp("server")
    wheel, sdist = build(ROOT, place / "dist")
    python = environment(
        place / "venv", with_dependencies(*map(str, requirements_of(Requirement("otp-service"))))
    )
    install(wheel, python)
    return Built(wheel, sdist, python)


@pytest.fixture(scope="module")
def metadata(built: Built) -> Message:
    with zipfile.ZipFile(built.wheel) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        return message_from_bytes(wheel.read(name))


def sources() -> set[str]:
    """Return the files of the package in the checkout."""
    paths = (path for path in (ROOT / PACKAGE).rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {str(path.relative_to(ROOT)) for path in paths}


def test_wheel_holds_the_package_and_its_licenses(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as wheel:
        names = set(wheel.namelist())
        example = wheel.read("otp_service/settings/config.example.toml")

    assert {name for name in names if ".dist-info/" not in name} == sources()
    assert {"otp_service/py.typed", "otp_service/store/lua/create.lua"} <= names
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert example == EXAMPLE


def test_sdist_holds_the_package_and_no_other_folder(built: Built) -> None:
    with tarfile.open(built.sdist) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}

    assert {name for name in names if name.startswith("otp_service/")} == sources()
    assert {name for name in names if not name.startswith("otp_service/")} == {
        *(".gitignore", "CHANGELOG.md", "LICENSE", "PKG-INFO", "README.md"),
        *("config.example.toml", "pyproject.toml"),
    }


def test_sdist_builds_the_same_wheel(built: Built, tmp_path: Path) -> None:
    with tarfile.open(built.sdist) as sdist:
        sdist.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    wheel, _ = build(unpacked, tmp_path / "dist")

    with zipfile.ZipFile(wheel) as one, zipfile.ZipFile(built.wheel) as other:
        assert {item.filename: item.CRC for item in one.infolist()} == {
            item.filename: item.CRC for item in other.infolist()
        }


def test_metadata_says_what_a_registry_shows(metadata: Message) -> None:
    assert metadata["Name"] == "otp-service"
    assert metadata["Version"] == otp_service.__version__
    assert metadata["Author"] == "otp_service contributors"
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["Keywords"]
    assert {"Framework :: Flask", "Typing :: Typed"} <= set(metadata.get_all("Classifier") or [])
    assert metadata["Description-Content-Type"] == "text/markdown"


def test_service_and_client_do_not_require_each_other(metadata: Message) -> None:
    names = {Requirement(text).name for text in metadata.get_all("Requires-Dist") or []}

    assert "flask" in names
    assert "otp-service-client" not in names


def test_description_has_no_relative_link_or_picture(metadata: Message) -> None:
    """On a package page they would lead to nothing."""
    readme = (ROOT / "README.md").read_text("utf-8")
    description = str(metadata.get_payload())

    assert re.search(r"!\[[^\]]*\]\(docs/", readme)
    assert re.findall(r"\]\((?!https://|#)", description) == []
    assert re.findall(r"^ *\[[^\]]+\]: *(?!https://)", description, re.MULTILINE) == []
    assert re.findall(r"(?:src|href)=\"(?!https://)", description) == []
    assert "- Each endpoint, field and error: docs/api.md." in description
    assert [line for line in description.splitlines() if line.startswith("#")] == [
        line for line in readme.splitlines() if line.startswith("#")
    ]


def test_command_has_the_version(built: Built) -> None:
    assert run(built.program, "--version", cwd=built.python.parent).split()[-1] == otp_service.__version__


def test_application_can_be_imported(built: Built) -> None:
    program = (
        "import importlib.util, otp_service\n"
        "from otp_service import create_app, create_blueprint, require_proof\n"
        "assert importlib.util.find_spec('otp_service_client') is None\n"
        "assert importlib.util.find_spec('fakeredis') is None\n"
        "print(otp_service.__version__, create_app.__name__)\n"
    )

    assert run(built.python, "-I", "-c", program).split() == [otp_service.__version__, "create_app"]


def test_service_installs_with_hashes_as_the_docs_say(built: Built, tmp_path: Path) -> None:
    """Needs a package registry, as every installation does."""
    (block,) = [block for block in blocks("docs/releasing.md") if block.first_line.startswith("pip install")]
    shutil.copytree(ROOT / "constraints", tmp_path / "constraints")
    shutil.copy(built.wheel, tmp_path)
    venv.create(tmp_path / "venv", symlinks=True, with_pip=True)
    path = f"{tmp_path / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    script = f"set -e\n{block.text}\npip check\notp-service --version"

    assert run("env", f"PATH={path}", "PIP_QUIET=1", "bash", "-c", script, cwd=tmp_path).split()[-1] == (
        otp_service.__version__
    )


def set_value(text: str, name: str, line: str) -> str:
    """Replace the one line of the configuration that sets *name*."""
    text, count = re.subn(rf"^{re.escape(name)} = .*$", line.replace("\\", r"\\"), text, flags=re.MULTILINE)
    assert count == 1, name
    return text


def test_shipped_example_is_a_configuration_once_it_is_filled_in(built: Built, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.touch(mode=0o600)
    config.write_text(example := run(built.program, "config-example"), "utf-8")
    check = [built.program, "check-config", "--offline", "--config", config]
    refused = run(*check, cwd=tmp_path, code=1)

    secrets = run(built.program, "secrets", "new") + run(built.program, "keys", "new", "web")
    for name in ("active_kid", "pseudonym_key", "secret_key_digests", "proof_keys"):
        (line,) = re.findall(rf"^{name} = .*$", secrets, re.MULTILINE)
        example = set_value(example, name, line)
    ((kid, root),) = re.findall(r"^(\d\S*) = (.*)$", secrets, re.MULTILINE)
    example = set_value(example, "a", f"{kid} = {root}")
    example = set_value(example, "access_key_id", 'access_key_id = "LTAI5tMadeUpForThisTest"')
    example = set_value(example, "access_key_secret", 'access_key_secret = "MadeUpForThisTestToo12345678"')
    config.write_text(example, "utf-8")

    assert "keys.pseudonym_key: is the secret of the example configuration" in refused
    assert run(*check, cwd=tmp_path)
