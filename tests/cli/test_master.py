"""The hooks of gunicorn's master process, run in a child process because they change signal masks."""

from __future__ import annotations

import subprocess
import sys

import pytest

BEFORE_A_FORK = """
import signal
from types import SimpleNamespace
from otp_service.cli.master import Master

master = Master(settings=None, config=None, events=None, lines=None)
master.pre_fork(SimpleNamespace(WORKERS={}), SimpleNamespace())
print(*(each.name for each in signal.pthread_sigmask(signal.SIG_BLOCK, ())))
"""


@pytest.fixture(scope="module")
def blocked() -> set[str]:
    """The signals that are blocked while a worker is forked."""
    return set(subprocess.check_output([sys.executable, "-c", BEFORE_A_FORK], text=True).split())


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP"])
def test_signal_waits_until_a_new_worker_can_handle_it(blocked: set[str], name: str) -> None:
    """The handlers that a worker inherits are those of the master, which would lose the signal."""
    assert name in blocked
