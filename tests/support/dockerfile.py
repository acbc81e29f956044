"""Parses deploy/Dockerfile as Docker does, and executes its steps in Debian chroots."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from support.doc_blocks import ROOT
from support.redis_servers import skip_or_fail

FILE = ROOT / "deploy" / "Dockerfile"
IGNORED = ROOT / ".dockerignore"

SUITE = "trixie"
"""The release of Debian that the base image is named after."""

_OPTION = re.compile(r"--[a-z-]+=\S+")
_STEP_SECONDS = 500


@dataclass(frozen=True)
class Instruction:
    """One instruction: `COPY --from=build /a /b` has the options `{"from": "build"}` and the text `/a /b`."""

    keyword: str
    text: str
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def words(self) -> list[str]:
        """The text as a list, whether it is written as JSON or not."""
        return list(json.loads(self.text)) if self.text.startswith("[") else shlex.split(self.text)


@dataclass(frozen=True)
class Stage:
    """One stage of the build: its base image, and the instructions after FROM."""

    name: str
    base: str
    instructions: Sequence[Instruction]

    def all(self, keyword: str) -> list[Instruction]:
        return [step for step in self.instructions if step.keyword == keyword]

    def last(self, keyword: str) -> Instruction:
        return self.all(keyword)[-1]

    def environment(self) -> dict[str, str]:
        """Return the variables that ENV sets."""
        return dict(word.split("=", 1) for step in self.all("ENV") for word in step.words)


def instructions(text: str) -> Iterator[Instruction]:
    """Yield the instructions of a Dockerfile. A comment within an instruction does not end it."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for joined in re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines():
        if joined.strip():
            keyword, _, rest = joined.strip().partition(" ")
            options = {}
            words = rest.split()
            while words and _OPTION.fullmatch(words[0]):
                name, _, value = words[0].removeprefix("--").partition("=")
                options[name] = value
                rest = rest.strip().removeprefix(words.pop(0)).strip()
            yield Instruction(keyword, rest.strip(), options)


def stages(text: str | None = None) -> list[Stage]:
    """Return the stages in order. The arguments before the first FROM have their defaults."""
    found: list[Stage] = []
    arguments: dict[str, str] = {}
    steps: list[Instruction] = []
    for step in instructions(FILE.read_text("utf-8") if text is None else text):
        if step.keyword == "FROM":
            base, _, name = step.text.partition(" AS ")
            for argument, value in arguments.items():
                base = base.replace(f"${{{argument}}}", value)
            steps = []
            found.append(Stage(name.strip(), base.strip(), steps))
        elif not found:
            arguments.update([step.text.split("=", 1)])
        else:
            steps.append(step)
    return found


def health_check(stage: Stage) -> list[str]:
    """Return the command of HEALTHCHECK."""
    return Instruction("CMD", stage.last("HEALTHCHECK").text.removeprefix("CMD ")).words


def is_ignored(path: str, rules: Sequence[str]) -> bool:
    """Return whether .dockerignore keeps *path*, relative to the root, out of the build context."""
    ignored = False
    for rule in rules:
        pattern = rule.removeprefix("!")
        path_and_parents = ["/".join(path.split("/")[: i + 1]) for i in range(path.count("/") + 1)]
        if any(_matches(candidate, pattern) for candidate in path_and_parents):
            ignored = not rule.startswith("!")
    return ignored


def _matches(path: str, pattern: str) -> bool:
    if pattern.startswith("**/"):
        return fnmatch.fnmatchcase(path.rpartition("/")[2], pattern[3:])
    return path.count("/") == pattern.count("/") and fnmatch.fnmatchcase(path, pattern)


