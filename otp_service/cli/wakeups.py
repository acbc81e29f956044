"""Wake-ups: a signal that finds the main thread falling asleep wakes it all the same. Touches signals.

Python runs a signal's handler in the main thread, as soon as that runs or is interrupted. A signal that comes
in the moment before the thread sleeps in a lock interrupts nothing, nor does one that another thread gets:
the handler would wait until something else happens, which in a server that only waits for its end is never.
"""

from __future__ import annotations

import signal
import socket
import threading
import time

POKES = 50
SECONDS = 0.1
"""Between two of them; a thread that was told to stop may not have got as far as its sleep yet."""

_STOPS = frozenset(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


def on_stops() -> None:
    """See to it that handlers of SIGINT, SIGTERM and SIGHUP run, whatever they are.

    Call this in the main thread. It does nothing on a system where no thread can be given a signal.
    """
    if not hasattr(signal, "pthread_kill"):
        return
    heard, told = socket.socketpair()
    told.settimeout(0)
    # To be interrupted is all that a sleeper needs, and nothing else here uses this signal.
    signal.signal(signal.SIGURG, _do_nothing)
    signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    main = threading.get_ident()
    threading.Thread(target=_listen, args=(heard, told, main), name="wakeups", daemon=True).start()


def _listen(heard: socket.socket, told: socket.socket, main: int) -> None:
    """Poke the thread *main* after each stop that is *heard*; *told* lives as long as this listens."""
    while told.fileno() >= 0:
        if _STOPS & set(heard.recv(64)):
            _poke(main)


def _poke(main: int) -> None:
    for _ in range(POKES):
        signal.pthread_kill(main, signal.SIGURG)
        time.sleep(SECONDS)


def _do_nothing(*_: object) -> None:
    """Handle a poke."""
