"""Methods to call in the child after a fork, to reset state that a child must not inherit.

Threads do not survive a fork, a lock held by another thread stays locked, and the parent's counts are not the
child's. Objects with such state register a method here that resets it. gunicorn with `preload_app`, Celery
and multiprocessing all fork in this way.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from weakref import WeakMethod

_in_child: list[WeakMethod[Callable[[], None]]] = []


def call_in_child(method: Callable[[], None]) -> None:
    """Call the bound *method* in every forked child, until its object is garbage-collected.

    Methods run in the order of their registration, so an object registers after those that it depends on.
    """
    _in_child[:] = [known for known in _in_child if known() is not None]
    _in_child.append(WeakMethod(method))


def _run() -> None:
    """Call all methods, even if one raises: a child must not run with some of its parent's state.

    The first error is raised at the end. Python prints it and goes on.
    """
    errors: list[Exception] = []
    for known in tuple(_in_child):
        if method := known():
            try:
                method()
            except Exception as error:  # noqa: BLE001 - the other methods must run
                errors.append(error)
    if errors:
        raise errors[0]


os.register_at_fork(after_in_child=_run)
