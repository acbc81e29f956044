"""CPU time and memory of processes, from /proc."""

from __future__ import annotations

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def family(pid: int) -> list[int]:
    """Return *pid* and its descendants."""
    pids = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            pids += family(int(child))
    return pids


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that *pid* and its descendants have used."""
    return sum(_cpu(member) for member in family(pid))


def rss_mib(pid: int) -> float:
    """Return the memory of the largest of *pid* and its descendants: a worker."""
    sizes = [int(Path(f"/proc/{p}/statm").read_text().split()[1]) * _PAGE for p in family(pid)]
    return max(sizes) / 2**20


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
