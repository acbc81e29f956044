"""Parses the sandbox's XML."""

from __future__ import annotations

from xml.etree import ElementTree as ET


def parse_xml(text: str | bytes) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314 - the sandbox wrote it
