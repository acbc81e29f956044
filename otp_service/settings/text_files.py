"""Text files: configuration and secrets, read as UTF-8 with or without a byte order mark. Touches files."""

from __future__ import annotations

import codecs
from pathlib import Path

_OTHER_ENCODINGS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),  # begins like that of UTF-16
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


class UnreadableFile(Exception):
    """A file cannot be used; *reason* completes the sentence "it …" and shows nothing of the file."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def read_text(path: Path) -> str:
    """Return the text of the file at *path*, without the byte order mark that some editors put first.

    Raises:
        UnreadableFile: it cannot be opened, or is not UTF-8.
    """
    try:
        data = path.read_bytes()
    except (OSError, ValueError):  # a NUL in the path is a ValueError
        raise UnreadableFile("cannot be read") from None
    for mark, encoding in _OTHER_ENCODINGS:
        if data.startswith(mark):
            raise UnreadableFile(f"is not UTF-8 text but {encoding}: save it as UTF-8")
    if b"\0" in data:
        raise UnreadableFile("is not UTF-8 text but binary or UTF-16: save it as UTF-8")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise UnreadableFile("is not UTF-8 text: save it as UTF-8") from None
