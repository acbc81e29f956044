from __future__ import annotations

import subprocess
import sys

import pytest

# The signal is given to a thread of its own choice, so that it certainly does not interrupt the main thread.
SLEEPER = """
import signal, sys, threading, time
from otp_service.cli import wakeups

woken = threading.Event()
signal.signal({number}, lambda *_: woken.set())
{install}

def send():
    time.sleep(0.1)
    signal.pthread_kill(threading.get_ident(), {number})
    while True:
        time.sleep(1)

threading.Thread(target=send, daemon=True).start()
if {seconds}:
    threading.Timer({seconds}, lambda: sys.stdout.write("still asleep") and sys.stdout.flush()).start()
threading.Event.wait(woken)
print("woken", flush=True)
"""


@pytest.mark.parametrize("number", ["signal.SIGTERM", "signal.SIGINT"])
def test_handler_runs_though_another_thread_got_the_signal(number: str) -> None:
    code = SLEEPER.format(number=number, install="wakeups.on_stops()", seconds=0)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )

    assert (done.stdout, done.stderr) == ("woken\n", "")


def test_without_wakeups_it_does_not() -> None:
    """What is tested above is no belief: it shows what the pokes are for."""
    code = SLEEPER.format(number="signal.SIGTERM", install="", seconds=0.5)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.read(len("still asleep")) == "still asleep"
        process.kill()
