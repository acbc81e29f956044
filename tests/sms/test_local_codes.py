"""The local error codes: each is explained and documented."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from otp_service.sms.provider import LOCAL_CODES, explain_local_code

ROOM = Path(__file__).parents[2] / "otp_service" / "sms"
OPERATIONS = (Path(__file__).parents[2] / "docs" / "operations.md").read_text("utf-8")


def written() -> set[str]:
    """Return every code that is passed to one of `_WRITERS`."""
    found = set()
    for path in set(ROOM.rglob("*.py")) - set((ROOM / "aliyun" / "protocol").iterdir()):
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") in _WRITERS:
                found |= {f"local.{text}" for text in map(_text, call.args) if text}
    return found


_WRITERS = {"rejected", "outcome_unknown", "not_attempted", "UnsupportedRecipient"}


def _text(argument: ast.expr) -> str:
    first = argument.values[0] if isinstance(argument, ast.JoinedStr) else argument
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""


def test_every_local_code_is_explained() -> None:
    codes = written()

    assert {"local.deadline", "local.not_sent.", "local.template_param", "local.no_route"} <= codes
    assert [code for code in codes if not explain_local_code(code)] == []


@pytest.mark.parametrize("code", ["OK", "isv.AMOUNT_NOT_ENOUGH", "SignatureDoesNotMatch", ""])
def test_provider_code_is_no_local_code(code: str) -> None:
    assert explain_local_code(code) == ""


def test_longer_code_is_not_explained_as_a_shorter_one() -> None:
    assert explain_local_code("local.phone_reads_as_mainland") != explain_local_code("local.phone")


@pytest.mark.parametrize("code", LOCAL_CODES)
def test_every_local_code_is_documented(code: str) -> None:
    assert f"| `{code}` | {LOCAL_CODES[code]} |" in OPERATIONS
