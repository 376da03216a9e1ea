"""The threads that run parts of a batch side by side, and BLAS held to one thread while they do.

Which part computes what is fixed by the caller, so results never depend on how many threads there are.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, TypeAlias, TypeVar

from graphprop.atomic.forking import LOADING
from graphprop.engine.blas import find_symbol
from graphprop.errors import GraphpropError

_lock = threading.Lock()
_pools: list[Pool] = []
_count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def set_threads(count: int) -> None:
    """Run batches on this many threads; as many as there are cores if it is never called. Results are the same bits.

    >>> import graphprop as gp
    >>> before = gp.get_threads()
    >>> gp.set_threads(1)
    >>> gp.set_threads(before)
    """
    global _count
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= 1024:
        raise GraphpropError(f"set_threads: a whole number from 1 to 1024, not {count!r}")
    with _lock:
        if count != _count:
            _count = count
            for pool in _pools:
                pool.close()


def get_threads() -> int:
    """How many threads run batches."""
    return _count


class Pool:
    """Threads besides the calling one, which start when there is work for them."""

    def __init__(self) -> None:
        self.executor: ThreadPoolExecutor | None = None
        _pools.append(self)

    def submit(self, work: Callable[[], None], times: int) -> list[Future[None]]:
        """Let threads do the work so many times, or less often where the system gives no more threads.

        What it could not give one for is in the queue all the same, and may be done by another.
        """
        futures: list[Future[None]] = []
        with _lock:
            if self.executor is None:
                self.executor = ThreadPoolExecutor(max(1, _count - 1), thread_name_prefix="graphprop")
            with contextlib.suppress(RuntimeError):  # also when the interpreter is shutting down
                for _ in range(times):
                    futures.append(self.executor.submit(work))
        return futures

    def close(self) -> None:
        executor, self.executor = self.executor, None
        if executor is not None:
            executor.shutdown(wait=False)


def _forget() -> None:
    """In a child process there are no threads but one, and locks may have been copied while held."""
    global _lock, _blas_lock
    _lock, _blas_lock = threading.Lock(), threading.Lock()
    _blas_holders.clear()
    for pool in _pools:
        pool.executor = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)

_pool = Pool()


def run_all(parts: int, steps: Callable[[int], Iterable[bool]]) -> bool:
    """Go through steps(0) to steps(parts - 1), side by side; whether all steps are True.

    A part ends at a step that is not. The first error in this order is raised; no part begins after one, and no step
    after an interrupt.
    """
    helpers = min(parts, _count) - 1
    if helpers < 1:
        return all(all(steps(part)) for part in range(parts))
    refused: list[int] = []
    errors: dict[int, BaseException] = {}
    interrupts: list[BaseException] = []
    remaining = iter(range(parts))  # its steps are atomic
    at_work: deque[None] = deque()

    def work() -> None:
        at_work.append(None)
        for part in remaining:
            try:
                if not all(fine and not interrupts for fine in steps(part)):
                    refused.append(part)
            except BaseException as error:
                errors[part] = error
                if not isinstance(error, Exception):
                    interrupts.append(error)
                for _ in remaining:
                    pass
        at_work.pop()

    try:
        futures = _pool.submit(work, helpers)
        work()
        for future in futures:
            if not future.cancel():
                future.result()
        while at_work:  # one whose start had failed, and who was called later all the same
            time.sleep(1e-4)
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
        _set_counts([(limit, 1) for limit in limits])
    elif _blas_before is not None:
        _set_counts(_blas_before)
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
