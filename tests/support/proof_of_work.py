"""Solves risk challenges by brute force, as a browser does."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any


def solve(challenge: Mapping[str, Any]) -> str:
    """Return the solution of a proof-of-work challenge, as the API expects it."""
    for number in range(challenge["maxnumber"] + 1):
        text = f"{challenge['salt']}{number}".encode()
        if hashlib.sha256(text).hexdigest() == challenge["challenge"]:
            return base64.b64encode(json.dumps({**challenge, "number": number}).encode()).decode()
    raise AssertionError("no number solves the challenge")