def ignore_rules() -> list[str]:
    lines = IGNORED.read_text("utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def copy_context(directory: Path) -> None:
    """Copy the build context into *directory*: the files of the repository that are not ignored."""
    rules = ignore_rules()
    for top in sorted(ROOT.iterdir()):
        if is_ignored(top.name, rules):
            continue
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            name = str(path.relative_to(ROOT))
            if path.is_file() and not is_ignored(name, rules):
                (directory / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, directory / name)


# ── in a chroot ──


def base_root(directory: Path) -> None:
    """Create a Debian root like the base image, which only lacks documentation and translations."""
    if shutil.which("debootstrap") is None:
        skip_or_fail("debootstrap is not installed")
    command = ["debootstrap", "--variant=minbase", SUITE, str(directory)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=_STEP_SECONDS)


def build(base: Path, work: Path) -> tuple[Path, Stage]:
    """Execute all stages; return the last one and its root directory, the directory first."""
    (work / "context").mkdir()
    copy_context(work / "context")
    roots: dict[str, Path] = {}
    for number, stage in enumerate(stages()):
        root = work / f"stage{number}"
        if stage.base == "scratch":
            root.mkdir(mode=0o755)
        else:
            subprocess.run(["cp", "-a", "--reflink=auto", str(base), str(root)], check=True)
        roots[stage.name] = root
        workdir = "/"
        for step in stage.instructions:
            if step.keyword == "WORKDIR":
                workdir = step.text
                (root / workdir.lstrip("/")).mkdir(parents=True, exist_ok=True)
            elif step.keyword == "RUN":
                _execute(root, workdir, step, stage)
            elif step.keyword == "COPY":
                _copy(step, roots.get(step.options.get("from", ""), work / "context"), root, workdir)
    return root, stage


def _execute(root: Path, workdir: str, step: Instruction, stage: Stage) -> None:
    """Execute a RUN step as root; a shell command gets the network files that apt and pip need."""
    if step.text.startswith("["):
        in_chroot(root, step.words, stage.environment())
        return
    bundle = os.environ.get("PIP_CERT", "/etc/ssl/certs/ca-certificates.crt")
    outside = [("/etc/resolv.conf", "/etc/resolv.conf"), ("/etc/hosts", "/etc/hosts")]
    for source, target in [*outside, (bundle, "/tmp/ca.crt")]:  # noqa: S108 - in the chroot
        shutil.copyfile(source, root / target.lstrip("/"))
    passed = {name: value for name, value in os.environ.items() if name in {"PIP_INDEX_URL", "PIP_TIMEOUT"}}
    variables = {
        **passed,
        "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "PIP_CERT": "/tmp/ca.crt",  # noqa: S108
        "DEBIAN_FRONTEND": "noninteractive",
    }
    inside = f"cd {shlex.quote(workdir)} && {step.text}"
    in_chroot(root, ["/bin/sh", "-c", inside], variables, writable=True)
    (root / "tmp/ca.crt").unlink()


def _copy(step: Instruction, source: Path, root: Path, workdir: str) -> None:
    *names, target = step.words
    there = root / (target if target.startswith("/") else f"{workdir}/{target}").lstrip("/")
    for name in names:
        for found in sorted(source.glob(name.lstrip("/"))):
            if found.is_dir():
                shutil.copytree(found, there, symlinks=True, dirs_exist_ok=True)
            else:
                there.mkdir(parents=True, exist_ok=True)
                shutil.copy2(found, there)


def chroot_command(
    root: Path,
    command: Sequence[str],
    variables: Mapping[str, str],
    *,
    user: str = "0:0",
    writable: bool,
    mounts: Mapping[Path, str],
) -> list[str]:
    """Return a command line that runs *command* in the chroot, which is read-only unless *writable*.

    The command has no other environment *variables*. *mounts*: directories outside → where the chroot has
    them. /tmp is a file system in memory.
    """
    here = shlex.quote(str(root))
    lines = [
        f"mount --bind {here} {here}",
        f"mkdir -p {here}/proc {here}/dev",
        f"mount -t proc proc {here}/proc",
        f"mount -t tmpfs tmpfs {here}/dev",
        f"cd {here}/dev",
        "for one in null zero random urandom; do touch $one; mount --bind /dev/$one $one; done",
    ]
    for outside, inside in mounts.items():
        lines += [
            f"mkdir -p {here}{inside}",
            f"mount --bind {shlex.quote(str(outside))} {here}{inside}",
            f"mount -o remount,bind,ro {here}{inside}",
        ]
    if not writable:
        lines += [
            f"mount -t tmpfs -o mode=1777 tmpfs {here}/tmp",  # noqa: S108 - in the chroot
            f"mount -o remount,bind,ro {here}",
        ]
    pairs = shlex.join(f"{name}={value}" for name, value in variables.items())
    chroot = f"{shutil.which('chroot')} --userspec={user} --groups= {here}"
    lines.append(f"exec env -i {pairs} {chroot} {shlex.join(command)}")
    return ["unshare", "--mount", "sh", "-ec", "\n".join(lines)]


def in_chroot(
    root: Path,
    command: Sequence[str],
    variables: Mapping[str, str],
    *,
    writable: bool = False,
    user: str = "0:0",
) -> str:
    """Run *command* in the chroot and return what it prints.

    Raises:
        AssertionError: the command has failed.
    """
    result = subprocess.run(
        chroot_command(root, command, variables, user=user, writable=writable, mounts={}),
        capture_output=True,
        text=True,
        timeout=_STEP_SECONDS,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout
