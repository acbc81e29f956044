"""What both Python scripts share: calls come in on stdin, and out goes what the SDK made of the answers."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any


def work(make_call: Callable[[str, dict[str, Any]], Any], *errors: type[Exception]) -> None:
    """Make the calls one after the other; both ends speak JSON."""
    given = json.load(sys.stdin)
    results = []
    for call in given["calls"]:
        try:
            results.append({"resolved": True, "body": make_call(given["url"], call)})
        except errors as error:
            results.append({"resolved": False, "name": type(error).__name__, **_facts(error)})
    json.dump(results, sys.stdout)


def _facts(error: Any) -> dict[str, Any]:
    code = getattr(error, "code", None) or error.get_error_code()
    return {"code": code, "message": str(error)}
