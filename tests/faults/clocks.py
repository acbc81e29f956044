"""Runs processes with another system time, which can be changed (libfaketime)."""

from __future__ import annotations

from pathlib import Path

from support.redis_servers import skip_or_fail

LIBRARIES = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/local/lib/faketime/libfaketimeMT.so.1")


def library() -> str:
    found = [str(path) for pattern in LIBRARIES for path in Path("/").glob(pattern.lstrip("/"))]
    if not found:
        skip_or_fail("libfaketime is not installed")
    return found[0]


def environment(directory: Path, offset: str = "+0") -> dict[str, str]:
    """Return the environment of a process whose time is shifted by an offset in a file, first *offset*."""
    set_offset(directory, offset)
    return {
        "LD_PRELOAD": library(),
        "FAKETIME_TIMESTAMP_FILE": str(_file(directory)),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def set_offset(directory: Path, offset: str) -> None:
    """Set the clock to *offset* from the real time, such as `+1h` or `-2h`."""
    new = directory / "faketime.new"
    new.write_text(offset)
    new.replace(_file(directory))


def _file(directory: Path) -> Path:
    return directory / "faketime"
