"""File modes: which files with secrets can be read by other users of this machine. Touches files."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

from otp_service.settings.mistakes import Mistake

_FOR_A_GROUP = stat.S_IXGRP | stat.S_IXOTH


def exposure(where: str, path: Path, user: int | None = None) -> Iterator[Mistake]:
    """Tell whether others can read the file at *path*, which the setting *where* names.

    A file in a directory that others cannot enter is not exposed, whatever its own mode is. A group that can
    read the file counts only if the file belongs to *user*, by default that of this process: with another
    owner, or as root, the group is how the service itself gets at the file.
    """
    user = os.geteuid() if user is None else user
    try:
        file = path.resolve(strict=True)
        found = file.stat()
        folders = [folder.stat().st_mode for folder in file.parents]
    except (OSError, ValueError):
        return
    is_own = found.st_uid == user != 0
    command = f"chmod {'go' if is_own else 'o'}= {shlex.quote(str(path))}"
    if not found.st_uid:
        # Closed to others, a file of root is open to the service by its group only.
        command = f"chgrp otp-service {shlex.quote(str(path))} && chmod 640 {shlex.quote(str(path))}"
    if found.st_mode & stat.S_IROTH and all(folder & stat.S_IXOTH for folder in folders):
        yield Mistake(where, f"can be read by every user of this machine: {command}")
    elif is_own and found.st_mode & stat.S_IRGRP and all(folder & _FOR_A_GROUP for folder in folders):
        yield Mistake(where, f"can be read by its group: {command}")
