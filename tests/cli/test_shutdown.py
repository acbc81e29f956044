from __future__ import annotations

import subprocess
import sys

import pytest

# The sending thread sends the signal to itself, so that it does not interrupt the main thread.
WAITER = """
import signal, threading, time
from otp_service.cli.shutdown import ShutdownEvent

shutdown = ShutdownEvent()

def send():
    time.sleep(0.1)
    signal.pthread_kill(threading.get_ident(), {number})
    while True:
        time.sleep(1)

threading.Thread(target=send, daemon=True).start()
shutdown.wait()
print("stopped", flush=True)
"""


@pytest.mark.parametrize("number", ["signal.SIGTERM", "signal.SIGINT", "signal.SIGHUP"])
def test_signal_to_another_thread_ends_the_wait(number: str) -> None:
    result = subprocess.run(
        [sys.executable, "-c", WAITER.format(number=number)],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )

    assert (result.stdout, result.stderr) == ("stopped\n", "")
