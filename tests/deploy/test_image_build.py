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
"""The most that the image may add to a pull, compressed: Python's image is 45 MB of it, by its publisher."""
BASE_MB = 45


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Stage]]:
    work = tmp_path_factory.mktemp("image")
    work.chmod(0o755)
    base_root(work / "base")
    yield build(work / "base", work)
    subprocess.run(["rm", "-rf", "--one-file-system", str(work)], check=False)


def variables(stage: Stage, **more: str) -> list[str]:
    return ["env", "-i", *(f"{name}={value}" for name, value in {**stage.environment(), **more}.items())]


def test_program_is_installed_with_its_version(built: tuple[Path, Stage]) -> None:
    root, stage = built

    printed = in_chroot(root, [*variables(stage), "otp-service", "--version"], user=USER)
    assert __version__ in printed


def test_user_cannot_change_the_image(built: tuple[Path, Stage]) -> None:
    root, stage = built
    attempt = "touch /opt/otp-service/x || touch /etc/x || touch /x"

    in_chroot(root, [*variables(stage), "sh", "-c", f"! ({attempt}) 2>/dev/null"], user=USER, writable=True)


def test_image_has_bytecode_and_no_installers(built: tuple[Path, Stage]) -> None:
    packages = next(built[0].glob("opt/otp-service/lib/python3*/site-packages"))

    assert list(packages.glob("otp_service/__pycache__/app.*.pyc"))
    assert not (packages / "pip").exists()
    assert not (built[0] / "src").exists()


def test_image_is_small(built: tuple[Path, Stage], tmp_path: Path) -> None:
    root = built[0]
    packed = tmp_path / "layer.tar.gz"
    subprocess.run(["tar", "-czf", packed, "-C", root, "opt/otp-service"], check=True)
    size = packed.stat().st_size / 1e6
    unpacked = sum(path.lstat().st_size for path in (root / "opt/otp-service").rglob("*")) / 1e6
    print(f"\n/opt/otp-service: {unpacked:.0f} MB, compressed {size:.0f} MB")  # noqa: T201 - what a reader of the docs asks for

    assert BASE_MB + size < MAX_MB


def test_service_runs_read_only_and_verifies_a_phone(
    built: tuple[Path, Stage], redis_server: Server, tmp_path: Path
) -> None:
    root, stage = built
    tmp_path.chmod(0o755)
    # The image listens on the addresses of a container. This chroot shares the machine's network.
    local = {"OTP_SERVICE__SERVER__HOST": "127.0.0.1", "OTP_SERVICE__METRICS__HOST": "127.0.0.1"}
    command = [*variables(stage, **local), *stage.last("ENTRYPOINT").words, *stage.last("CMD").words]
    started = chroot_command(root, command, user=USER, writable=False, mounts={tmp_path: "/etc/otp-service"})
    with running_service(redis_server, tmp_path, page="/healthz", command=started) as service:
        phone = new_phone()
        opened = service.request(phone).body
        answer = service.verify(phone, opened["verification_id"], service.code(phone))
        assert answer.body["proof"]

        port = service.url.rpartition(":")[2]
        words = health_check(stage)
        in_chroot(root, [*variables(stage, OTP_SERVICE__SERVER__PORT=port), *words], user=USER)
        stop(service.process)
        assert service.process.returncode == 0
        with pytest.raises(AssertionError, match="URLError"):
            in_chroot(root, [*variables(stage, OTP_SERVICE__SERVER__PORT=port), *words], user=USER)
    assert ACCESS_KEY_SECRET not in service.log.read_text()
