"""What keeps a queue from being read."""

from __future__ import annotations

import re

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}")


class QueueError(Exception):
    """A call failed; it is made again later. *call* is `key`, `receive` or `delete`.

    *code* is Aliyun's, or a name of ours in lower case; no text of Aliyun's stands in it.
    """

    def __init__(self, call: str, code: str) -> None:
        super().__init__(f"{call}: {code}")
        self.call = call
        self.code = code


def plain_code(text: str, otherwise: str) -> str:
    """Return *text* if it has the form of a code."""
    return text if _CODE.fullmatch(text) else otherwise
