"""Writes an answer as XML; touches nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.sax.saxutils import escape

#: Characters that XML 1.0 can't hold at all, and lone surrogates.
_IMPOSSIBLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_xml(root: str, fields: Mapping[str, object], namespace: str = "") -> str:
    """Write *fields* below *root*: a mapping nests, a list repeats its own name."""
    said = f' xmlns="{namespace}"' if namespace else ""
    return f"<?xml version='1.0' encoding='UTF-8'?><{root}{said}>{_children(fields)}</{root}>"


def _children(fields: Mapping[str, object]) -> str:
    return "".join(_element(name, value) for name, value in fields.items())


def _element(name: str, value: object) -> str:
    if isinstance(value, list | tuple):
        return "".join(_element(name, item) for item in value)
    inner = _children(value) if isinstance(value, Mapping) else _text(value)
    return f"<{name}>{inner}</{name}>"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return escape(_IMPOSSIBLE.sub("", str(value)))
