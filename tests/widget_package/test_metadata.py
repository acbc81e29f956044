"""The metadata of the npm packages matches the service and the element."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import generate_widget_countries
import pytest
from support.npm_packages import CLIENT, ELEMENT, TOOLS, WIDGET, metadata
from support.package_sources import ROOT

import otp_service
from otp_service.domain.phone import COUNTRIES

PACKAGES = [CLIENT, WIDGET]
SOURCE = ELEMENT.read_text("utf-8")
TYPES = (WIDGET / "src" / "index.d.ts").read_text("utf-8")
MANIFEST = json.loads((WIDGET / "custom-elements.json").read_text("utf-8"))
(MODULE,) = MANIFEST["modules"]
(DECLARATION,) = MODULE["declarations"]


def names(kind: str) -> list[str]:
    return [str(item["name"]) for item in DECLARATION[kind]]


def keys_of(interface: str) -> list[str]:
    """Return the members of an interface of the types."""
    (body,) = re.findall(rf"^export interface {interface} \{{\n(.*?)^\}}", TYPES, re.MULTILINE | re.DOTALL)
    return re.findall(r'^  "?([\w-]+)"?\??: ', body, re.MULTILINE)


@pytest.mark.parametrize("package", PACKAGES, ids=["client", "widget"])
def test_package_has_the_version_of_the_service(package: Path) -> None:
    assert metadata(package)["version"] == otp_service.__version__


@pytest.mark.parametrize("package", PACKAGES, ids=["client", "widget"])
def test_package_has_what_a_registry_shows(package: Path) -> None:
    found = metadata(package)

    assert found["name"] == f"@otp-service/{'client' if package == CLIENT else 'widget'}"
    assert found["author"] == "otp_service contributors"
    assert found["license"] == "MIT"
    assert found["description"]
    assert found["keywords"]
    assert (package / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


@pytest.mark.parametrize("package", PACKAGES, ids=["client", "widget"])
def test_readme_works_on_the_page_of_a_package(package: Path) -> None:
    """A relative link into the repository would be broken there."""
    assert re.findall(r"\]\((?!https://|#)", (package / "README.md").read_text("utf-8")) == []


@pytest.mark.parametrize("folder", [WIDGET, TOOLS], ids=["clients/widget", "tests/npm"])
def test_lock_file_contains_no_registry(folder: Path) -> None:
    text = (folder / "package-lock.json").read_text("utf-8")

    assert '"resolved"' not in text
    assert "https://registry" not in text
    assert json.loads(text)["packages"][""].get("version", otp_service.__version__) == otp_service.__version__


def test_package_is_built_with_the_tested_versions() -> None:
    assert metadata(WIDGET)["devDependencies"]["esbuild"] == metadata(TOOLS)["dependencies"]["esbuild"]


def test_manifest_has_the_attributes_of_the_element() -> None:
    (text,) = re.findall(r"^const ATTRIBUTES = \[(.*?)\];", SOURCE, re.MULTILINE | re.DOTALL)
    attributes = sorted(json.loads(f"[{text.strip().rstrip(',')}]"))

    assert sorted(names("attributes")) == attributes
    assert sorted(keys_of("OtpVerifyAttributes")) == attributes


def test_manifest_has_the_events_of_the_element() -> None:
    events = sorted(set(re.findall(r'this\.tell\("([\w-]+)"', SOURCE)))

    assert sorted(names("events")) == events
    assert sorted(keys_of("OtpVerifyEventMap")) == events


def test_manifest_has_the_custom_properties_of_the_element() -> None:
    assert sorted(names("cssProperties")) == sorted(set(re.findall(r"var\((--otp-[\w-]+)", SOURCE)))


def test_manifest_has_the_parts_that_the_docs_name() -> None:
    (line,) = re.findall(
        r"use `::part`: (.*)$", (ROOT / "docs" / "embedding.md").read_text("utf-8"), re.MULTILINE
    )

    assert sorted(names("cssParts")) == sorted(re.findall(r"`(\w+)`", line))


def test_manifest_has_the_members_of_the_element() -> None:
    (exported,) = MODULE["exports"]
    body = SOURCE.split("class OtpVerify extends HTMLElement {")[1].split("\n}\n")[0]
    public = set(re.findall(r"^  (?:get |set )?([a-z]\w*)\(", body, re.MULTILINE))
    of_the_browser = {name for name in public if name.endswith("Callback")}

    assert {member["name"] for member in DECLARATION["members"]} == public - of_the_browser
    assert DECLARATION["tagName"] == exported["name"] == "otp-verify"


def test_types_name_every_text_of_the_element() -> None:
    (body,) = re.findall(r"^const ENGLISH = \{\n(.*?)^\};", SOURCE, re.MULTILINE | re.DOTALL)

    assert keys_of("OtpVerifyTexts") == re.findall(r"^  (\w+): ", body, re.MULTILINE)


def countries(text: str) -> dict[str, Any]:
    return dict(re.findall(r'^export const (\w+) = "(.+)";$', text, re.MULTILINE))


def test_countries_are_those_of_the_service() -> None:
    """Other metadata may format the numbers of a few countries differently."""
    text = (WIDGET / "src" / "countries.js").read_text("utf-8")
    made = generate_widget_countries.module()
    same = set(countries(text).items()) & set(countries(made).items())

    assert set(countries(text)) == COUNTRIES
    if text.splitlines()[0] == generate_widget_countries.head():
        assert text == made
    assert len(same) > len(COUNTRIES) * 0.9
