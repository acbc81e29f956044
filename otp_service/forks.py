"""Forks: what must be made anew in a child process. Touches the hooks of `os.fork`.

Threads do not survive a fork, locks that another thread holds stay locked, and counts of the parent are not
the child's. Whoever holds such things says here how they begin anew; gunicorn with `preload_app`, Celery and
multiprocessing all fork this way.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from weakref import WeakMethod

_in_child: list[WeakMethod[Callable[[], None]]] = []


def call_in_child(method: Callable[[], None]) -> None:
    """Call the bound *method* in every child that this process forks, as long as its object lives.

    In the order in which they were registered: what is made of other things is registered after them.
    """
    _in_child[:] = [known for known in _in_child if known() is not None]
    _in_child.append(WeakMethod(method))


def _run() -> None:
    """Call all methods, whatever one of them raises: a child must not go on with half of the parent's.

    Python prints what a hook raises and goes on; the first error is raised once the rest is done.
    """
    errors: list[Exception] = []
    for known in tuple(_in_child):
        if method := known():
            try:
                method()
            except Exception as error:  # noqa: BLE001 - the others must be called
                errors.append(error)
    if errors:
        raise errors[0]


os.register_at_fork(after_in_child=_run)
