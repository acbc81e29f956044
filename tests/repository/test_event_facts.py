"""No field of an event has the name of a field that every log line has."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest
from support.events import RecordingEvents
from support.package_sources import ROOT, SOURCES

from otp_service.observability.logging import EVENTS, LINE_FIELDS

EMITTERS = {"emit", "_emit", "bind"}
"""Methods whose keyword arguments become fields of an event."""

ROWS = re.findall(
    r"^\| (`[^|]+) \| [a-z, ]+ \| [^|]+ \| ([^|]+) \|$", (ROOT / "docs/events.md").read_text(), re.MULTILINE
)
DOCUMENTED = {event: facts for events, facts in ROWS for event in re.findall(r"`(\w+)`", events)}


def calls() -> Iterator[tuple[str, ast.Call]]:
    for source in SOURCES:
        for node in ast.walk(source.tree):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in EMITTERS
            ):
                yield f"{source.path}:{node.lineno}", node


def emitted() -> set[str]:
    first = [node.args[0] for _, node in calls() if node.args]
    return {str(arg.value) for arg in first if isinstance(arg, ast.Constant)}


def test_scan_finds_the_events_of_the_service() -> None:
    assert {"http_request", "sms_send", "global_failure_level_changed", "queue_error", "started"} <= emitted()


def test_no_emitted_field_has_the_name_of_a_common_field() -> None:
    named = {where: {str(k.arg) for k in node.keywords} & LINE_FIELDS for where, node in calls()}

    assert {where: names for where, names in named.items() if names} == {}


def test_every_emitted_event_is_documented() -> None:
    assert emitted() - DOCUMENTED.keys() == set()


def test_list_of_events_matches_the_emitted_and_documented_ones() -> None:
    """Each event of the list has its own metric series from the start."""
    assert emitted() - EVENTS == set()
    assert DOCUMENTED.keys() == EVENTS


@pytest.mark.parametrize("event", DOCUMENTED)
def test_documented_fields_have_no_name_of_a_common_field(event: str) -> None:
    assert set(re.findall(r"`(\w+)`", DOCUMENTED[event])) & LINE_FIELDS == set()


@pytest.mark.parametrize("name", sorted(LINE_FIELDS))
def test_fake_events_reject_a_field_with_the_name_of_a_common_field(name: str) -> None:
    """Every test that records events checks the fields that are built at run time."""
    with pytest.raises((AssertionError, TypeError)):
        RecordingEvents().emit("http_request", **{name: "x"})
