"""What nothing may be torn out of: a fork waits until other threads have loaded and compiled, an interrupt does not.

A child has one thread. Locks that others held are never released in it, and what they had half made stays so.
"""

from __future__ import annotations

import contextlib
import logging  # noqa: F401
import os
import sys
import threading
from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar

BUILDING = threading.RLock()  # held by who makes what a program keeps, or forgets it
LOADING = threading.RLock()  # held by who imports numba and the modules that need it
_waited_for: list[Any] = [BUILDING, LOADING]  # in the order in which threads take them
_held: list[Any] = []
_loaded: set[Callable[[], object]] = set()
Found = TypeVar("Found")


def load(find: Callable[[], Found]) -> Found:
    """What a function imports that needs numba, by a thread aside: numba cannot be loaded again after an interrupt."""
    if find not in _loaded and threading.current_thread() is threading.main_thread():
        aside = threading.Thread(target=_try_to_load, args=[find], daemon=True)
        aside.start()
        aside.join()
    return _load(find)


def _try_to_load(find: Callable[[], object]) -> None:
    with contextlib.suppress(Exception):  # who waits for it is told then
        _load(find)


def _load(find: Callable[[], Found]) -> Found:
    with LOADING:
        found = find()
        _loaded.add(find)
    return found


def wait_for(*locks: Any) -> None:
    """Let forks wait for these locks, too, after those that are there."""
    _waited_for.extend(locks)


def _take() -> None:
    for lock in _waited_for:
        lock.acquire()
        _held.append(lock)


def _release() -> None:
    while _held:
        _held.pop().release()


def _begin() -> None:
    _release()
    modules = [module for name, module in list(sys.modules.items()) if name.startswith("graphprop")]
    kinds = {kind for module in modules for kind in list(vars(module).values()) if isinstance(kind, type)}
    for entry in (entry for kind in kinds for entry in vars(kind).values()):
        if isinstance(entry, cached_property) and hasattr(entry, "lock"):  # up to Python 3.11
            entry.lock = threading.RLock()


# The last one to register is the first to take its locks. What compiles also needs those of logging, so that these must
# not be taken before: it has registered when it was imported.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_take, after_in_parent=_release, after_in_child=_begin)
