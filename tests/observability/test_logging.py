from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from pydantic import SecretStr
from support.events import RecordingEvents

from otp_service.domain.codes import Code
from otp_service.domain.phone import Phone
from otp_service.observability.logging import CompositeEventLogger, JsonEventLogger, install_logging_handler

AT = 1_795_421_261.25


@pytest.fixture
def output() -> io.BytesIO:
    return io.BytesIO()


def lines(output: io.BytesIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.getvalue().splitlines()]


def events(output: io.BytesIO, level: str = "info", request_id: str = "") -> JsonEventLogger:
    return JsonEventLogger(output, level=level, clock=lambda: AT, request_id=lambda: request_id)


def test_event_is_one_line_of_json(output: io.BytesIO) -> None:
    events(output, request_id="req_1").emit("sms_send", outcome="accepted", number=1, biz_id=None)

    assert output.getvalue() == (
        b'{"time":"2026-11-23T08:07:41.250Z","level":"info","event":"sms_send","request_id":"req_1",'
        b'"outcome":"accepted","number":1,"biz_id":null}\n'
    )


@pytest.mark.parametrize("name", ["time", "level", "request_id"])
def test_fact_never_replaces_a_standard_field(output: io.BytesIO, name: str) -> None:
    events(output, request_id="req_1").emit("http_request")
    events(output, request_id="req_1").emit("http_request", **{name: 2})

    alone, clash = lines(output)
    assert clash == {**alone, f"fact_{name}": 2}


def test_global_failure_level_is_a_warning_at_every_level(output: io.BytesIO) -> None:
    events(output).emit("global_failure_level_changed", alarm_level=2, wrong=9, approved=1)

    (line,) = lines(output)
    assert (line["level"], line["alarm_level"]) == ("warning", 2)


def test_request_id_is_absent_outside_requests(output: io.BytesIO) -> None:
    events(output).emit("started")

    assert "request_id" not in lines(output)[0]


@pytest.mark.parametrize("hostile", ["a\r\nb", "\x1b[31mred", "\u2028", "\u202etxt", "\x00", "\x7f"])
def test_values_cannot_break_out_of_a_line(output: io.BytesIO, hostile: str) -> None:
    events(output).emit("http_request", text=hostile)

    line = output.getvalue().removesuffix(b"\n")

    assert line.isascii()
    assert not set(line) & set(range(32))
    assert json.loads(line)["text"] == hostile


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param(Code("123456"), "<Code>", id="code"),
        pytest.param(b"\x00digest", "<bytes>", id="bytes"),
        pytest.param(SecretStr("secret"), "<SecretStr>", id="secret"),
        pytest.param(Phone("+8613800138000", "CN", "mobile", 86), "<Phone>", id="phone"),
        pytest.param({"phone": "+8613800138000"}, "<dict>", id="table"),
        pytest.param("sk_abcdefgh12345678", "<hidden>", id="secret-key"),
        pytest.param("no route to +8613800138000", "<hidden>", id="number-in-a-text"),
        pytest.param(["+8613800138000", "a"], ["<hidden>", "a"], id="number-in-a-list"),
        pytest.param("+86 138****8000", "+86 138****8000", id="masked-number"),
        pytest.param("900619746936498440^0", "900619746936498440^0", id="biz-id"),
    ],
)
def test_secrets_are_never_logged(output: io.BytesIO, value: object, shown: object) -> None:
    events(output).emit("http_request", fact=value)

    assert lines(output)[0]["fact"] == shown


def test_structlog_context_of_the_embedding_application_is_not_logged(output: io.BytesIO) -> None:
    with structlog.contextvars.bound_contextvars(phone="+8613800138000", name="Li Lei"):
        events(output).emit("started")

    assert set(lines(output)[0]) == {"time", "level", "event"}


def test_structlog_configuration_of_the_embedding_application_stays_unchanged(output: io.BytesIO) -> None:
    before = structlog.get_config()

    events(output).emit("started")

    assert structlog.get_config() == before
    assert not structlog.is_configured()


@pytest.mark.parametrize(
    ("event", "level"),
    [("http_request", "info"), ("redis_error", "warning"), ("unhandled_exception", "error")],
)
def test_events_have_levels(output: io.BytesIO, event: str, level: str) -> None:
    events(output).emit(event)

    assert lines(output)[0]["level"] == level


def test_events_below_the_level_are_not_written(output: io.BytesIO) -> None:
    quiet = events(output, level="warning")
    quiet.emit("http_request")
    quiet.emit("redis_error")

    assert [line["event"] for line in lines(output)] == ["redis_error"]


def test_debug_events_are_written_at_debug_level_only(output: io.BytesIO) -> None:
    events(output).emit("redis_roundtrip", duration_ms=0.125)
    assert lines(output) == []

    events(output, level="debug").emit("redis_roundtrip", duration_ms=0.125)
    assert lines(output)[0]["level"] == "debug"


def test_composite_logger_passes_events_to_all_loggers() -> None:
    loggers = RecordingEvents(), RecordingEvents()
    CompositeEventLogger(*loggers).emit("http_request", code="")

    assert [logger.emitted for logger in loggers] == [[("http_request", {"code": ""})]] * 2


# ── the logging of other libraries ──


@pytest.fixture
def library_log(output: io.BytesIO) -> Iterator[io.BytesIO]:
    """The output, to which messages of other libraries are logged, too."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    install_logging_handler(events(output, level="debug"))
    yield output
    root.handlers[:] = handlers
    root.setLevel(level)


def test_library_message_is_logged_without_its_arguments(library_log: io.BytesIO) -> None:
    logging.getLogger("some.package").warning("retrying %s", "https://api/?PhoneNumbers=13800138000")

    (line,) = lines(library_log)

    assert (line["event"], line["logger"], line["message"]) == ("library_log", "some.package", "retrying %s")
    assert "13800138000" not in library_log.getvalue().decode()


def test_exception_is_logged_by_its_type(library_log: io.BytesIO) -> None:
    error = ValueError("secret text")
    logging.getLogger("werkzeug").error("it failed", exc_info=error)

    (line,) = lines(library_log)

    assert (line["level"], line["error"]) == ("error", "ValueError")
    assert "secret text" not in library_log.getvalue().decode()


def test_library_message_below_warning_is_not_logged(library_log: io.BytesIO) -> None:
    logging.getLogger("some.package").info("chatter")

    assert lines(library_log) == []


def test_installing_the_handler_twice_does_not_duplicate_lines(
    library_log: io.BytesIO, output: io.BytesIO
) -> None:
    install_logging_handler(events(output, level="debug"))

    logging.getLogger("some.package").warning("once")

    assert len(lines(output)) == 1
