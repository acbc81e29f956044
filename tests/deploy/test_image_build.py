"""The steps of deploy/Dockerfile executed in a chroot of Debian, and the service run there.

It takes minutes, root and the network: `make image-check` runs it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.deployment import ACCESS_KEY_SECRET, new_phone, running_service, stop
from support.dockerfile import Stage, base_root, build, chroot_command, health_check, in_chroot
from support.redis_servers import Server

from otp_service import __version__

pytestmark = pytest.mark.skipif(
    not os.environ.get("OTP_SERVICE_IMAGE"), reason="takes minutes: run `make image-check`"
)

USER = "10001:10001"
MAX_MB = 150
"""The most that the files of the image may take, unpacked."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Stage]]:
    work = tmp_path_factory.mktemp("image")
    work.chmod(0o755)
    base_root(work / "base")
    yield build(work / "base", work)
    subprocess.run(["rm", "-rf", "--one-file-system", str(work)], check=False)


def test_program_is_installed_with_its_version(built: tuple[Path, Stage]) -> None:
    root, stage = built

    assert __version__ in in_chroot(root, ["otp-service", "--version"], stage.environment(), user=USER)


PROGRAM = """
import pathlib
for name in ("/opt/otp-service/x", "/etc/x", "/x"):
    try:
        pathlib.Path(name).touch()
    except PermissionError:
        print(name)
"""


def test_user_cannot_change_the_image(built: tuple[Path, Stage]) -> None:
    root, stage = built

    printed = in_chroot(root, ["python", "-c", PROGRAM], stage.environment(), user=USER, writable=True)
    assert printed.split() == ["/opt/otp-service/x", "/etc/x", "/x"]


def test_image_has_bytecode_and_no_tools(built: tuple[Path, Stage]) -> None:
    root = built[0]
    packages = next(root.glob("opt/otp-service/lib/python3*/site-packages"))
    programs = {
        path.name for folder in ("bin", "sbin", "usr/bin", "usr/sbin") for path in (root / folder).iterdir()
    }

    assert list(packages.glob("otp_service/__pycache__/app.*.pyc"))
    assert list(root.glob("usr/lib/python3*/__pycache__/ssl.*.pyc"))
    assert not programs & {"sh", "bash", "dash", "apt", "apt-get", "dpkg", "perl", "pip", "gcc"}
    assert not (packages / "pip").exists()
    assert [name for name in ("src", "debs", "build", "dist") if (root / name).exists()] == []


def test_libraries_of_every_module_that_is_used_are_there(built: tuple[Path, Stage]) -> None:
    root, stage = built
    program = "import _ctypes, bz2, lzma, ssl, uuid, xml.parsers.expat, zlib; print(ssl.OPENSSL_VERSION)"

    assert "OpenSSL" in in_chroot(root, ["python", "-c", program], stage.environment(), user=USER)


def test_authorities_of_the_system_are_trusted(built: tuple[Path, Stage]) -> None:
    root, stage = built
    program = "import ssl; print(ssl.get_default_verify_paths().capath)"
    folder = in_chroot(root, ["python", "-c", program], stage.environment(), user=USER).strip()

    assert len(list((root / folder.lstrip("/")).resolve().glob("*.0"))) > 100


def test_packages_of_debian_are_listed_for_scanners(built: tuple[Path, Stage]) -> None:
    lists = {path.name: path.read_text() for path in (built[0] / "var/lib/dpkg/status.d").iterdir()}

    assert {"libc6", "libssl3t64", "python3.13-minimal"} <= lists.keys()
    for name, text in lists.items():
        assert f"Package: {name}\n" in text
        assert "\nVersion: " in text


def test_image_is_small(built: tuple[Path, Stage], tmp_path: Path) -> None:
    root = built[0]
    packed = tmp_path / "layers.tar.gz"
    subprocess.run(["tar", "-czf", packed, "-C", root, "."], check=True)

    def megabytes(folder: Path) -> float:
        return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir()) / 1e6

    size, ours = megabytes(root), megabytes(root / "opt/otp-service")
    compressed = packed.stat().st_size / 1e6
    print(f"\n{size:.0f} MB, of which /opt/otp-service {ours:.0f} MB; compressed {compressed:.0f} MB")  # noqa: T201

    assert size < MAX_MB


def test_service_runs_read_only_and_verifies_a_phone(
    built: tuple[Path, Stage], redis_server: Server, tmp_path: Path
) -> None:
    root, stage = built
    tmp_path.chmod(0o755)
    # The image listens on the addresses of a container. This chroot shares the machine's network.
    local = {"OTP_SERVICE__SERVER__HOST": "127.0.0.1", "OTP_SERVICE__METRICS__HOST": "127.0.0.1"}
    variables = {**stage.environment(), **local}
    command = [*stage.last("ENTRYPOINT").words, *stage.last("CMD").words]
    started = chroot_command(
        root, command, variables, user=USER, writable=False, mounts={tmp_path: "/etc/otp-service"}
    )
    with running_service(redis_server, tmp_path, page="/healthz", command=started) as service:
        phone = new_phone()
        opened = service.request(phone).body
        answer = service.verify(phone, opened["verification_id"], service.code(phone))
        assert answer.body["proof"]

        variables["OTP_SERVICE__SERVER__PORT"] = service.url.rpartition(":")[2]
        in_chroot(root, health_check(stage), variables, user=USER)
        stop(service.process)
        assert service.process.returncode == 0
        with pytest.raises(AssertionError, match="URLError"):
            in_chroot(root, health_check(stage), variables, user=USER)
    assert ACCESS_KEY_SECRET not in service.log.read_text()
