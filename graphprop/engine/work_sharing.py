"""Threads that share out the work of one compiled loop, and stay awake for a moment for the next.

The system takes longer to wake a thread than some batches take to run, and may wake it on the core of the one
that waits for it. So a helper without work looks for a while whether the bell rings. The loop rings it itself: by then
it has released the interpreter's lock, which the helper needs.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from graphprop.engine.loops.dense import listen
from graphprop.engine.thread_count import get_threads
from graphprop.engine.threads import Pool, with_one_blas_thread, with_one_blas_thread_here

BELL = np.zeros(1, np.int64)
PATIENCE = 800_000  # looks at the bell before a helper sleeps: about a fifth of a millisecond
MOST_JOBS = 1000  # that a helper does before its thread may end with the program
_pool = Pool()
_jobs: deque[Callable[[], None]] = deque()
_helpers: deque[None] = deque()  # one entry for each; a deque adds and takes away in one step
State = TypeVar("State")


def share_out(threads: int, run: Callable[[], State | None]) -> State:
    """run() on up to so many threads, which share its work out among themselves; what it gives.

    It gives None where another thread has not finished what it took, and is called again then. Who comes when all
    is taken finds nothing to do, so nobody is waited for who has not begun. BLAS has one thread meanwhile.
    """
    ended: list[bool] = []
    errors: list[BaseException] = []

    def take_part() -> None:
        while not ended and run() is None:
            _let_others_run()

    def help_out() -> None:
        try:
            with_one_blas_thread_here(take_part)
        except BaseException as error:
            errors.append(error)

    helpers = min(threads, get_threads()) - 1

    def lead() -> State:
        try:
            for _ in range(helpers):
                _jobs.append(help_out)
            _pool.submit(_serve, helpers - len(_helpers), _helpers)
            while (state := run()) is None:
                if errors:
                    raise errors[0]
                _let_others_run()
            return state
        finally:
            ended.append(True)
            with contextlib.suppress(ValueError):
                for _ in range(helpers):
                    _jobs.remove(help_out)

    return with_one_blas_thread(lead)


def _serve() -> None:
    """Do what there is to do, until nothing has come for a while."""
    for _ in range(MOST_JOBS):
        rings = int(BELL[0])
        try:
            job = _jobs.popleft()
        except IndexError:
            if listen(BELL, rings, PATIENCE):
                continue
            break
        job()
        del job
    _helpers.pop()
    if _jobs:  # what came before it had left
        _pool.submit(_serve, 1, _helpers)


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
