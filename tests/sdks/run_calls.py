"""Shared by the Python scripts: reads calls from stdin and prints what the SDK returned or raised."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any


def run_calls(make_call: Callable[[str, dict[str, Any]], Any], *errors: type[Exception]) -> None:
    """Make the calls one after the other. Input and output are JSON."""
    job = json.load(sys.stdin)
    results = []
    for call in job["calls"]:
        try:
            results.append({"resolved": True, "body": make_call(job["url"], call)})
        except errors as error:
            results.append({"resolved": False, "name": type(error).__name__, **_facts(error)})
    json.dump(results, sys.stdout)


def _facts(error: Any) -> dict[str, Any]:
    code = getattr(error, "code", None) or error.get_error_code()
    return {"code": code, "message": str(error)}
