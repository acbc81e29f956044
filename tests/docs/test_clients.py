"""The programs of docs/clients.md. CI has all three languages."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import chromium
from support.chromium import Dev
from support.deployment import new_phone
from support.doc_blocks import blocks
from support.redis_servers import skip_or_fail


@dataclass(frozen=True)
class Language:
    """The command that runs a program of the docs in one language."""

    name: str
    file: str
    command: list[str]


PHP = Language("php", "otp.php", ["php"])
JAVA = Language("java", "Otp.java", ["java", "-XX:TieredStopAtLevel=1"])
GO = Language("go", "otp.go", ["go", "run"])


@pytest.fixture(scope="module")
def dev() -> Iterator[Dev]:
    """A running service, as readers have one."""
    with chromium.running_dev() as dev:
        yield dev


def command(language: Language, directory: Path) -> list[str]:
    """Write the program to a file and return its command."""
    needed = "javac" if language is JAVA else language.command[0]
    if shutil.which(needed) is None:
        skip_or_fail(f"{needed} is not installed")
    (text,) = [block.text for block in blocks("docs/clients.md") if block.language == language.name]
    (directory / language.file).write_text(text)
    return [*language.command, language.file]


@pytest.mark.parametrize("language", [PHP, JAVA, GO], ids=["php", "java", "go"])
def test_program_verifies_a_phone_and_shows_a_rejection(language: Language, dev: Dev, tmp_path: Path) -> None:
    start = command(language, tmp_path)
    variables = {"OTP_URL": dev.service_url, "OTP_SECRET_KEY": dev.secret_key}
    for is_right in (True, False):
        phone = new_phone()
        with subprocess.Popen(
            [*start, phone],
            cwd=tmp_path,
            env={**os.environ, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as program:
            assert program.stdout
            first = program.stdout.readline()
            assert first == "Code?\n", program.communicate(timeout=60)
            code = dev.code(phone)
            typed = code if is_right else f"{(int(code) + 1) % 10**6:06d}"
            output, errors = program.communicate(f"{typed}\n", timeout=60)
        if is_right:
            assert (program.returncode, output, errors) == (0, f"{phone}\n", "")
        else:
            assert program.returncode != 0
            assert "refused: wrong_code" in output + errors
