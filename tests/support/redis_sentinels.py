"""Real Sentinels with a master and its replicas, each in its own process."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.redis_clusters import is_synced, run_command
from support.redis_servers import Server, free_port, running, wait_until_ready
from support.waiting import wait_until

NAME = "otp-master"


@dataclass(frozen=True)
class SentinelSetup:
    """The *sentinels*, and the *master* and *replicas* at the start, before any failover."""

    master: Server
    replicas: list[Server]
    sentinels: list[Server]

    def url(self, login: str = "") -> str:
        """Return the URL for the service; *login* is empty or ends with `@`."""
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{login}{hosts}/{NAME}"

    def master_port(self) -> int:
        """Return the port of the master that the first Sentinel knows."""
        reply = run_command(self.sentinels[0], "SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME)
        assert isinstance(reply, list)
        return int(reply[1])


@contextmanager
def running_sentinels(
    binary: str,
    replicas: int = 1,
    sentinels: int = 3,
    *,
    down_after: int = 500,
    announce: Callable[[int], int] = lambda port: port,
) -> Iterator[SentinelSetup]:
    """Run Sentinels, a master and replicas until the block ends; *down_after* in ms.

    The Sentinels know the master by the port that *announce* returns for its real port.
    """
    with ExitStack() as stack:
        master = stack.enter_context(running(binary))
        followers = [
            stack.enter_context(running(binary, "--replicaof", f"127.0.0.1 {master.port}"))
            for _ in range(replicas)
        ]
        for follower in followers:
            wait_until(lambda follower=follower: is_synced(follower))  # type: ignore[misc]
        quorum = sentinels // 2 + 1
        port = announce(master.port)
        text = f"""
            sentinel monitor {NAME} 127.0.0.1 {port} {quorum}
            sentinel down-after-milliseconds {NAME} {down_after}
            sentinel failover-timeout {NAME} 5000
        """
        watchers = [stack.enter_context(running_sentinel(binary, text)) for _ in range(sentinels)]
        setup = SentinelSetup(master, followers, watchers)
        wait_until(lambda: all(_is_ready(sentinel, setup) for sentinel in watchers))
        yield setup


def _is_ready(sentinel: Server, setup: SentinelSetup) -> bool:
    reply = run_command(sentinel, "SENTINEL", "MASTER", NAME)
    facts = reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))  # type: ignore[index]
    known = int(facts["num-slaves"]), int(facts["num-other-sentinels"])
    return known == (len(setup.replicas), len(setup.sentinels) - 1)


@contextmanager
def running_sentinel(binary: str, text: str) -> Iterator[Server]:
    """Run one Sentinel with the lines of *text* in its configuration until the block ends."""
    directory = Path(tempfile.mkdtemp(prefix="otp-test-"))
    port = free_port()
    config = directory / "sentinel.conf"
    config.write_text(f"port {port}\nbind 127.0.0.1\ndir {directory}\n{text}", encoding="utf-8")
    command = [binary, str(config), "--sentinel"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    server = Server(port, process, directory)
    try:
        wait_until_ready(server)
        yield server
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(directory, ignore_errors=True)
