"""The threads that run parts of a batch side by side, and BLAS held to one thread while they do.

Which part computes what is fixed by the caller, so results never depend on how many threads there are.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

from graphprop.blas import find_symbol
from graphprop.errors import GraphpropError

_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None
_count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def set_threads(count: int) -> None:
    """Run batches on this many threads; as many as there are cores if it is never called. Results are the same bits.

    >>> import graphprop as gp
    >>> before = gp.get_threads()
    >>> gp.set_threads(1)
    >>> gp.set_threads(before)
    """
    global _count, _pool
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= 1024:
        raise GraphpropError(f"set_threads: a whole number from 1 to 1024, not {count!r}")
    with _lock:
        if count != _count:
            _count, old, _pool = count, _pool, None
            if old is not None:
                old.shutdown(wait=False)


def get_threads() -> int:
    """How many threads run batches."""
    return _count


def _forget() -> None:
    """In a child process there are no threads but one, and locks may have been copied while held."""
    global _lock, _pool, _blas_lock, _blas_users
    _lock, _pool, _blas_lock, _blas_users = threading.Lock(), None, threading.Lock(), 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def run_all(parts: int, steps: Callable[[int], Iterable[bool]], aside: bool = False) -> bool:
    """Go through steps(0) to steps(parts - 1), side by side; whether all steps are True.

    A part ends at a step that is not. The first error in this order is raised; no part begins after one, and no step
    after an interrupt.
    With `aside` the calling thread only waits, so that an interrupt reaches it and not a function called from C.
    """
    helpers = 1 if aside else min(parts, _count) - 1
    if helpers < 1:
        return all(all(steps(part)) for part in range(parts))
    refused: list[int] = []
    errors: dict[int, BaseException] = {}
    interrupts: list[BaseException] = []
    remaining = iter(range(parts))  # its steps are atomic

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
                    pass

    futures = submit(work, helpers)
    try:
        if not (aside and futures):
            work()
        for future in futures:
            if aside or not future.cancel():
                future.result()
    except BaseException as error:
        interrupts.append(error)
        raise
    finally:
        for _ in remaining:
            pass
    if errors:
        raise (interrupts or [errors[min(errors)]])[0]
    return not refused


def submit(work: Callable[[], None], helpers: int) -> list[Future[None]]:
    """Let that many threads of the pool do the work; none at the end of the program."""
    global _pool
    with _lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(max(1, _count - 1), thread_name_prefix="graphprop")
        try:
            return [_pool.submit(work) for _ in range(helpers)]
        except RuntimeError:  # the interpreter is shutting down: no new threads
            return []


# ------------------------------------------------------------------ BLAS


class _Limit(NamedTuple):
    """How a BLAS library is asked for its number of threads, and told."""

    get: Callable[[], int]
    set: Callable[[int], Any]


_blas_lock = threading.Lock()
_blas_users = 0
_blas_before: list[tuple[_Limit, int]] = []
_blas_limits: tuple[list[_Limit], list[_Limit]] | None = None


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold BLAS to one thread, for this thread at least: with several, a product can have other last bits."""
    global _blas_users, _blas_before
    of_process, of_thread = _find_blas()
    with _blas_lock:
        _blas_users += 1
        if _blas_users == 1:
            _blas_before = _set_to_one(of_process)
    before = _set_to_one(of_thread)
    try:
        yield
    finally:
        _restore(before)
        with _blas_lock:
            _blas_users -= 1
            if _blas_users == 0:
                _restore(_blas_before)


def _find_blas() -> tuple[list[_Limit], list[_Limit]]:
    """The BLAS libraries whose number of threads is one for the whole process, and those with one for each thread."""
    global _blas_limits
    if _blas_limits is None:
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


def _set_to_one(limits: list[_Limit]) -> list[tuple[_Limit, int]]:
    """Set libraries to one thread; what they had before, where it was more."""
    before = [(limit, limit.get()) for limit in limits]
    before = [(limit, count) for limit, count in before if count != 1]
    _restore([(limit, 1) for limit, _ in before])
    return before


def _restore(counts: list[tuple[_Limit, int]]) -> None:
    for limit, count in counts:
        limit.set(count)
