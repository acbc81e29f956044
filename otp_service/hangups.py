"""Hangups: SIGHUP, the wish for a reload, taken by a thread that waits for it. Touches signals and a thread.

It is held back in every thread instead of being handled, because a process inherits that from the one that
started it: a worker that does not listen yet is neither killed by it nor misses it.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable

_HANGUP = frozenset({signal.SIGHUP})


def hold_back() -> None:
    """Keep SIGHUP for who waits for it; call this before any thread is started."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _HANGUP)


def on_each(reload: Callable[[], None]) -> None:
    """Call *reload* for every SIGHUP; several that come while it is at work are one."""
    hold_back()
    threading.Thread(target=_wait, args=(reload,), name="hangups", daemon=True).start()


def _wait(reload: Callable[[], None]) -> None:
    while True:
        signal.sigwait(_HANGUP)
        reload()
