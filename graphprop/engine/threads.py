"""The threads that run parts of a batch side by side, and BLAS held to one thread while they do.

Which part computes what is fixed by the caller, so results never depend on how many threads there are.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
from _thread import start_new_thread
from collections import deque
from collections.abc import Callable, Iterable
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeAlias, TypeVar

from graphprop.atomic.forking import LOADING
from graphprop.atomic.steps import Steps, changed, take
from graphprop.engine.blas import find_symbol
from graphprop.engine.thread_count import checked_count, get_threads, settle

Work: TypeAlias = Callable[[], None]
_lock = threading.Lock()
_pools: list[Pool] = []
_alive: deque[None] = deque()  # one entry for each thread of all pools
_ended = False


def set_threads(count: int) -> None:
    """Run on this many threads from now on, in the whole process; see `get_threads`. Results are the same bits.

    For some calls there is ``with gp.threads(count)``, which holds in place of it.

    >>> import graphprop as gp
    >>> before = gp.get_threads()
    >>> gp.set_threads(1)
    >>> gp.set_threads(before)
    """
    wanted = checked_count(count, "set_threads")
    with _lock:
        if settle(wanted):
            for pool in _pools:
                pool.close()


class Pool:
    """Threads besides the calling one, which start when there is work for them, and wait for more.

    The pools of the standard library have locks that are written in Python. An interrupt can leave these held for ever;
    here all that is done is done by calls of what is written in C.
    """

    def __init__(self) -> None:
        self.desk = Desk()
        _pools.append(self)

    def submit(self, work: Work, times: int, counted: deque[None] | None = None) -> None:
        """Let threads do the work so many times, or less often where the system gives no more threads.

        Each time that it may be done is one entry more in what is counted. What it could not give a thread for may be
        done by another, and nothing is done when the interpreter is shutting down.
        """
        with _lock:
            if _ended or not self.desk.occupy(min(times, get_threads() - 1)):
                return
            count: Steps = [] if counted is None else [(counted.append, None)]
            for _ in range(times):
                take([*count, (self.desk.works.put, work)])

    def close(self) -> None:
        """Let the threads go home when they have done what there is."""
        take([*[(self.desk.works.put, None)] * len(self.desk.threads), changed(self, desk=Desk())])


class Desk:
    """Where the threads of a pool take their work: None is the end of it."""

    def __init__(self) -> None:
        self.works: SimpleQueue[Work | None] = SimpleQueue()
        self.threads: deque[None] = deque()  # one entry for each; a deque adds and takes away in one step

    def occupy(self, wanted: int) -> int:
        """Start threads until there are so many, or the system gives no more; how many there are."""
        with contextlib.suppress(RuntimeError):
            for _ in range(wanted - len(self.threads)):
                take([(start_new_thread, self.serve, ()), (self.threads.append, None), (_alive.append, None)])
        return len(self.threads)

    def serve(self) -> None:
        try:
            while (work := self.works.get()) is not None:
                work()
                del work
        finally:
            self.threads.pop()
            _alive.pop()


def _end() -> None:
    """When the interpreter ends, it must not find a thread in compiled code."""
    global _ended
    with _lock:
        _ended = True
        for pool in _pools:
            pool.close()
    while _alive:
        time.sleep(1e-3)


atexit.register(_end)


def _forget() -> None:
    """In a child process there are no threads but one, and locks may have been copied while held."""
    global _lock, _blas_lock
    _lock, _blas_lock = threading.Lock(), threading.Lock()
    _blas_holders.clear()
    _alive.clear()
    for pool in _pools:
        pool.desk = Desk()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)

_pool = Pool()


def run_all(parts: int, steps: Callable[[int], Iterable[bool]]) -> bool:
    """Go through steps(0) to steps(parts - 1), side by side; whether all steps are True.

    A part ends at a step that is not. The first error in this order is raised; no part begins after one, and no step
    after an interrupt.
    """
    helpers = min(parts, get_threads()) - 1
    if helpers < 1:
        return all(all(steps(part)) for part in range(parts))
    refused: list[int] = []
    errors: dict[int, BaseException] = {}
    interrupts: list[BaseException] = []
    remaining = iter(range(parts))  # its steps are atomic
    ended: SimpleQueue[None] = SimpleQueue()  # one entry for each part that has, or that is not to begin

    def work() -> None:
        for part in remaining:
            try:
                if not all(fine and not interrupts for fine in steps(part)):
                    refused.append(part)
            except BaseException as error:
                errors[part] = error
                if not isinstance(error, Exception):
                    interrupts.append(error)
                for _ in remaining:
                    ended.put(None)
            finally:
                ended.put(None)

    try:
        _pool.submit(work, helpers)
        work()
        for _ in range(parts):
            ended.get()
    except BaseException as error:
        interrupts.append(error)
        raise
    finally:
        for _ in remaining:
            pass
    if errors:
        raise (interrupts or [errors[min(errors)]])[0]
    return not refused


# ------------------------------------------------------------------ BLAS


class _Limit(NamedTuple):
    """How a BLAS library is asked for its number of threads, and told."""

    get: Callable[[], int]
    set: Callable[[int], Any]


Counts: TypeAlias = list[tuple[_Limit, int]]
Result = TypeVar("Result")

_blas_lock = threading.Lock()
_blas_holders: set[object] = set()  # one for each call that holds BLAS to one thread
_blas_before: Counts | None = None  # what the libraries go back to, from before the first of them came
_blas_limits: tuple[list[_Limit], list[_Limit]] | None = None


def with_one_blas_thread(work: Callable[[], Result]) -> Result:
    """work(), with BLAS held to one thread, for this thread at least: with several, a product can have other last bits.

    No context manager: an interrupt at the moment when one ends would leave BLAS as it is.
    """
    holder = object()
    try:
        _hold_blas(holder)
        return with_one_blas_thread_here(work)
    finally:
        try:
            _let_go_of_blas(holder)
        except BaseException:  # an interrupt, here of all places
            _let_go_of_blas(holder)
            raise


def with_one_blas_thread_here(work: Callable[[], Result]) -> Result:
    """The same for a helper of a thread that holds the process: only what each thread has for itself."""
    limits = _find_blas()[1]
    if not limits:
        return work()
    before = _counts(limits)
    try:
        _set_counts([(limit, 1) for limit in limits])
        return work()
    finally:
        try:
            _set_counts(before)
        except BaseException:
            _set_counts(before)
            raise


def _hold_blas(holder: object) -> None:
    _find_blas()
    with _blas_lock:
        _blas_holders.add(holder)
        _settle_blas()


def _let_go_of_blas(holder: object) -> None:
    with _blas_lock:
        _blas_holders.discard(holder)
        _settle_blas()


def _settle_blas() -> None:
    """Give the libraries the threads that they are to have now. What was cut short before is done then."""
    global _blas_before
    limits = _find_blas()[0]
    if _blas_holders:
        if _blas_before is None:
            _blas_before = _counts(limits)
            for limit, count in _blas_before:
                if count != 1:
                    limit.set(1)
        else:
            _set_counts([(limit, 1) for limit in limits])
    elif _blas_before is not None:
        for limit, count in _blas_before:
            if count != 1:
                limit.set(count)
        _blas_before = None


def _find_blas() -> tuple[list[_Limit], list[_Limit]]:
    """The BLAS libraries whose number of threads is one for the whole process, and those with one for each thread."""
    global _blas_limits
    if _blas_limits is None:
        with LOADING:
            from threadpoolctl import ThreadpoolController

        of_process: list[_Limit] = []
        of_thread: list[_Limit] = []
        for library in ThreadpoolController().select(user_api="blas").lib_controllers:
            own = library.internal_api == "mkl" or getattr(library, "threading_layer", None) == "openmp"
            (of_thread if own else of_process).append(_limit_of(library, own))
        _blas_limits = of_process, of_thread
    return _blas_limits


def _limit_of(library: Any, own: bool) -> _Limit:
    """For OpenBLAS its own functions: threadpoolctl lets only the thread that asked first change it."""
    names = "openblas_get_num_threads", "openblas_set_num_threads"
    found = [find_symbol(library.dynlib, name) for name in names]
    if own or None in found:
        return _Limit(library.get_num_threads, library.set_num_threads)
    return _Limit(*found)


def _counts(limits: list[_Limit]) -> Counts:
    return [(limit, limit.get()) for limit in limits]


def _set_counts(counts: Counts) -> None:
    for limit, count in counts:
        if limit.get() != count:
            limit.set(count)
