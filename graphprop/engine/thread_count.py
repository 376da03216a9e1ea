"""On how many threads calls run: what was set for the process or for a block of code, else what the system allows."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from contextvars import ContextVar
from functools import cache

from graphprop.errors import GraphpropError
from graphprop.given.arguments import is_whole

MOST = 1024
OWN = "GRAPHPROP_NUM_THREADS"
OF_OTHERS = "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"
_count: int | None = None  # of the process, once it was set
_blocks: ContextVar[tuple[int, ...]] = ContextVar("_blocks", default=())  # their counts, the innermost last


def threads(count: int) -> AbstractContextManager[None]:
    """Calls in a `with` block run on this many threads, and afterwards on as many as before; also after an error.

    It is of the thread, or the asynchronous task, that is in the block: others go on as they do, also those that it
    starts. Inside of another block the inner one counts. `set_threads` is for the whole process.

    >>> import graphprop as gp
    >>> with gp.threads(1):
    ...     gp.get_threads()
    1
    """
    return _Block(checked_count(count, "threads"))


class _Block:
    def __init__(self, count: int) -> None:
        self._count = count

    def __enter__(self) -> None:
        _blocks.set((*_blocks.get(), self._count))

    def __exit__(self, *_: object) -> None:
        _blocks.set(_blocks.get()[:-1])


def get_threads() -> int:
    """On how many threads calls run here: those of `gp.threads`, else of `set_threads`, else of the environment.

    That is what the variable GRAPHPROP_NUM_THREADS says. If it is not set, there is a thread for each core, but no more
    than OMP_NUM_THREADS and NUMBA_NUM_THREADS allow.
    """
    if blocks := _blocks.get():
        return blocks[-1]
    return _count or _from_environment()


def settle(count: int) -> bool:
    """Let the process have this many from now on; whether these are others than before."""
    global _count
    others, _count = count != _count, count
    return others


def checked_count(count: object, where: str) -> int:
    if not is_whole(count, 1, MOST):
        raise GraphpropError(f"{where}: a whole number from 1 to {MOST}, not {count!r}")
    return int(count)  # type: ignore[call-overload, no-any-return]


@cache
def _from_environment() -> int:
    own = os.environ.get(OWN, "").strip()
    if own:
        return checked_count(_whole(own) or own, f"the variable {OWN}")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limits = [_whole(os.environ.get(name, "").split(",")[0]) for name in OF_OTHERS]  # OpenMP: one for each level
    return min([cores, MOST, *filter(None, limits)])


def _whole(text: str) -> int | None:
    """The number that is written there, if it is one of at least 1."""
    text = text.strip()
    return int(text) or None if text.isascii() and text.isdigit() and len(text) < 10 else None
