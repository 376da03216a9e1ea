"""Threads that share out the work of one compiled loop, and stay awake for a moment for the next.

The system takes longer to wake a thread than some batches take to run, and may wake it on the core of the one
that waits for it. So a helper looks for a while whether the bell rings, which the loop does itself: it has released
the interpreter's lock by then.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable

import numpy as np

from graphprop.threads import get_threads, one_blas_thread, submit

PATIENCE = 200_000  # looks at the bell before a helper sleeps, some tenths of a millisecond
BELL = np.zeros(1, np.int64)
_jobs: deque[Callable[[], None]] = deque()
_helpers: deque[None] = deque()  # one entry for each that serves; it adds and takes away as one step


def share_out(threads: int, run: Callable[[int], int], waiting: int) -> int:
    """run(0) on up to so many threads, which share its work out among themselves; what it gives in this one.

    It gives `waiting` where another thread has not finished what it took, and is called again then. It rings the bell
    when it begins, and waits in a helper's hands at its end for the next, for as many looks as it is called with. Who
    comes when all is taken finds nothing to do, so nobody is waited for who has not begun. BLAS has one
    thread meanwhile.
    """
    ended: list[bool] = []
    errors: list[BaseException] = []

    def help_out() -> None:
        try:
            with one_blas_thread():
                while not ended and run(PATIENCE) == waiting:
                    _let_others_run()
        except BaseException as error:
            errors.append(error)

    helpers = min(threads, get_threads()) - 1
    _jobs.extend([help_out] * helpers)
    for _ in range(helpers - len(_helpers)):
        _helpers.append(None)
        if not submit(_serve, 1):
            _helpers.pop()
    try:
        with one_blas_thread():
            while (state := run(0)) == waiting:
                if errors:
                    raise errors[0]
                _let_others_run()
        return state
    finally:
        ended.append(True)
        while help_out in _jobs:
            _jobs.remove(help_out)


def _serve() -> None:
    """Do what there is to do, until nothing has come for a while."""
    while True:
        try:
            job = _jobs.popleft()
        except IndexError:
            _helpers.pop()
            if not _jobs:  # looked at after it was taken off the list, so no job is left behind
                return
            _helpers.append(None)
            continue
        job()
        del job


def _let_others_run() -> None:
    if hasattr(os, "sched_yield"):
        os.sched_yield()
    else:
        time.sleep(0)


def _forget() -> None:
    """A child process has no helpers."""
    _jobs.clear()
    _helpers.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
